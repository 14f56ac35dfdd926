"""How JAX is set up: flags that make small programs fast on CPUs, a compilation cache that outlives the
process, the precision of products, the platform, and the CPU cores of this process. The library does it by
itself, before it compiles anything; nothing here needs the command.

Two XLA flags make the small programs of a study compile in less time and run faster on a CPU. A jaxlib that
doesn't know a flag aborts the process (0.12 no longer knows the first, and its steps are slower), so each is
tried in a child process first, once a jaxlib version. The flags in use are in every row (`xla_flags`).
"""

import atexit
import contextlib
import hashlib
import importlib.metadata
import math
import mmap
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from memcap.knobs import UserError
from memcap.terminal.words import warn_once

CPU_FLAGS = ("--xla_cpu_use_fusion_emitters=false", "--xla_cpu_prefer_vector_width=512")
# Accelerators would round the factors of a product to 8 or 11 bits: enough noise to blur what a carry holds.
PRECISION = "highest"
# The first need not import JAX, but is not public: it may be gone one day.
_PROBES = (
    "from jaxlib import xla_client; xla_client.make_cpu_client()",
    "import jax; jax.jit(lambda x: x + 1)(1.0)",
)
# JAX's own values: a setting that differs from them is the user's.
_CACHE = {
    "jax_persistent_cache_min_compile_time_secs": (1.0, 0.0),
    "jax_persistent_cache_min_entry_size_bytes": (0, -1),
}
EXTRAS = {"cuda": "cuda", "gpu": "cuda", "tpu": "tpu"}  # by JAX_PLATFORMS: memcap's extra that brings it
PRIVATE_VARIABLE = "MEMCAP_PRIVATE_CACHE"  # set where the usual cache is not this user's alone
CORES_VARIABLE = "MEMCAP_CORES"  # set in a job that a launcher runs beside others: its share of the cores
# The first is set where it was asked for.
SLURM_VARIABLES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
WORKER_SETTINGS = (  # what a worker takes over from the process that starts it
    "jax_compilation_cache_dir",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_platforms",
    "jax_threefry_partitionable",
)


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/memcap, by default ~/.cache/memcap; for a user without a home a place that cannot be
    made. Code is loaded from it: where another user owns or may write it, a private one instead, of this
    process and those that it starts."""
    folder = Path(os.environ.get(PRIVATE_VARIABLE) or _usual_folder())
    places = (folder, *(folder / part for part in ("native", "xla")))
    why = next(filter(None, map(not_ours, places)), None)
    return folder if why is None else _private_folder(why)


def not_ours(path: Path) -> str | None:
    """Why what is loaded from a file or folder may be another user's; None: it is ours, or not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    if status.st_uid != os.geteuid():
        return f"{path}: belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path}: other users may write it"
    return None


def _private_folder(why: str) -> Path:
    folder = tempfile.mkdtemp(prefix="memcap-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[PRIVATE_VARIABLE] = folder
    warn_once(
        f"{why}, so no code from there is run, and nothing is cached beyond this command; chmod go-w"
        " it, or set XDG_CACHE_HOME to a folder of your own"
    )
    return Path(folder)


def make_folder(folder: Path) -> None:
    """Make a folder of the cache, which nobody else may write, whatever the umask.

    Raises:
        OSError: it cannot be made.
    """
    for each in dict.fromkeys((cache_folder(), folder)):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.mkdir(mode=0o700, exist_ok=True)


def write_cached(path: Path, content: bytes) -> None:
    """Write a small file of the cache folder, whole or not at all, if it can be: who finds none makes it
    anew. Other processes may be at it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        make_folder(path.parent)
        try:
            draft.write_bytes(content)
            draft.chmod(0o600)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)


def _usual_folder() -> Path:
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "memcap"
    try:
        return Path.home() / ".cache" / "memcap"
    except RuntimeError:
        return Path(os.devnull) / "memcap"


def precision() -> Any:
    """A context in which programs are compiled with float32 products, whatever the process has set."""
    import jax

    return jax.default_matmul_precision(PRECISION)


def _flag_works(flag: str) -> bool:
    verdict = cache_folder() / f"flag-jaxlib-{importlib.metadata.version('jaxlib')}-{hash_of(flag)}"
    try:
        answer = verdict.read_text()
    except OSError:
        answer = ""
    if answer in ("yes", "no"):
        return answer == "yes"
    environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    works = unknown = False
    for probe in _PROBES:
        # -P: a file jax.py in the current folder is none of ours
        process = subprocess.run(
            [sys.executable, "-P", "-c", probe], env=environment, capture_output=True, check=False
        )
        works, unknown = process.returncode == 0, b"Unknown flag" in process.stderr
        if works or unknown:
            break
    if works or unknown:  # any other failure says nothing of the flag
        write_cached(verdict, b"yes" if works else b"no")
    return works


def _writable(folder: Path) -> bool:
    try:
        make_folder(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _remove_half_written(folder: Path) -> None:
    """JAX writes a program where it is read, and never again: one whose process was killed would be compiled
    by every later process. What is left of it ends where a page of memory does, if it isn't empty; of whole
    ones a few do, which are compiled once more."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process removes it, too
                if entry.is_file() and entry.stat().st_size % mmap.PAGESIZE == 0:
                    os.unlink(entry.path)


def _ignore_half_written() -> None:
    """What another process writes at this moment JAX compiles anew, with a warning that nobody can act on."""
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def hash_of(flag: str) -> str:
    """8 hex digits that change with the flag."""
    return hashlib.sha256(flag.encode()).hexdigest()[:8]


def _devices_are_known() -> bool:
    """Whether JAX has met its devices, so that flags come too late: it then refuses another number of
    them."""
    import jax

    number = jax.config.values["jax_num_cpu_devices"]
    try:
        jax.config.update("jax_num_cpu_devices", number + 2)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", number)
    return False


@cache
def setup() -> None:
    """Set flags and the compilation cache, once a process. A user's own XLA_FLAGS and cache settings are
    kept.

    Flags are read when JAX first meets a device: where that has happened, they stay as they were.
    """
    import jax

    flags = os.environ.get("XLA_FLAGS", "")
    if not _devices_are_known():
        os.environ.setdefault(
            "TF_CPP_MIN_LOG_LEVEL", "2"
        )  # XLA's remarks on cached CPU code are no concern of the user
        unset = [flag for flag in CPU_FLAGS if flag.split("=")[0] not in flags]
        with ThreadPoolExecutor() as pool:
            works = list(pool.map(_flag_works, unset))
        added = [flag for flag, good in zip(unset, works, strict=True) if good]
        if added:
            os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()

    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return  # the user has a cache of his own, with rules of his own
    for name, (theirs, ours) in _CACHE.items():
        if jax.config.values[name] == theirs and name.upper() not in os.environ:
            jax.config.update(name, ours)
    folder = cache_folder() / "xla"
    if _writable(folder):
        _remove_half_written(folder)
        _ignore_half_written()
        jax.config.update("jax_compilation_cache_dir", str(folder))


def platform() -> str:
    """JAX's platform: cpu, gpu or tpu.

    Raises:
        UserError: JAX_PLATFORMS asks for what is not there.
    """
    import jax

    try:
        return jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # the latter is JAX's answer to CUDA without its packages
        requested = jax.config.values["jax_platforms"]
        if not requested:
            raise
        extra = EXTRAS.get(requested)
        remedy = f"pip install 'memcap[{extra}]'" if extra else "unset it for what is there"
        raise UserError(
            f"JAX_PLATFORMS={requested}: JAX finds no such device here; {remedy}, or JAX_PLATFORMS=cpu"
        ) from error


def worker_settings() -> dict[str, Any]:
    """JAX's settings of this process that its workers take over."""
    import jax

    return {name: jax.config.values[name] for name in WORKER_SETTINGS}


def apply_settings(settings: Mapping[str, Any]) -> None:
    """In a worker: take over the settings of the process that started it."""
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)
    if settings["jax_compilation_cache_dir"] == str(cache_folder() / "xla"):
        _ignore_half_written()


def cores() -> int:
    """CPU cores that this process may use, at least 1: by affinity, cgroups, SLURM, and the launcher that
    runs its job beside others."""
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    by_slurm = [count for name in SLURM_VARIABLES if (count := _env_int(name))]
    return max(1, min([visible, *quotas(), *by_slurm[:1], *filter(None, [_env_int(CORES_VARIABLE)])]))


def _env_int(name: str) -> int:
    """An environment variable's whole number; 0 where it holds none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else 0


def quotas(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Cores that each cgroup of this process leaves it, rounded up, in versions 1 and 2.

    A container may see the name that its cgroup has outside and only the cgroup itself inside: the folder at
    the top.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / controllers
        folder = top / path.strip("/")
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
        for each in [folder, *folder.parents[: len(folder.relative_to(top).parts)]]:
            quota, period = _quota_and_period(*(each / name for name in names))
            if quota.isdecimal() and period.isdecimal():  # "max" and -1: no quota
                yield math.ceil(int(quota) / int(period))


def _quota_and_period(*paths: Path) -> tuple[str, str]:
    """The two words that the files hold; two empty ones where they don't."""
    try:
        quota, period = " ".join(path.read_text() for path in paths).split()
    except (OSError, ValueError):
        return "", ""
    return quota, period

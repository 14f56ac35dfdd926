"""How JAX is set up: flags that make small programs fast on CPUs, a compilation cache that outlives the
process, and the precision of products. The library does it by itself, before it compiles anything; nothing
here needs the command.

Two XLA flags make the small programs of a study compile in less time and run faster on a CPU. A jaxlib that
doesn't know a flag aborts the process (0.12 no longer knows the first, and its steps are slower), so each is
tried in a child process first, once a jaxlib version. The flags in use are in every row (`xla_flags`).
"""

import contextlib
import hashlib
import importlib.metadata
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

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


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/memcap, by default ~/.cache/memcap; for a user without a home a place that cannot be
    made."""
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
        known = verdict.read_text()
    except OSError:
        known = ""
    if known in ("yes", "no"):
        return known == "yes"
    environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    works = unknown = False
    for probe in _PROBES:
        # -P: a file jax.py in the current folder is none of ours
        tried = subprocess.run(
            [sys.executable, "-P", "-c", probe], env=environment, capture_output=True, check=False
        )
        works, unknown = tried.returncode == 0, b"Unknown flag" in tried.stderr
        if works or unknown:
            break
    if works or unknown:  # any other failure says nothing of the flag
        with contextlib.suppress(OSError):  # no cache folder: ask again next time
            verdict.parent.mkdir(parents=True, exist_ok=True)
            written = verdict.with_name(
                f".{verdict.name}.{os.getpid()}"
            )  # of this flag: others are tried beside it
            written.write_text("yes" if works else "no")
            written.replace(verdict)
    return works


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


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
def prepare() -> None:
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
        added = [flag for flag, known in zip(unset, works, strict=True) if known]
        if added:
            os.environ["XLA_FLAGS"] = " ".join([flags, *added]).strip()

    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return  # the user has a cache of his own, with rules of his own
    for name, (theirs, ours) in _CACHE.items():
        if jax.config.values[name] == theirs and name.upper() not in os.environ:
            jax.config.update(name, ours)
    folder = cache_folder() / "xla"
    if _writable(folder):
        jax.config.update("jax_compilation_cache_dir", str(folder))

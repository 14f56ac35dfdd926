"""The setup of JAX before anything compiles: flags, cache, precision, platform."""

import contextlib
import mmap
import os
import resource
import warnings
from collections.abc import Mapping
from functools import cache as once
from pathlib import Path
from typing import Any

from threadpoolctl import OpenBLASController, ThreadpoolController

from memcap.knobs import UserError
from memcap.runtime import cache, flags

# Accelerators would round the factors of a product to 8 or 11 bits, which blurs what a carry holds.
PRECISION = "highest"
THREADS = "PJRT_NPROC"  # of XLA; it is read as JAX starts
LEAST_ADDRESSES = 2 << 30  # bytes of virtual memory, with which a small net trains
# JAX's own values, and ours; a setting that differs from JAX's own is the user's.
_CACHE = {
    "jax_persistent_cache_min_compile_time_secs": (1.0, 0.0),
    "jax_persistent_cache_min_entry_size_bytes": (0, -1),
}
# memcap's extra for each JAX_PLATFORMS
EXTRAS = {"cuda": "cuda", "gpu": "cuda", "tpu": "tpu"}
WORKER_SETTINGS = (  # a worker takes these over from the process that starts it
    *_CACHE,
    "jax_compilation_cache_dir",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_platforms",
    "jax_threefry_partitionable",
)


def check_addresses() -> None:
    """Refuse a limit of virtual memory at which JAX or polars would abort."""
    addresses, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= addresses < LEAST_ADDRESSES:
        raise UserError(
            f"ulimit -v {addresses >> 10}: JAX and polars reserve more addresses than"
            f" memory, and would abort; give it {LEAST_ADDRESSES >> 10} or more, or limit"
            " the memory by a cgroup"
        )


@once
def setup() -> None:
    """Set flags and the compilation cache, once per process; a user's own stay.

    JAX reads flags when it first uses a device; later changes have no effect.
    """
    import jax

    check_addresses()
    if not _devices_are_known():
        # no user needs XLA's remarks on cached CPU code
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ["XLA_FLAGS"] = flags.complete()
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return  # the user has a cache with rules of its own
    for name, (theirs, ours) in _CACHE.items():
        if jax.config.values[name] == theirs and name.upper() not in os.environ:
            jax.config.update(name, ours)
    folder = cache.folder() / "xla"
    if _is_writable(folder):
        _remove_unfit(folder)
        _ignore_half_written()
        jax.config.update("jax_compilation_cache_dir", str(folder))


@once
def limit_threads() -> bool:
    """Start JAX with one thread of XLA; return false if JAX was already in use."""
    setup()
    if _devices_are_known():
        return False
    is_unset = THREADS not in os.environ  # a user's own number stays
    os.environ.setdefault(THREADS, "1")
    try:
        platform()
    finally:
        if is_unset:  # programs that the user starts have all cores
            del os.environ[THREADS]
    return True


def limit_blas() -> None:
    """Limit SciPy's BLAS to one thread: the last bits of eigenvectors depend on it.

    Its threads also spin: with two busy cores, 34 ms in place of 1.4 for a matrix of
    172. NumPy's wheels have a BLAS of their own.
    """
    import scipy.linalg  # noqa: F401  # loads the library, as JAX does

    libraries = ThreadpoolController()
    paths = [
        each["filepath"]
        for each in libraries.info()
        if each["user_api"] == "blas" and "numpy.libs" not in each["filepath"]
    ]
    # else only the first thread that ever set a limit may do so, and others do nothing
    OpenBLASController.clear_controlling_thread(force=True)
    libraries.select(filepath=paths).limit(limits=1)
    OpenBLASController.clear_controlling_thread()


def _devices_are_known() -> bool:
    """Return whether JAX has initialised its devices, whose number is then fixed."""
    import jax

    number = jax.config.values["jax_num_cpu_devices"]
    try:
        jax.config.update("jax_num_cpu_devices", number + 2)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", number)
    return False


def _is_writable(folder: Path) -> bool:
    try:
        cache.make(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _remove_unfit(folder: Path) -> None:
    """Remove programs that others may have written, or that a kill left half-written.

    The folder is this user's alone by now (`cache.folder`). JAX never rewrites a
    program, so each process would fail on a half-written one. Those end at a page
    boundary, as do a few whole ones, which are compiled once more.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process may remove it, too
                status = entry.stat(follow_symlinks=False)
                if cache.is_others(status) or (
                    entry.is_file() and status.st_size % mmap.PAGESIZE == 0
                ):
                    os.unlink(entry.path)


def _ignore_half_written() -> None:
    """Silence JAX's warning about a program that another process is writing."""
    warnings.filterwarnings(
        "ignore", "Error reading persistent compilation cache entry"
    )


def precision() -> Any:
    import jax

    return jax.default_matmul_precision(PRECISION)


def platform() -> str:
    import jax

    try:
        return jax.default_backend()
    # JAX raises the latter for CUDA without its packages
    except (RuntimeError, AssertionError) as error:
        requested = jax.config.values["jax_platforms"]
        if not requested:
            raise
        extra = EXTRAS.get(requested)
        remedy = (
            f"pip install 'memcap[{extra}]'" if extra else "unset it for what is there"
        )
        raise UserError(
            f"JAX_PLATFORMS={requested}: JAX finds no such device here; {remedy}, or"
            " JAX_PLATFORMS=cpu"
        ) from error


def worker_settings() -> dict[str, Any]:
    import jax

    return {name: jax.config.values[name] for name in WORKER_SETTINGS}


def apply_settings(settings: Mapping[str, Any]) -> None:
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)
    if settings["jax_compilation_cache_dir"] == str(cache.folder() / "xla"):
        _ignore_half_written()

"""JAX as memcap uses it: its flags, a cache of programs that outlives the process, precision, platform.

The library sets it up by itself before it compiles anything, with and without the command.
"""

import contextlib
import mmap
import os
import warnings
from collections.abc import Mapping
from functools import cache as once
from pathlib import Path
from typing import Any

from memcap.knobs import UserError
from memcap.runtime import cache, flags

# Accelerators would round the factors of a product to 8 or 11 bits: enough noise to blur what a carry holds.
PRECISION = "highest"
# JAX's own values and ours: a setting that differs from JAX's is the user's.
_CACHE = {
    "jax_persistent_cache_min_compile_time_secs": (1.0, 0.0),
    "jax_persistent_cache_min_entry_size_bytes": (0, -1),
}
EXTRAS = {"cuda": "cuda", "gpu": "cuda", "tpu": "tpu"}  # by JAX_PLATFORMS: memcap's extra that brings it
WORKER_SETTINGS = (  # what a worker takes over from the process that starts it
    "jax_compilation_cache_dir",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_platforms",
    "jax_threefry_partitionable",
)


@once
def setup() -> None:
    """Set flags and the compilation cache, once per process. A user's own XLA_FLAGS and cache settings stay.

    JAX reads flags when it first meets a device: where that has happened, they stay as they were.
    """
    import jax

    if not _devices_are_known():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no user acts on XLA's remarks on cached CPU code
        # Eigenvectors (memcap/optimizers.py) are SciPy's BLAS's. Its threads wait by spinning, which where
        # cores are busy takes 20 times the work: 34 ms, not 1.4, for a matrix of 172 on two cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        flags.add()
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return  # the user has a cache of his own, with rules of his own
    for name, (theirs, ours) in _CACHE.items():
        if jax.config.values[name] == theirs and name.upper() not in os.environ:
            jax.config.update(name, ours)
    folder = cache.folder() / "xla"
    if _is_writable(folder):
        _remove_unfit(folder)
        _ignore_half_written()
        jax.config.update("jax_compilation_cache_dir", str(folder))


def _devices_are_known() -> bool:
    """Ask whether JAX has met its devices: it then refuses another number of them."""
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
    """Remove programs that another user wrote or may have written, and those that a killed process left
    half-written.

    The folder is this user's alone by now (`cache.folder`): what it holds stays as it is. JAX writes a
    program where it is read, and never again: every later process would compile a half-written one. It ends
    where a page of memory does. So do a few whole ones, which are compiled once more.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process removes it, too
                status = entry.stat(follow_symlinks=False)
                if cache.is_others(status) or (entry.is_file() and status.st_size % mmap.PAGESIZE == 0):
                    os.unlink(entry.path)


def _ignore_half_written() -> None:
    """Silence JAX's warning of a program that another process writes at this moment: it compiles it anew."""
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def precision() -> Any:
    """Return a context in which programs are compiled with float32 products, whatever the process has set."""
    import jax

    return jax.default_matmul_precision(PRECISION)


def platform() -> str:
    """Return JAX's platform: cpu, gpu or tpu.

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
    """Return JAX's settings of this process that its workers take over."""
    import jax

    return {name: jax.config.values[name] for name in WORKER_SETTINGS}


def apply_settings(settings: Mapping[str, Any]) -> None:
    """Take over, in a worker, the settings of the process that started it."""
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)
    if settings["jax_compilation_cache_dir"] == str(cache.folder() / "xla"):
        _ignore_half_written()

"""Child processes: how all of them are started, and whole programs, timed from start to end."""

import os
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
THREADS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
NO_CACHE = {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # everyone compiles
HASTE = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # where times say nothing


class ProgramError(RuntimeError):
    """A program ended with an error."""


@dataclass(frozen=True)
class Ran:
    """A program that has ended."""

    wall: float  # seconds from its start to its end
    cpu: float  # seconds of CPU time, of it and of the processes that it waited for
    output: str  # what it printed


def last_core() -> int | None:
    """Return the last core that this process may use: systems put their own work on the
    first. None: no pinning here."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def cache_environment(folder: Path) -> dict[str, str]:
    """Return variables that put every compilation cache inside `folder`, JAX's own, too."""
    return {
        "XDG_CACHE_HOME": str(folder),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@contextmanager
def settings(core: int | None, environment: Mapping[str, str]) -> Generator[None]:
    """Children that start within run on the CPU, with thread pools of one, and can
    import what lies beside this folder.

    Args:
        core: to which they are pinned from their first moment: libraries size their
            thread pools by it; None: they are not.
        environment: variables on top of this process's own.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = {**THREADS, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path, **environment}
    before = dict(os.environ)
    cores = None if core is None else os.sched_getaffinity(0)
    try:
        os.environ.update(variables)
        if core is not None:
            os.sched_setaffinity(0, {core})
        yield
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
        os.environ.clear()
        os.environ.update(before)


def run(
    arguments: Sequence[str], core: int | None, environment: Mapping[str, str]
) -> Ran:
    """Run a program to its end, with `settings`.

    Raises:
        ProgramError: with the end of what it said.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        with settings(core, environment):
            process = subprocess.Popen(
                list(arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=errors
            )
        _, status, usage = os.wait4(
            process.pid, 0
        )  # `wait` would not tell of this child alone
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            said = "\n".join(errors.read().splitlines()[-20:])
            raise ProgramError(
                f"{' '.join(arguments)}: exit code {process.returncode}\n{said}"
            )
        return Ran(wall, usage.ru_utime + usage.ru_stime, output.read())

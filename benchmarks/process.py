"""Child processes: how all of them are started, and whole programs, with what they took from their start to
their end."""

import os
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
NO_CACHE = {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # everyone compiles
HASTE = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # where times say nothing
# JAX's persistent compilation cache, for contestants that would otherwise have none.
CACHED = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


class ProgramError(RuntimeError):
    """A program ended with an error."""


@dataclass(frozen=True)
class Ran:
    """A program that has ended.

    Args:
        wall: seconds from its start to its end.
        cpu: seconds of CPU time, of it and of the processes that it waited for.
        output: what it printed.
    """

    wall: float
    cpu: float
    output: str


def last_core() -> int | None:
    """The last core that this process may use: the first is where systems put their own work. None: no
    pinning here."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@contextmanager
def pinned(core: int | None) -> Generator[None]:
    """Children that this thread starts stay on one core; None: as they are."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cache_environment(folder: Path) -> dict[str, str]:
    """Every compilation cache inside `folder`."""
    return {"XDG_CACHE_HOME": str(folder), "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"), **CACHED}


def start(
    arguments: Sequence[str], core: int | None, environment: Mapping[str, str], **streams: Any
) -> subprocess.Popen:
    """Start a child: on the CPU, with thread pools of one, and able to import what lies beside this folder.

    Args:
        arguments: of the command; the first is the executable.
        core: to which it is pinned from its first moment, with its own children: libraries size their thread
            pools by it.
        environment: variables on top of this process's own.
        streams: stdin, stdout and stderr, as `Popen` takes them.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = os.environ | THREADS | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path} | dict(environment)
    with pinned(core):
        return subprocess.Popen(list(arguments), env=variables, **streams)


def run(arguments: Sequence[str], core: int | None, environment: Mapping[str, str]) -> Ran:
    """Run a program to its end; the arguments are those of `start`.

    Raises:
        ProgramError: with the end of what it said.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = start(arguments, core, environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)  # `wait` would not tell of this child alone
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            said = "\n".join(errors.read().splitlines()[-20:])
            raise ProgramError(f"{' '.join(arguments)}: exit code {process.returncode}\n{said}")
        return Ran(wall, usage.ru_utime + usage.ru_stime, output.read())

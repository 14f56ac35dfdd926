"""Whole programs as children: what they took from their start to their end, and what they printed."""

import os
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.protocol import THREADS

ROOT = Path(__file__).resolve().parents[1]
# JAX's persistent compilation cache, for contestants that would otherwise have none.
CACHED = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


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


def run(arguments: Sequence[str], core: int | None, environment: Mapping[str, str]) -> Ran:
    """Run a program to its end.

    Args:
        arguments: of the command; the first is the executable.
        core: to which it is pinned, with its own children.
        environment: variables on top of this process's own.

    Raises:
        ProgramError: with the end of what it said.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = os.environ | THREADS | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path} | dict(environment)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        with pinned(core):
            start = time.perf_counter()
            process = subprocess.Popen(list(arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=variables)
        _, status, usage = os.wait4(process.pid, 0)  # `wait` would not tell of this child alone
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            said = "\n".join(errors.read().splitlines()[-20:])
            raise ProgramError(f"{' '.join(arguments)}: exit code {process.returncode}\n{said}")
        return Ran(wall, usage.ru_utime + usage.ru_stime, output.read())

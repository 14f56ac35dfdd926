"""A process of a contestant, which answers calls on an object of its own, one at a time.

Requests are (method, arguments). The method "build" makes the object, every other is
one of its own. A reply is (seconds by the wall, seconds of CPU time, result, error).
What libraries print goes to stderr.
"""

import multiprocessing
import os
import pkgutil
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from benchmarks import process


class Seconds(NamedTuple):
    """A call's seconds, by the wall and of CPU time: the same for one thread that has a
    core to itself."""

    wall: float
    cpu: float


class WorkerError(RuntimeError):
    """A contestant's process failed."""


class Worker:
    """A contestant's process, seen from the driver. Use it as a context manager.

    Args:
        target: "module:class" of what it builds.
        core: to which it is pinned; None where the system cannot pin.
        environment: variables on top of the driver's own.
    """

    def __init__(
        self,
        target: str,
        core: int | None,
        environment: Mapping[str, str] | None = None,
    ):
        self.target = target
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, target)
        )
        with process.settings(core, environment or {}):
            self._process.start()
        theirs.close()

    def _request(self, method: str, arguments: tuple) -> tuple[Seconds, Any]:
        try:
            self._pipe.send((method, arguments))
            wall, cpu, result, error = self._pipe.recv()
        except (EOFError, OSError) as cause:
            self._process.join()
            code = self._process.exitcode
            raise WorkerError(
                f"{self.target}: the process ended (exit code {code})"
            ) from cause
        if error is not None:
            raise WorkerError(f"{self.target}: {method} failed\n{error}")
        return Seconds(wall, cpu), result

    def call(self, method: str, *arguments: Any) -> Any:
        """Return the result of a method of the contestant; "build" makes the contestant."""
        return self._request(method, arguments)[1]

    def timed(self, method: str, *arguments: Any) -> Seconds:
        """Return what a call took, by the contestant's own clock."""
        return self._request(method, arguments)[0]

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)
        self._process.kill()
        self._process.join()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(pipe: Connection, target: str) -> None:
    """Answer until the driver closes the pipe."""
    os.dup2(2, 1)
    contestant = None
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        start = time.perf_counter()
        start_cpu = time.process_time()
        result = error = None
        try:
            if method == "build":
                contestant = None  # free the one before
                contestant = pkgutil.resolve_name(target)(*arguments)
            else:
                result = getattr(contestant, method)(*arguments)
        except Exception:
            error = traceback.format_exc()
        pipe.send(
            (
                time.perf_counter() - start,
                time.process_time() - start_cpu,
                result,
                error,
            )
        )

"""The process of one contestant, which answers calls on an object of its own, one at a time: both ends of the
pipe.

`Worker` is the driver's end, `python -m benchmarks.worker MODULE:CLASS` the process. Requests come by stdin
as pickled (method, arguments). The method "build" makes the object, "about" tells of the process, every other
is one of the object's own. A reply is (seconds by the wall, seconds of CPU time, result, error). What
libraries print goes to stderr, never between the replies.
"""

import os
import pickle
import pkgutil
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks import process


class Seconds(NamedTuple):
    """What a call took: by the wall, and of CPU time. They are the same for who has a core to itself and one
    thread at work."""

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

    def __init__(self, target: str, core: int | None, environment: Mapping[str, str] | None = None):
        self.target = target
        command = [sys.executable, "-m", "benchmarks.worker", target]
        self._process = process.start(
            command, core, environment or {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _request(self, method: str, arguments: tuple) -> tuple[Seconds, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((method, arguments), self._process.stdin)
            self._process.stdin.flush()
            wall, cpu, result, error = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError) as cause:
            raise WorkerError(
                f"{self.target}: the process ended (exit code {self._process.wait()})"
            ) from cause
        if error is not None:
            raise WorkerError(f"{self.target}: {method} failed\n{error}")
        return Seconds(wall, cpu), result

    def call(self, method: str, *arguments: Any) -> Any:
        """Result of a method of the contestant; "build" makes the contestant."""
        return self._request(method, arguments)[1]

    def timed(self, method: str, *arguments: Any) -> Seconds:
        """What a call took, by the contestant's own clock."""
        return self._request(method, arguments)[0]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def about() -> dict[str, Any]:
    """The flags and the cores that the libraries in this process have found."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), "cores": cores}


def serve(target: str) -> None:
    """Answer until the driver closes the pipe."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    contestant = None
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        start, start_cpu = time.perf_counter(), time.process_time()
        result = error = None
        try:
            if method == "build":
                contestant = None  # free the one before
                contestant = pkgutil.resolve_name(target)(*arguments)
            elif method == "about":
                result = about()
            else:
                result = getattr(contestant, method)(*arguments)
        except Exception:
            error = traceback.format_exc()
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        pickle.dump((seconds, cpu, result, error), replies)
        replies.flush()


if __name__ == "__main__":
    serve(sys.argv[1])

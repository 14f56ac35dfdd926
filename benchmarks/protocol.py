"""How contestants are timed: a persistent process each, all pinned to one core, one at work at a time, in turn.

Whatever slows the machine down for a while then slows everyone down alike, and the medians of ratios stay.
"""

import os
import pickle
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
QUIET = 0.2  # load average of other work above which timings are doubtful
ALONE = 0.95  # part of a core that a contestant must have had


class Seconds(NamedTuple):
    """What a call took: by the wall, and of CPU time. They are the same for who has a core to itself and one thread at work."""

    wall: float
    cpu: float


class WorkerError(RuntimeError):
    """A contestant's process failed."""


class Worker:
    """A contestant's process, seen from the driver. Use it as a context manager.

    Args:
        target: "module:class" of what it builds.
        core: to which it is pinned; None where the system cannot pin.
        environment: variables on top of the driver's own and of `THREADS`.
    """

    def __init__(self, target: str, core: int | None, environment: Mapping[str, str] | None = None):
        self.target = target
        root = Path(__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", target, *([] if core is None else [str(core)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | THREADS | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path} | dict(environment or {}),
        )

    def _request(self, method: str, arguments: tuple) -> tuple[Seconds, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((method, arguments), self._process.stdin)
            self._process.stdin.flush()
            wall, cpu, result, error = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError) as cause:
            raise WorkerError(f"{self.target}: the process ended (exit code {self._process.wait()})") from cause
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


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Args:
        seconds: of a slice, after which the next contestant has its turn.
        rounds: slices of each contestant that count.
        warmups: rounds before, which do not.
        batches: made in advance, and gone through again where a slice needs more.
    """

    seconds: float = 0.25
    rounds: int = 7
    warmups: int = 1
    batches: int = 256


TINY = Plan(seconds=0.005, rounds=1, warmups=0, batches=16)


@dataclass(frozen=True)
class Timing:
    """One sample a slice.

    Args:
        samples: seconds a step, by the wall.
        cpu: seconds a step, of CPU time.
        steps: that a slice had.
    """

    samples: tuple[float, ...]
    cpu: tuple[float, ...]
    steps: int

    @cached_property
    def median(self) -> float:
        """Seconds a step, by the wall."""
        return statistics.median(self.samples)

    @cached_property
    def busy(self) -> float:
        """The part of a core that it had: well below 1, and something else ran there."""
        return sum(self.cpu) / sum(self.samples)


def slice_steps(worker: Worker, stride: int, seconds: float) -> int:
    """Steps, a multiple of `stride`, that take about `seconds`."""
    steps = stride
    while (took := worker.timed("run", steps).wall) < seconds / 3:
        steps *= 2
    return max(1, round(seconds / took * steps / stride)) * stride


def interleaved(workers: Mapping[str, Worker], strides: Mapping[str, int], plan: Plan) -> dict[str, Timing]:
    """Time everyone in turn, round after round. Each must have been built, loaded and compiled."""
    steps = {name: slice_steps(worker, strides[name], plan.seconds) for name, worker in workers.items()}
    slices: dict[str, list[Seconds]] = {name: [] for name in workers}
    for k in range(plan.warmups + plan.rounds):
        for name, worker in workers.items():
            taken = worker.timed("run", steps[name])
            if k >= plan.warmups:
                slices[name].append(taken)
    return {
        name: Timing(tuple(s.wall / n for s in slices[name]), tuple(s.cpu / n for s in slices[name]), n)
        for name, n in steps.items()
    }


def last_core() -> int | None:
    """The last core that this process may use: the first is where systems put their own work. None: no pinning here."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def other_load() -> float | None:
    """Load average of the last minute; of other work, if it is asked before any of ours. None where unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def load_warning(load: float | None) -> str | None:
    """What to say if other work is running."""
    if load is None or load <= QUIET:
        return None
    return f"warning: the load average was {load:.2f} before anything started, above {QUIET}: other work disturbs these timings"

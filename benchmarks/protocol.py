"""How contestants are timed: a persistent process each, all pinned to one core, one at
work at a time, in turn.

Whatever slows the machine down for a while then slows everyone down alike, and the
medians of ratios stay.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from benchmarks.worker import Seconds, Worker

ALONE = 0.95  # part of a core that a contestant must have had


@dataclass(frozen=True)
class Plan:
    """Rounds of slices of so many seconds, after warm-ups; batches are made in advance,
    and used again."""

    seconds: float = 0.25
    rounds: int = 7
    warmups: int = 1
    batches: int = 256


TINY = Plan(seconds=0.005, rounds=1, warmups=0, batches=16)


@dataclass(frozen=True)
class Timing:
    """A sample per slice: seconds per step by the wall and of CPU time, and the steps
    of a slice."""

    samples: tuple[float, ...]
    cpu: tuple[float, ...]
    steps: int

    @cached_property
    def median(self) -> float:
        """Seconds per step, by the wall."""
        return statistics.median(self.samples)

    @cached_property
    def busy(self) -> float:
        """The part of a core that it had: well below 1, and something else ran there."""
        return sum(self.cpu) / sum(self.samples)


def slice_steps(worker: Worker, stride: int, seconds: float) -> int:
    """Return how many steps, a multiple of `stride`, take about `seconds`."""
    steps = stride
    while (took := worker.timed("run", steps).wall) < seconds / 3:
        steps *= 2
    return max(1, round(seconds / took * steps / stride)) * stride


def interleaved(
    workers: Mapping[str, Worker], strides: Mapping[str, int], plan: Plan
) -> dict[str, Timing]:
    """Time everyone in turn, round after round. Each must have been built, loaded and compiled."""
    steps = {
        name: slice_steps(worker, strides[name], plan.seconds)
        for name, worker in workers.items()
    }
    slices: dict[str, list[Seconds]] = {name: [] for name in workers}
    for k in range(plan.warmups + plan.rounds):
        for name, worker in workers.items():
            taken = worker.timed("run", steps[name])
            if k >= plan.warmups:
                slices[name].append(taken)
    return {
        name: Timing(
            tuple(s.wall / n for s in slices[name]),
            tuple(s.cpu / n for s in slices[name]),
            n,
        )
        for name, n in steps.items()
    }

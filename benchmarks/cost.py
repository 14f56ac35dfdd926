"""How memcap's time and memory grow with members, lag, units and batch, and what a
second worker saves."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.process import HASTE
from benchmarks.report import say
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker
from memcap.config.member import Engine, Member, resolve
from memcap.runtime import jax_setup
from memcap.training.engine import train
from memcap.training.program import Program, compiled

PEERS = ()  # memcap alone
MIB = 1 << 20
TARGET = "benchmarks.cost:Trainer"
THEORY = {  # slopes of time and of memory
    "members": (1.0, 0.0),
    "lag": (1.0, 1.0),
    "units": (2.0, 1.0),
    "batch": (1.0, 1.0),
}


@dataclass(frozen=True)
class Point:
    """Members of a delay line, T = 4 lag, that differ in their seed; several widths
    have as many each.

    Nothing stops them before their last step. `every` 0: one check, at the end.
    """

    members: int = 1
    lag: int = 16
    units: int | tuple[int, ...] = 16
    batch: int = 64
    steps: int = 200
    every: int = 0

    def resolved(self, first_seed: int = 0) -> list[Member]:
        """Return the members. A learning rate of 1e-9 leaves them at chance: no verdict
        is ever near."""
        values = {
            "task": {"name": "delay_line", "lag": self.lag, "length": 4 * self.lag},
            "recipe": {
                "name": "forget_bias",
                "lr": 1e-9,
                "batch": self.batch,
                "budget": self.steps,
            },
            "evaluation": {
                "every": self.every or self.steps,
                "sequences": 1,
                "stretch": 1,
            },
        }
        return [
            resolve(values | {"model": {"units": units}, "seed": first_seed + k})
            for units in ([self.units] if isinstance(self.units, int) else self.units)
            for k in range(self.members)
        ]


class Trainer:
    """Trains points; built in a process of `benchmarks.worker`."""

    def __init__(self) -> None:
        jax_setup.setup()  # flags are read when JAX is first used, not when it is imported
        self.seed = 0

    def train(self, point: Point, workers: int = 1) -> tuple[float, float]:
        """Train a point's members, each time others. Return seconds by the wall, and
        those of the members.

        Raises:
            RuntimeError: a member has not taken all its steps.
        """
        members = point.resolved(self.seed)
        self.seed += point.members
        start = time.perf_counter()
        ended = train(members, Engine(loop="reproducible", workers=workers))
        wall = time.perf_counter() - start
        if any(each.steps != point.steps for each in ended):
            raise RuntimeError(
                f"{point}: took {sorted({each.steps for each in ended})} steps"
            )
        return wall, sum(each.run_seconds for each in ended)

    def planned(self, point: Point) -> int:
        """Return the bytes of temporaries that XLA has planned for the training program."""
        return (
            compiled(Program.of(point.resolved()[0]))
            .train_chunk.memory_analysis()
            .temp_size_in_bytes
        )


@dataclass(frozen=True)
class CostPlan:
    """The points along each axis from `origin`, and the study that one worker and two
    train in turn."""

    origin: Point = field(default_factory=Point)
    axes: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("members", (1, 2, 4, 8, 16, 32)),
        ("lag", (1, 2, 4, 8, 16, 32, 64)),
        ("units", (1, 2, 4, 8, 16, 32, 64, 128)),
        ("batch", (16, 32, 64, 128, 256)),
    )
    repeats: int = 3
    study: Point = field(
        default_factory=lambda: Point(
            members=4, units=tuple(range(9, 21)), steps=1500, every=500
        )
    )
    studies: int = 2


TINY = CostPlan(
    origin=Point(lag=1, units=1, batch=2, steps=4),
    axes=(("members", (1, 2)), ("lag", (1, 2)), ("units", (1, 2)), ("batch", (2, 4))),
    repeats=1,
    study=Point(lag=1, units=(1, 2), batch=2, steps=4),
    studies=1,
)


@dataclass(frozen=True)
class Cost:
    """A point's seconds, of each repeat without compiling, and bytes of temporaries
    that XLA has planned."""

    point: Point
    seconds: tuple[float, ...]
    planned: int

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Measured:
    """A whole run; studies by number of workers: (wall, CPU time of the first process)
    of each repeat."""

    axes: dict[str, list[Cost]]
    studies: dict[int, list[tuple[float, float]]]


add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Measure the axes, then the workers."""
    plan, environment = (TINY, HASTE) if arguments.tiny else (CostPlan(), {})
    measured = measure(plan, arguments.core, environment)
    return Outcome(page(measured, plan, facts), {"plan": plan, **vars(measured)})


def measure(
    plan: CostPlan, core: int | None, environment: Mapping[str, str]
) -> Measured:
    """Measure the axes in one process, which also fills the cache for the workers."""
    studies: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as cache:
        environment = {**environment, "XDG_CACHE_HOME": cache}
        with Worker(TARGET, core, environment) as first:
            first.call("build")
            axes = grow(plan, first)
            first.call(
                "train",
                replace(
                    plan.study, members=1, steps=plan.study.every or plan.study.steps
                ),
            )
        for k in range(plan.studies):
            for count in studies if k % 2 == 0 else reversed(studies):
                say(f"a study by {count} worker{'s' * (count > 1)}")
                with Worker(TARGET, None, environment) as worker:
                    worker.call("build")
                    studies[count].append(
                        tuple(worker.timed("train", plan.study, count))
                    )
    return Measured(axes, studies)


def grow(plan: CostPlan, worker: Worker) -> dict[str, list[Cost]]:
    """Measure every axis; a point is compiled by a run that does not count."""
    found: dict[Point, Cost] = {}
    axes: dict[str, list[Cost]] = {}
    for axis, values in plan.axes:
        for value in values:
            point = replace(plan.origin, **{axis: value})
            if point not in found:
                say(f"{axis} {value}")
                worker.call("train", point)
                seconds = tuple(
                    worker.timed("train", point).wall for _ in range(plan.repeats)
                )
                found[point] = Cost(point, seconds, worker.call("planned", point))
            axes.setdefault(axis, []).append(found[point])
    return axes


def slope(places: Sequence[float], values: Sequence[float]) -> float | None:
    """Fit a straight line to the upper half of an axis, both logarithmic; None where a
    value is not above 0."""
    half = len(places) // 2 if len(places) > 2 else 0
    upper = list(values[half:])
    if min(upper) <= 0:
        return None
    return float(np.polyfit(np.log(places[half:]), np.log(upper), 1)[0])


def page(measured: Measured, plan: CostPlan, facts: Mapping[str, Any]) -> str:
    """Write the report, as Markdown."""
    at = plan.origin
    notes = [
        f"a delay line, T = 4 lag; members of {at.steps} steps, one worker; medians of"
        f" {plan.repeats} after one that does not count; without compiling, without evaluations"
    ]
    body = [
        "",
        "## How time and memory grow",
        "",
        (
            f"Held while another axis grows: {at.members} member, lag {at.lag}, {at.units} units,"
            f" {at.batch} sequences. Slopes are those of the upper half of an axis, logarithmic"
            " in both, beside what theory says of large values: a step's products grow with"
            " units^2, but its tanh with units; members are trained one after another, so memory"
            " does not grow with them."
        ),
    ]
    for axis, costs in measured.axes.items():
        body += ["", axis_table(axis, costs)]
    return report.page(
        "What memcap's runs cost", facts, notes, body + worker_lines(measured, plan)
    )


def axis_table(axis: str, costs: Sequence[Cost]) -> str:
    """Write the table of one axis."""
    places = [getattr(cost.point, axis) for cost in costs]
    body = [
        [
            str(place),
            f"{cost.median:.3g} [{min(cost.seconds):.3g}, {max(cost.seconds):.3g}]",
            f"{1e3 * cost.median / (cost.point.members * cost.point.steps):.3g}",
            f"{cost.planned / MIB:.2f}",
        ]
        for place, cost in zip(places, costs, strict=True)
    ]
    slopes = [
        slope(places, [getattr(cost, name) for cost in costs])
        for name in ("median", "planned")
    ]
    seconds, planned = ("-" if value is None else f"{value:.2f}" for value in slopes)
    of_time, of_memory = (f"{value:g}" for value in THEORY[axis])
    body += [["slope", seconds, "", planned], ["in theory", of_time, "", of_memory]]
    head = [axis, "seconds [least, most]", "ms a member's step", "MiB planned by XLA"]
    return report.table(head, body)


def worker_lines(measured: Measured, plan: CostPlan) -> list[str]:
    """Compare one worker with two."""
    walls = {
        count: statistics.median(wall for wall, _ in taken)
        for count, taken in measured.studies.items()
    }
    rows = [
        [str(count), *(f"{wall:.1f}" for wall, _ in taken)]
        for count, taken in measured.studies.items()
    ]
    study = plan.study
    count = len(study.units) if isinstance(study.units, tuple) else 1
    return [
        "",
        "## Two workers",
        "",
        (
            f"{count * study.members} members: {count} widths, {study.members} seeds, lag"
            f" {study.lag}, {study.steps:,} steps each; no process is pinned; everything is in"
            " the compilation cache, from where each worker reads it within the clock."
        ),
        "",
        report.table(
            ["workers", *(f"seconds, {k + 1}" for k in range(plan.studies))], rows
        ),
        "",
        f"Two workers are {walls[1] / walls[2]:.2f} times as fast as one, by medians.",
    ]

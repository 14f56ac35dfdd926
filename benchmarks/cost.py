"""How memcap's time and memory grow, what its stop checks and its second worker cost, and what a large study
would."""

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks import estimate, report
from benchmarks.estimate import Estimate
from benchmarks.growth import Point
from benchmarks.process import HASTE
from benchmarks.report import say
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker

PEERS = ()  # memcap alone
MIB = 1 << 20
TARGET = "benchmarks.growth:Trainer"
MOST_LOST = 0.02  # of the time of a run, to stop checks


@dataclass(frozen=True)
class CostPlan:
    """What is measured.

    Args:
        origin: what stays as it is while one axis is gone along.
        axes: values of each axis.
        repeats: runs of each point that count, after one that does not.
        check: a run for the stop checks; its `every` is the longer interval.
        every: the shorter interval.
        check_units: widths of these runs.
        checks: repeats of each, in turn.
        study: what two workers train.
        studies: repeats of it, in turn.
    """

    origin: Point = field(default_factory=Point)
    axes: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("members", (1, 2, 4, 8, 16, 32)),
        ("lag", (1, 2, 4, 8, 16, 32, 64)),
        ("units", (1, 2, 4, 8, 16, 32, 64, 128)),
        ("batch", (16, 32, 64, 128, 256)),
    )
    repeats: int = 3
    check: Point = field(default_factory=lambda: Point(steps=2000, every=1000))
    every: int = 100
    check_units: tuple[int, ...] = (2, 8, 24)
    checks: int = 7
    study: Point = field(
        default_factory=lambda: Point(members=4, units=tuple(range(9, 21)), steps=1500, every=500)
    )
    studies: int = 2


TINY = CostPlan(
    origin=Point(lag=1, units=1, batch=2, steps=4),
    axes=(("members", (1, 2)), ("lag", (1, 2)), ("units", (1, 2)), ("batch", (2, 4))),
    repeats=1,
    check=Point(lag=1, batch=2, steps=4, every=4),
    every=2,
    check_units=(2,),
    checks=1,
    study=Point(lag=1, units=(1, 2), batch=2, steps=4),
    studies=1,
)
THEORY = {
    "members": (1.0, 0.0),
    "lag": (1.0, 1.0),
    "units": (2.0, 1.0),
    "batch": (1.0, 1.0),
}  # slopes of time and of memory


@dataclass(frozen=True)
class Cost:
    """A point, measured.

    Args:
        point: what was trained.
        seconds: of each repeat, without compiling.
        planned: bytes of temporaries in XLA's plan of the training program.
        peak: bytes of the process at its peak, above a process that trains the smallest member there is.
    """

    point: Point
    seconds: tuple[float, ...]
    planned: int
    peak: int

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Measured:
    """All of a run.

    Args:
        axes: the points along each axis.
        checks: by width, seconds of the runs with many stop checks, and of those with few.
        studies: by number of workers, (wall, CPU time of the first process) of each repeat.
    """

    axes: dict[str, list[Cost]]
    checks: dict[int, tuple[list[float], list[float]]]
    studies: dict[int, list[tuple[float, float]]]


add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Measure."""
    plan, environment = (TINY, HASTE) if arguments.tiny else (CostPlan(), {})
    measured = measure(plan, arguments.core, environment)
    data = {"plan": asdict(plan), **asdict(measured), "estimate": asdict(Estimate())}
    return Outcome(page(measured, plan, facts), data)


def measure(plan: CostPlan, core: int | None, environment: Mapping[str, str]) -> Measured:
    """The axes, the stop checks, the workers. Everything is compiled by a process of its own, for the
    cache."""
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as cache:
        environment = {**environment, "XDG_CACHE_HOME": cache}
        with Worker(TARGET, core, environment) as compiler:
            compiler.call("build")
            axes = grow(plan, compiler, core, environment)
            checks = {units: stop_checks(plan, units, compiler) for units in plan.check_units}
            compiler.call("train", replace(plan.study, members=1, steps=plan.study.every or plan.study.steps))
        studies: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        for k in range(plan.studies):
            for count in studies if k % 2 == 0 else reversed(studies):
                say(f"a study by {count} worker{'s' * (count > 1)}")
                with Worker(TARGET, None, environment) as worker:
                    worker.call("build")
                    studies[count].append(tuple(worker.timed("train", plan.study, count)))
    return Measured(axes, checks, studies)


def grow(
    plan: CostPlan, compiler: Worker, core: int | None, environment: Mapping[str, str]
) -> dict[str, list[Cost]]:
    """Every axis, a fresh process a point: its peak is that of this point alone, and it compiles nothing."""
    smallest = Point(members=1, lag=1, units=1, batch=1, steps=plan.origin.steps)
    compiler.call("train", smallest)  # the small programs that every member needs
    _, _, base = fresh(smallest, 1, compiler, core, environment)
    found: dict[Point, Cost] = {}
    axes: dict[str, list[Cost]] = {}
    for axis, values in plan.axes:
        for value in values:
            point = replace(plan.origin, **{axis: value})
            if point not in found:
                say(f"{axis} {value}")
                seconds, planned, peak = fresh(point, plan.repeats, compiler, core, environment)
                found[point] = Cost(point, seconds, planned, peak - base)
            axes.setdefault(axis, []).append(found[point])
    return axes


def fresh(
    point: Point, repeats: int, compiler: Worker, core: int | None, environment: Mapping[str, str]
) -> tuple[tuple[float, ...], int, int]:
    """Seconds of each repeat, planned bytes, peak bytes, of a process that trains this point."""
    planned = compiler.call("planned", point)
    with Worker(TARGET, core, environment) as worker:
        worker.call("build")
        worker.call("train", point)
        seconds = tuple(worker.timed("train", point).wall for _ in range(repeats))
        return seconds, planned, worker.call("peak")


def stop_checks(plan: CostPlan, units: int, worker: Worker) -> tuple[list[float], list[float]]:
    """The same steps with many stop checks and with few, in turn."""
    say(f"stop checks, {units} units")
    few = replace(plan.check, units=units)
    many = replace(few, every=plan.every)
    for point in (many, few):
        worker.call("train", point)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(plan.checks):
        for point, taken in zip((many, few), seconds, strict=True):
            taken.append(worker.timed("train", point).wall)
    return seconds


def lost(many: Sequence[float], few: Sequence[float]) -> float:
    """Share of the time that the additional checks cost, by medians."""
    return statistics.median(many) / statistics.median(few) - 1


def slope(places: Sequence[float], values: Sequence[float]) -> float | None:
    """Of a straight line through the upper half of the axis, both logarithmic; None where a value is not
    above 0."""
    half = len(places) // 2 if len(places) > 2 else 0
    upper = list(values[half:])
    if min(upper) <= 0:
        return None
    return float(np.polyfit(np.log(places[half:]), np.log(upper), 1)[0])


def page(measured: Measured, plan: CostPlan, facts: Mapping[str, Any]) -> str:
    """The report, as Markdown."""
    at = plan.origin
    notes = [
        f"a delay line, T = 4 lag; members of {at.steps} steps, one worker; medians of {plan.repeats} after"
        " one that does not"
        " count; without compiling, without evaluations",
    ]
    body = [
        "",
        "## How time and memory grow",
        "",
        f"Held while another axis grows: {at.members} member, lag {at.lag}, {at.units} units, {at.batch}"
        " sequences. Slopes"
        " are those of the upper half of an axis, logarithmic in both, beside what theory says of large"
        " values (a step's products"
        " grow with units^2, but its tanh with units; members are trained one after another, so memory does"
        " not grow with them)."
        " The peak is that of the process, above that of one that trains the smallest member; a few MiB of"
        " it are noise.",
    ]
    for axis, costs in measured.axes.items():
        body += ["", axis_table(axis, costs)]
    body += check_lines(measured, plan) + worker_lines(measured, plan) + estimate.section(Estimate())
    return report.page("What memcap's runs cost", facts, notes, body)


def axis_table(axis: str, costs: Sequence[Cost]) -> str:
    """One axis."""
    places = [getattr(cost.point, axis) for cost in costs]
    body = [
        [
            str(place),
            f"{cost.median:.3g} [{min(cost.seconds):.3g}, {max(cost.seconds):.3g}]",
            f"{1e3 * cost.median / (cost.point.members * cost.point.steps):.3g}",
            f"{cost.planned / MIB:.2f}",
            f"{cost.peak / MIB:.1f}",
        ]
        for place, cost in zip(places, costs, strict=True)
    ]
    slopes = [
        slope(places, [getattr(cost, name) for cost in costs]) for name in ("median", "planned", "peak")
    ]
    time, planned, peak = ("-" if value is None else f"{value:.2f}" for value in slopes)
    of_time, of_memory = THEORY[axis]
    body += [
        ["slope", time, "", planned, peak],
        ["in theory", f"{of_time:g}", "", f"{of_memory:g}", f"{of_memory:g}"],
    ]
    return report.table(
        [axis, "seconds [least, most]", "ms a member's step", "MiB planned by XLA", "MiB at the peak"], body
    )


def check_lines(measured: Measured, plan: CostPlan) -> list[str]:
    """What stop checks cost."""
    few, steps = plan.check.every, plan.check.steps
    body = [
        [str(units), *(f"{statistics.median(seconds):.3f}" for seconds in both), f"{lost(*both):+.1%}"]
        for units, both in measured.checks.items()
    ]
    worst = max(lost(*both) for both in measured.checks.values())
    return [
        "",
        "## Stop checks",
        "",
        f"{steps:,} steps of a member that is never near a verdict, lag {plan.check.lag}, in turn, medians"
        f" of {plan.checks}."
        f" Claimed: at most {MOST_LOST:.0%} lost; {'held' if worst <= MOST_LOST else 'NOT held'} here"
        f" ({worst:+.1%}).",
        "",
        report.table(["units", f"s, a check every {plan.every} steps", f"every {few}", "lost"], body),
    ]


def worker_lines(measured: Measured, plan: CostPlan) -> list[str]:
    """One worker against two."""
    walls = {count: statistics.median(wall for wall, _ in taken) for count, taken in measured.studies.items()}
    rows = [[str(count), *(f"{wall:.1f}" for wall, _ in taken)] for count, taken in measured.studies.items()]
    sizes, lag = plan.study.units, plan.study.lag
    count = len(sizes) if isinstance(sizes, tuple) else 1
    return [
        "",
        "## Two workers",
        "",
        f"{count * plan.study.members} members: {count} widths, {plan.study.members} seeds, lag {lag},"
        f" {plan.study.steps:,} steps"
        " each; no process is pinned; everything is in the compilation cache, from where each worker reads"
        " it within the clock.",
        "",
        report.table(["workers", *(f"seconds, {k + 1}" for k in range(plan.studies))], rows),
        "",
        f"Two workers are {walls[1] / walls[2]:.2f} times as fast as one, by medians.",
    ]

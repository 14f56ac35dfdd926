"""Seconds a training step, beside Keras, PyTorch, Flax and Equinox: same batches,
optimizer and clip, one core, in turn."""

import argparse
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import gate, report
from benchmarks.peers import CONTESTANTS, OURS, Contestant, installed
from benchmarks.peers.base import CLIP, LR, Shape
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.protocol import ALONE, TINY, Plan, Timing, interleaved
from benchmarks.report import say
from benchmarks.roofline import Ceilings, floor
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker
from benchmarks.workloads import WORKLOADS, Workload

PEERS = tuple(name for name in CONTESTANTS if name not in OURS)
SEED = 0
Case = tuple[Workload, int]  # and units
FIRST_STEPS = 16  # of the first run: a multiple of every contestant's stride


@dataclass(frozen=True)
class Row:
    """One contestant at one width: seconds per step, and at the roofline; errors are
    those of `gate`."""

    workload: str
    shape: Shape
    contestant: str
    timing: Timing
    compile_seconds: float
    floor: float
    gradient_error: float
    trained_error: float


@dataclass(frozen=True)
class Measured:
    """A whole run: rows, the core's ceilings, and the float64 differences."""

    rows: list[Row]
    ceilings: Ceilings
    double_errors: dict[str, float]


add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Check, then time."""
    workloads = WORKLOADS
    plan = Plan()
    environment = NO_CACHE
    if arguments.tiny:
        workloads = tuple(
            replace(each, units=each.units[:1], batch=16) for each in WORKLOADS
        )
        plan = TINY
        environment = NO_CACHE | HASTE
    measured = measure(
        installed([*PEERS, *OURS]), workloads, plan, arguments.core, environment
    )
    return Outcome(
        page(measured, workloads, plan, facts), {"plan": plan, **vars(measured)}
    )


@contextmanager
def running(
    names: Sequence[str],
    core: int | None,
    environment: Mapping[str, str],
    contestants: Mapping[str, Contestant] = CONTESTANTS,
    reference: str = "memcap",
) -> Generator[dict[str, Worker]]:
    """Start a process for each contestant, by its key, and "double", the reference's
    with 64-bit floats."""
    with (
        tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as cache,
        ExitStack() as stack,
    ):
        environment = {**environment, "XDG_CACHE_HOME": cache}
        workers = {
            name: Worker(contestants[name].target, core, environment) for name in names
        }
        workers["double"] = Worker(
            contestants[reference].target,
            core,
            environment | {"JAX_ENABLE_X64": "true"},
        )
        for worker in workers.values():
            stack.enter_context(worker)
        yield workers


def measure(
    names: Sequence[str],
    workloads: Sequence[Workload],
    plan: Plan,
    core: int | None,
    environment: Mapping[str, str],
) -> Measured:
    """Check everyone's gradients, then measure the ceilings, then the times.

    Raises:
        GateError: a contestant does not compute what the others do.
    """
    cases = [(workload, units) for workload in workloads for units in workload.units]
    rows: list[Row] = []
    with running(names, core, environment) as workers:
        errors = check_all_gradients(workers, cases)
        say("measuring the roofline")
        with Worker("benchmarks.roofline:Roofline", core, environment) as worker:
            worker.call("build")
            ceilings = worker.call("measure", 4 * plan.seconds)
        for workload, units in cases:
            say(f"timing {workload.key}, {units} units")
            rows += time_case(
                workers, workload, units, plan, ceilings, errors[workload, units]
            )
    doubles = {
        f"{workload.key}, {units} units": apart["float64"]
        for (workload, units), apart in errors.items()
        if "float64" in apart
    }
    return Measured(rows, ceilings, doubles)


def check_all_gradients(
    workers: dict[str, Worker], cases: Sequence[Case], whole: bool = False
) -> dict[Case, dict[str, float]]:
    """Return by case the differences of `gate.check_gradients`; "double" leaves the
    workers and ends.

    Raises:
        GateError: a contestant does not compute what the others do.
    """
    double = workers.pop("double")
    errors = {}
    for workload, units in cases:
        say(f"checking {workload.key}, {units} units")
        for worker in (double, *workers.values()):
            worker.call("build", workload.shape(units), LR, CLIP, SEED)
        start = workload.start(units, SEED)
        batch = workload.draw(1, SEED)
        errors[workload, units] = gate.check_gradients(
            workers, double, start, batch, whole
        )
    double.close()
    return errors


def first_run(
    workers: Mapping[str, Worker], workload: Workload, units: int, plan: Plan
) -> tuple[dict[str, float], dict[str, float]]:
    """Build all contestants, load what they are timed on, and check their first steps."""
    batches = workload.draw(plan.batches, SEED)
    for worker in workers.values():
        worker.call("build", workload.shape(units), LR, CLIP, SEED)
        worker.call("load", batches)
    return gate.check_training(workers, workload.start(units, SEED), FIRST_STEPS)


def time_case(
    workers: Mapping[str, Worker],
    workload: Workload,
    units: int,
    plan: Plan,
    ceilings: Ceilings,
    errors: Mapping[str, float],
) -> list[Row]:
    """Time all contestants at one width of one workload."""
    shape = workload.shape(units)
    apart, first = first_run(workers, workload, units, plan)
    strides = {name: worker.call("get_stride") for name, worker in workers.items()}
    least = floor(shape, ceilings)
    rows = []
    for name, timing in interleaved(workers, strides, plan).items():
        compiling = max(0.0, first[name] - FIRST_STEPS * timing.median)
        rows.append(
            Row(
                workload.key,
                shape,
                name,
                timing,
                compiling,
                least,
                errors[name],
                apart[name],
            )
        )
    return rows


def page(
    measured: Measured,
    workloads: Sequence[Workload],
    plan: Plan,
    facts: Mapping[str, Any],
) -> str:
    """Write the report, as Markdown."""
    c = measured.ceilings
    least = min(measured.rows, key=lambda row: row.timing.busy)
    notes = [
        (
            f"{plan.rounds} rounds in turn after {plan.warmups} of warm-up, slices of about"
            f" {plan.seconds} s, medians; Adam, learning rate {LR}, gradients clipped to norm"
            f" {CLIP}, float32"
        ),
        (
            f"measured ceilings: {c.peak / 1e9:.0f} GFLOP/s ({c.peak_of}, large product), tanh"
            f" {c.tanh * 1e9:.2f} ns an element"
        ),
        (
            "before timing: gradients of everyone within"
            f" {max(row.gradient_error for row in measured.rows):.1e} of memcap in"
            f" float64{double_line(measured)}; after {FIRST_STEPS} steps weights within"
            f" {max(row.trained_error for row in measured.rows):.1e} of the way"
        ),
        (
            f"every contestant had at least {least.timing.busy:.0%} of the core to itself"
            f" ({CONTESTANTS[least.contestant].title})"
        ),
    ]
    if least.timing.busy < ALONE:
        notes.append(
            "**warning: other work ran on the core while these timings were taken**"
        )
    body = []
    for workload in workloads:
        sizes = (
            f"{workload.task.features} symbols in, {workload.task.outputs} classes, T ="
            f" {workload.steps} steps, B = {workload.batch} sequences."
        )
        body += [
            "",
            f"## {workload.title}",
            "",
            sizes,
            "",
            section(measured.rows, workload),
        ]
    return report.page("One training step", facts, notes, body)


def double_line(measured: Measured) -> str:
    """Say how far float64 gradients are apart, where PyTorch was there to compare with."""
    apart = measured.double_errors.values()
    return f", which is within {max(apart):.1e} of PyTorch's" if apart else ""


def section(rows: Sequence[Row], workload: Workload) -> str:
    """Write a workload's tables: relative time with the share of the floor,
    milliseconds, compile time."""
    cells = {
        (row.contestant, row.shape.units): row
        for row in rows
        if row.workload == workload.key
    }
    names = list(dict.fromkeys(name for name, _ in cells))
    base = "keras" if "keras" in names else "memcap"

    def relative(row: Row) -> str:
        ratio = row.timing.median / cells[base, row.shape.units].timing.median
        return f"{ratio:.2f} ({row.floor / row.timing.median:.0%})"

    def milliseconds(row: Row) -> str:
        samples = [1e3 * seconds for seconds in row.timing.samples]
        return f"{1e3 * row.timing.median:.3g} [{min(samples):.3g}, {max(samples):.3g}]"

    def compiling(row: Row) -> str:
        return f"{row.compile_seconds:.1f}"

    parts = []
    widths = [f"{units} units" for units in workload.units]
    for title, cell in (
        (
            f"Time of a step, relative to {CONTESTANTS[base].title} (share of the roofline)",
            relative,
        ),
        ("Milliseconds a step: median [least, most]", milliseconds),
        ("Seconds to compile", compiling),
    ):
        body = [
            [
                CONTESTANTS[name].title,
                *(cell(cells[name, units]) for units in workload.units),
            ]
            for name in names
        ]
        parts.append(f"{title}\n\n{report.table(['', *widths], body)}")
    return "\n\n".join(parts)

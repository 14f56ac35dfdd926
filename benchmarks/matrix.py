"""A training step of cells whose state is a matrix, beside plain JAX and PyTorch: CPU time, in turn."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import gate, report
from benchmarks.peers import MATRIX
from benchmarks.peers.base import CLIP, LR
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.protocol import TINY, Plan, Timing, interleaved
from benchmarks.report import say
from benchmarks.runner import Outcome, one_core
from benchmarks.step import FIRST_STEPS, check_all_gradients, first_run, running
from benchmarks.workloads import Workload
from memcap.config import task_of

PEERS = ("torch",)
CELLS, LAGS, UNITS = ("delta_net", "mamba2"), (8, 20), (8, 16)
BATCH = 64  # of the recipe that these cells have by themselves, own_start
WORKLOADS = tuple(
    Workload(
        f"{cell}, lag {lag}",
        f"{cell}, lag {lag}",
        task_of("delay_line", []),
        lag,
        4 * lag,
        BATCH,
        UNITS,
        cell,
    )
    for cell in CELLS
    for lag in LAGS
)


@dataclass(frozen=True)
class Row:
    """One contestant with one cell, width and lag.

    Args:
        cell, units, lag: what was trained.
        contestant: key of `MATRIX`.
        timing: seconds a step.
        gradient_error: relative difference from plain JAX in float64: of the loss or the whole gradient.
        trained_error: of the weights after the first run, from memcap's, relative to the way that they went.
    """

    cell: str
    units: int
    lag: int
    contestant: str
    timing: Timing
    gradient_error: float
    trained_error: float

    @property
    def least(self) -> float:
        """Seconds of CPU time a step."""
        return min(self.timing.cpu)


add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Check everyone, then time."""
    workloads, plan, environment = WORKLOADS, Plan(seconds=1.0), NO_CACHE
    if arguments.tiny:
        workloads = tuple(
            replace(each, lag=1, steps=4, units=(2,), batch=2) for each in WORKLOADS[:: len(LAGS)]
        )
        plan, environment = TINY, NO_CACHE | HASTE
    names = [name for name, contestant in MATRIX.items() if not contestant.missing]
    try:
        rows = measure(names, workloads, plan, arguments.core, environment)
    except gate.GateError as error:
        raise SystemExit(str(error)) from None
    return Outcome(page(rows, plan, facts), {"plan": asdict(plan), "rows": [asdict(row) for row in rows]})


def measure(
    names: Sequence[str],
    workloads: Sequence[Workload],
    plan: Plan,
    core: int | None,
    environment: Mapping[str, str],
) -> list[Row]:
    """Everyone's gradients first, then the times.

    Raises:
        GateError: a contestant does not compute what the others do.
    """
    titles = {name: MATRIX[name].title for name in names}
    cases = [(workload, units) for workload in workloads for units in workload.units]
    rows = []
    with running(names, core, environment, MATRIX, "scan") as workers:
        errors = check_all_gradients(workers, titles, cases, whole=True)
        for (workload, units), apart in errors.items():
            say(f"timing {workload.key}, {units} units")
            trained, _ = first_run(workers, titles, workload, units, plan)
            timings = interleaved(workers, dict.fromkeys(workers, 1), plan)
            rows += [
                Row(workload.cell, units, workload.lag, name, timing, apart[name], trained[name])
                for name, timing in timings.items()
            ]
    return rows


def page(rows: Sequence[Row], plan: Plan, facts: Mapping[str, Any]) -> str:
    """The report, as Markdown."""
    by_case: dict[tuple[str, int, int], dict[str, float]] = {}
    for row in rows:
        by_case.setdefault((row.cell, row.units, row.lag), {})[row.contestant] = row.least
    names = list(next(iter(by_case.values())))

    def cell_text(least: Mapping[str, float], name: str) -> str:
        ratio = "" if name == "memcap" else f" ({least[name] / least['memcap']:.2f})"
        return f"{1e6 * least[name]:.0f}{ratio}"

    body = [[*map(str, case), *(cell_text(least, name) for name in names)] for case, least in by_case.items()]
    heads = ["cell", "units", "lag", *(MATRIX[name].title for name in names)]
    notes = [
        f"delay line, T = 4 lag, {BATCH} sequences, keys of 16; Adam, learning rate {LR}, gradients clipped"
        f" to norm {CLIP}, float32",
        f"microseconds of CPU time a step (over memcap's): the least of {plan.rounds} rounds in turn"
        f" after {plan.warmups} of warm-up, in slices of about {plan.seconds} s by the wall",
        "before timing: the gradient of everyone, as one vector, within"
        f" {max(row.gradient_error for row in rows):.1e} of plain JAX in float64; after {FIRST_STEPS} steps"
        f" weights within {max(row.trained_error for row in rows):.1e} of the way",
    ]
    return report.page("Cells whose state is a matrix", facts, notes, ["", report.table(heads, body)])

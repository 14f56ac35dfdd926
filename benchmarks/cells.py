"""A training step of the cells that C runs, by XLA's loop and in C; with --matrix, of
cells whose state is a matrix, beside plain JAX and PyTorch."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import jax

from benchmarks import report, step
from benchmarks.peers import CONTESTANTS, MATRIX
from benchmarks.peers.base import CLIP, LR
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.protocol import TINY, Plan, Timing, interleaved
from benchmarks.report import say
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker
from benchmarks.workloads import Workload
from memcap.config.member import Engine, resolve, task_of
from memcap.runtime import jax_setup
from memcap.training.host import initial_state, train_operands
from memcap.training.program import FAST_COMPILE, Program

PEERS: tuple[str, ...] = ()
LOOPS = ("while", "native")
PADDED = "native, padded"


@dataclass(frozen=True)
class CellsPlan:
    """The cells that C runs, widths and lags; `padded` is the width of a program that
    these widths share.

    A chunk of `steps` is timed; of its repeats, loops and cells in turn, the least counts.
    """

    cells: tuple[str, ...] = ("lstm", "GRUCell")
    units: tuple[int, ...] = (8, 16)
    padded: int = 64
    lags: tuple[int, ...] = (8, 20)
    batch: int = 32
    steps: int = 500
    repeats: int = 3


TINY_CELLS = CellsPlan(units=(2,), padded=3, lags=(1,), batch=2, steps=2, repeats=1)
MATRIX_CELLS = ("delta_net", "mamba2")
MATRIX_LAGS = (8, 20)
BATCH = 64  # of the recipe that these cells have by themselves, own_start
WORKLOADS = tuple(
    Workload(
        name,
        name,
        task_of("delay_line", []),
        lag,
        4 * lag,
        BATCH,
        units=(8, 16),
        cell=cell,
    )
    for cell, lag in product(MATRIX_CELLS, MATRIX_LAGS)
    for name in [f"{cell}, lag {lag}"]
)


@dataclass(frozen=True)
class Step:
    """Seconds of CPU time of a training step, and the weights of its program."""

    cell: str
    units: int
    lag: int
    loop: str
    seconds: float
    weights: int


class Steps:
    """Times steps; built in a worker process."""

    def time(self, plan: CellsPlan, units: int, lag: int) -> list[Step]:
        """Time all cells by both loops, and in C in a wider program."""
        jax_setup.setup()
        ways = list(product(plan.cells, (*LOOPS, PADDED)))
        calls = {way: self.call(plan, units, lag, *way) for way in ways}
        seconds = dict.fromkeys(ways, float("inf"))
        for _ in range(plan.repeats):
            for way, (call, _) in calls.items():
                call()  # what the others left in the caches is replaced
                start = time.process_time()
                call()
                seconds[way] = min(
                    seconds[way], (time.process_time() - start) / plan.steps
                )
        return [
            Step(cell, units, lag, loop, seconds[cell, loop], calls[cell, loop][1])
            for cell, loop in ways
        ]

    @staticmethod
    def call(
        plan: CellsPlan, units: int, lag: int, cell: str, loop: str
    ) -> tuple[Any, int]:
        """Compile a chunk of a delay line's training, as a study runs it; return it
        with its weights."""
        member = resolve(
            {
                "task": {"name": "delay_line", "lag": lag},
                "model": {"units": units, "cell": cell},
                "recipe": {"name": "forget_bias", "batch": plan.batch},
                "evaluation": {"every": plan.steps},
                "seed": 0,
            }
        )
        name = loop.partition(",")[0]
        trainer = Program.of(member, Engine(loop=name)).trainer
        assert trainer.loop == name
        if loop == PADDED:
            trainer = replace(trainer, spec=trainer.spec.at_width(plan.padded))
        inputs = initial_state(trainer, member), train_operands(trainer, member)
        chunk = jax.jit(trainer.train_chunk).lower(*inputs).compile(FAST_COMPILE)
        return (
            lambda: jax.block_until_ready(chunk(*inputs)),
            trainer.spec.architecture.parameters(),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the core, and the choice of cells."""
    one_core(parser)
    parser.add_argument(
        "--matrix", action="store_true", help="cells whose state is a matrix, and peers"
    )


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Time every width and lag."""
    if arguments.matrix:
        return matrix(arguments, facts)
    if missing := CONTESTANTS["native"].missing:
        raise SystemExit(f"nothing to measure: what is in C needs {', '.join(missing)}")
    plan, haste = (TINY_CELLS, HASTE) if arguments.tiny else (CellsPlan(), {})
    steps: list[Step] = []
    with Worker("benchmarks.cells:Steps", arguments.core, NO_CACHE | haste) as worker:
        worker.call("build")
        for units, lag in product(plan.units, plan.lags):
            say(f"{units} units, lag {lag}")
            steps += worker.call("time", plan, units, lag)
    data = {"plan": plan, "steps": steps}
    return Outcome(page(steps, plan, facts), data)


def page(steps: Sequence[Step], plan: CellsPlan, facts: Mapping[str, Any]) -> str:
    """Write the report of cells in C, as Markdown."""
    by_way = {(each.cell, each.units, each.lag, each.loop): each for each in steps}
    rows = []
    for cell, units, lag in product(plan.cells, plan.units, plan.lags):
        xla, in_c, padded = (
            by_way[cell, units, lag, loop] for loop in (*LOOPS, PADDED)
        )
        extra = (padded.seconds - in_c.seconds) / (padded.weights - in_c.weights)
        times = [f"{1e6 * each.seconds:.0f}" for each in (xla, in_c)]
        ratio = f"{xla.seconds / in_c.seconds:.1f}"
        rows.append([cell, str(units), str(lag), *times, ratio, f"{1e9 * extra:.1f}"])
    heads = [
        "cell",
        "units",
        "lag",
        "microseconds a step by `while`",
        "by `native`",
        "times faster",
    ]
    heads += [f"nanoseconds a weight that pads it to {plan.padded} units"]
    notes = [
        f"delay line, T = 4 lag, {plan.batch} sequences, recipe forget_bias, one core; CPU time"
        f" of chunks of {plan.steps} steps in one process, in turn, the least of {plan.repeats}"
    ]
    return report.page("Cells in C", facts, notes, ["", report.table(heads, rows)])


@dataclass(frozen=True)
class Row:
    """One contestant with one matrix cell, width and lag; errors are those of `gate`."""

    cell: str
    units: int
    lag: int
    contestant: str
    timing: Timing
    gradient_error: float
    trained_error: float


def matrix(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Check and time the cells whose state is a matrix."""
    workloads = WORKLOADS
    plan = Plan(seconds=1.0)
    environment = NO_CACHE
    if arguments.tiny:
        short = {"lag": 1, "steps": 4, "units": (2,), "batch": 2}
        workloads = tuple(
            replace(each, **short) for each in WORKLOADS[:: len(MATRIX_LAGS)]
        )
        plan = TINY
        environment = NO_CACHE | HASTE
    names = [name for name, contestant in MATRIX.items() if not contestant.missing]
    if "torch" not in names and not arguments.tiny:
        raise SystemExit("nothing to compare: PyTorch is not installed")
    rows = measure_matrix(names, workloads, plan, arguments.core, environment)
    data = {"plan": plan, "rows": rows}
    return Outcome(matrix_page(rows, plan, facts), data, "_matrix")


def measure_matrix(
    names: Sequence[str],
    workloads: Sequence[Workload],
    plan: Plan,
    core: int | None,
    environment: Mapping[str, str],
) -> list[Row]:
    """Check everyone's gradients first, then time.

    Raises:
        GateError: a contestant does not compute what the others do.
    """
    cases = [(workload, units) for workload in workloads for units in workload.units]
    rows = []
    with step.running(names, core, environment, MATRIX, "scan") as workers:
        errors = step.check_all_gradients(workers, cases, whole=True)
        for (workload, units), apart in errors.items():
            say(f"timing {workload.key}, {units} units")
            trained, _ = step.first_run(workers, workload, units, plan)
            timings = interleaved(workers, dict.fromkeys(workers, 1), plan)
            rows += [
                Row(
                    workload.cell,
                    units,
                    workload.lag,
                    name,
                    timing,
                    apart[name],
                    trained[name],
                )
                for name, timing in timings.items()
            ]
    return rows


def matrix_page(rows: Sequence[Row], plan: Plan, facts: Mapping[str, Any]) -> str:
    """Write the report of cells whose state is a matrix, as Markdown."""
    by_case: dict[tuple[str, int, int], dict[str, float]] = {}
    for row in rows:
        by_case.setdefault((row.cell, row.units, row.lag), {})[row.contestant] = min(
            row.timing.cpu
        )
    names = list(next(iter(by_case.values())))

    def cell_text(least: Mapping[str, float], name: str) -> str:
        ratio = "" if name == "memcap" else f" ({least[name] / least['memcap']:.2f})"
        return f"{1e6 * least[name]:.0f}{ratio}"

    body = [
        [*map(str, case), *(cell_text(least, name) for name in names)]
        for case, least in by_case.items()
    ]
    heads = ["cell", "units", "lag", *(MATRIX[name].title for name in names)]
    notes = [
        (
            f"delay line, T = 4 lag, {BATCH} sequences, keys of 16; Adam, learning rate {LR},"
            f" gradients clipped to norm {CLIP}, float32"
        ),
        (
            f"microseconds of CPU time a step (over memcap's): the least of {plan.rounds} rounds"
            f" in turn after {plan.warmups} of warm-up, in slices of about {plan.seconds} s by"
            " the wall"
        ),
        (
            "before timing: the gradient of everyone, as one vector, within"
            f" {max(row.gradient_error for row in rows):.1e} of plain JAX in float64; after"
            f" {step.FIRST_STEPS} steps weights within"
            f" {max(row.trained_error for row in rows):.1e} of the way"
        ),
    ]
    return report.page(
        "Cells whose state is a matrix", facts, notes, ["", report.table(heads, body)]
    )

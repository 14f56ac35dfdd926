"""A training step of the cells that C runs, by XLA's loop and in C."""

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import jax

from benchmarks import report
from benchmarks.peers import CONTESTANTS
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.report import say
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker
from memcap.config import Engine, resolve
from memcap.runtime import jax_setup
from memcap.training.operands import initial_state, train_operands
from memcap.training.program import FAST_COMPILE, Program

PEERS: tuple[str, ...] = ()
LOOPS = ("while", "native")


@dataclass(frozen=True)
class CellsPlan:
    """What is measured.

    Args:
        cells: that C runs.
        units: widths U.
        lags: of the delay line; sequences are 4 lag steps long.
        batch: sequences B a step.
        steps: of a chunk, the unit that is timed.
        repeats: of each chunk, the loops and cells in turn; the least counts.
    """

    cells: tuple[str, ...] = ("lstm", "GRUCell")
    units: tuple[int, ...] = (8, 16)
    lags: tuple[int, ...] = (8, 20)
    batch: int = 32
    steps: int = 500
    repeats: int = 3


TINY = CellsPlan(units=(2,), lags=(1,), batch=2, steps=2, repeats=1)


@dataclass(frozen=True)
class Step:
    """A training step: of which cell, by which loop, and its seconds of CPU time."""

    cell: str
    units: int
    lag: int
    loop: str
    seconds: float


class Steps:
    """Times steps; built in a worker process."""

    def time(self, plan: CellsPlan, units: int, lag: int) -> list[Step]:
        """Of all cells by both loops, at one width and lag."""
        jax_setup.setup()
        calls = {way: self.call(plan, units, lag, *way) for way in product(plan.cells, LOOPS)}
        seconds = dict.fromkeys(calls, float("inf"))
        for _ in range(plan.repeats):
            for way, call in calls.items():
                call()  # what the others left in the caches is replaced
                start = time.process_time()
                call()
                seconds[way] = min(seconds[way], (time.process_time() - start) / plan.steps)
        return [Step(cell, units, lag, loop, seconds[cell, loop]) for cell, loop in calls]

    @staticmethod
    def call(plan: CellsPlan, units: int, lag: int, cell: str, loop: str) -> Any:
        """A chunk of a delay line's training, as a study runs it."""
        member = resolve(
            {
                "task": {"name": "delay_line", "lag": lag},
                "model": {"units": units, "cell": cell},
                "recipe": {"name": "forget_bias", "batch": plan.batch},
                "evaluation": {"every": plan.steps},
                "seed": 0,
            }
        )
        trainer = Program.of(member, Engine(loop=loop)).trainer
        assert trainer.loop == loop
        inputs = initial_state(trainer, member), train_operands(trainer, member)
        chunk = jax.jit(trainer.train_chunk).lower(*inputs).compile(FAST_COMPILE)
        return lambda: jax.block_until_ready(chunk(*inputs))


add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Every width and lag."""
    if missing := CONTESTANTS["native"].missing:
        raise SystemExit(f"nothing to measure: what is in C needs {', '.join(missing)}")
    plan, haste = (TINY, HASTE) if arguments.tiny else (CellsPlan(), {})
    steps: list[Step] = []
    with Worker("benchmarks.cells:Steps", arguments.core, NO_CACHE | haste) as worker:
        worker.call("build")
        for units, lag in product(plan.units, plan.lags):
            say(f"{units} units, lag {lag}")
            steps += worker.call("time", plan, units, lag)
    return Outcome(
        page(steps, plan, facts), {"plan": asdict(plan), "steps": [asdict(step) for step in steps]}
    )


def page(steps: list[Step], plan: CellsPlan, facts: Mapping[str, Any]) -> str:
    """The report, as Markdown."""
    by_way = {(step.cell, step.units, step.lag, step.loop): step.seconds for step in steps}
    rows = []
    for cell, units, lag in product(plan.cells, plan.units, plan.lags):
        xla, in_c = (by_way[cell, units, lag, loop] for loop in LOOPS)
        rows.append(
            [cell, str(units), str(lag), f"{1e6 * xla:.0f}", f"{1e6 * in_c:.0f}", f"{xla / in_c:.1f}"]
        )
    heads = ["cell", "units", "lag", "microseconds a step by `while`", "by `native`", "times faster"]
    notes = [
        f"delay line, T = 4 lag, {plan.batch} sequences, recipe forget_bias, one core; CPU time of chunks of"
        f" {plan.steps} steps in one process, in turn, the least of {plan.repeats}",
    ]
    return report.page("Cells in C", facts, notes, ["", report.table(heads, rows)])

"""What lanes side by side cost on a CPU, against one after another, as the lag grows."""

import argparse
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import report
from benchmarks.growth import Point
from benchmarks.lanes import Timed
from benchmarks.process import HASTE
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker

PEERS: tuple[str, ...] = ()
# Times as much, at lag 50. Lanes side by side are the program of accelerators: were a buffer with a time axis
# copied at each time step, it would grow with the lag's square.
MOST = 1.5


@dataclass(frozen=True)
class SidesPlan:
    """What is measured: lags, with so many lanes, units and sequences a step; chunks of so many steps
    count."""

    lags: tuple[int, ...] = (4, 8, 16, 32, 50)
    lanes: int = 16
    units: int = 16
    batch: int = 32
    steps: int = 5
    chunks: int = 5


TINY = SidesPlan(lags=(1, 2), lanes=2, units=1, batch=2, steps=2, chunks=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    one_core(parser)


def benchmark(arguments: argparse.Namespace, facts: dict[str, Any]) -> Outcome:
    """Both ways at each lag, in turn."""
    plan = TINY if arguments.tiny else SidesPlan()
    found: dict[int, tuple[Timed, Timed]] = {}
    with Worker(
        "benchmarks.lanes:Lanes",
        arguments.core,
        {**(HASTE if arguments.tiny else {}), "JAX_PLATFORMS": "cpu"},
    ) as worker:
        worker.call("build")
        for lag in plan.lags:
            report.say(f"lag {lag}")
            steps = (1 + plan.chunks) * plan.steps
            point = Point(
                members=plan.lanes, lag=lag, units=plan.units, batch=plan.batch, steps=steps, every=plan.steps
            )
            found[lag] = (
                worker.call("time", point, plan.chunks, False),
                worker.call("time", point, plan.chunks, True),
            )
    data = {
        "plan": asdict(plan),
        "timed": {lag: [asdict(each) for each in both] for lag, both in found.items()},
    }
    return Outcome(page(found, plan, facts), data)


def page(found: dict[int, tuple[Timed, Timed]], plan: SidesPlan, facts: dict[str, Any]) -> str:
    """The report, as Markdown."""
    notes = [
        f"{plan.lanes} members of {plan.units} units, T = 4 lag, {plan.batch} sequences a step, one core;"
        " medians"
    ]
    body = []
    for lag, both in found.items():
        alone, together = (1e3 * statistics.median(t.chunks) / (plan.steps * plan.lanes) for t in both)
        body.append([str(lag), f"{alone:.3g}", f"{together:.3g}", f"{together / alone:.2f}"])
    heads = ["lag", "ms a member's step, one after another", "side by side", "ratio"]
    last = float(body[-1][-1])
    claim = (
        f"Claimed: at most {MOST} at lag {plan.lags[-1]}; {'held' if last <= MOST else 'NOT held'} here"
        f" ({last:.2f})."
    )
    return report.page("Side by side on a CPU", facts, notes, ["", report.table(heads, body), "", claim])

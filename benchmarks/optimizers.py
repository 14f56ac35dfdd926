"""CPU seconds of a step by Adam and by GGT, of nets that train to their end."""

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import Any

import memcap
from benchmarks import report
from benchmarks.runner import Outcome
from memcap.config.member import Engine, Member
from memcap.runtime import jax_setup
from memcap.training.program import Program
from memcap.training.train_loop import Lanes

PEERS = ()  # memcap alone
# Lag, and units too few to pass: steps by Adam and by GGT, as
# sweeps/training/optimizers_seconds.yaml has them.
PLACES = {
    (8, 4): (24_000, 14_100),
    (12, 5): (24_000, 16_600),
    (20, 8): (24_000, 10_000),
    (32, 16): (13_800, 8_000),
    (50, 28): (13_100, 8_000),
}
RECIPES = ("curriculum", "curriculum_ggt")
NOTES = [
    "delay lines; after each chunk of 100 steps the one that is behind in its budget goes on; CPU"
    " time"
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set what takes the place of a core: CPU time needs none of its own."""
    parser.set_defaults(core=None)


def seconds(members: Mapping[str, Member]) -> dict[str, float]:
    """Train members to their end, a chunk at a time, whoever is behind; return the CPU
    seconds of a step."""
    lanes = {}
    taken = dict.fromkeys(members, 0.0)
    for name, member in members.items():
        lanes[name] = Lanes(Program.of(member, Engine(loop="native")))
        lanes[name].code.evaluate_future.result()  # compiles beside, on the same clock
        lanes[name].fill({0: member}, {})
    running = {name: each.active[0] for name, each in lanes.items()}
    while goes_on := [name for name in members if running[name].rule.running]:
        name = min(
            goes_on, key=lambda name: running[name].steps / members[name].recipe.budget
        )
        start = time.process_time()
        lanes[name].train_chunk()
        taken[name] += time.process_time() - start
    return {name: taken[name] / running[name].steps for name in members}


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Time both at each place, on two seeds."""
    jax_setup.setup()
    jax_setup.limit_blas()
    lines = []
    data = []
    for (lag, units), steps in PLACES.items():
        budgets = dict(zip(RECIPES, steps, strict=True))
        samples = []
        for seed in range(1 if arguments.tiny else 2):
            both = {
                name: memcap.members(
                    task="delay_line", lag=lag, units=units, recipe=name, seed=[seed],
                    budget=500 if arguments.tiny else budget,
                )[0]
                for name, budget in budgets.items()
            }  # fmt: skip
            samples.append(seconds(both))
        ratios = [each["curriculum_ggt"] / each["curriculum"] for each in samples]
        each = [
            f"{1e6 * statistics.median(s[name] for s in samples):.0f}"
            for name in budgets
        ]
        lines.append(
            [str(lag), str(units), *each, f"{min(ratios):.2f} to {max(ratios):.2f}"]
        )
        data.append({"lag": lag, "units": units, "samples": samples})
    head = ["lag", "units", "us a step by Adam", "by GGT", "ratios"]
    page = report.page(
        "A step by Adam and by GGT", facts, NOTES, ["", report.table(head, lines)]
    )
    return Outcome(page, {"rows": data})

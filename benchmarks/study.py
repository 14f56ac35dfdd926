"""Wall clock of a small study from process start to its end, with empty compilation
caches and with full ones, one core."""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import loop, process, report
from benchmarks.loop import StudyPlan
from benchmarks.peers import CONTESTANTS, installed
from benchmarks.peers.base import CLIP, LR
from benchmarks.report import say
from benchmarks.runner import Outcome, one_core
from memcap import store

PEERS = ("keras", "linen", "torch")
TITLES = {name: CONTESTANTS[name].title for name in PEERS} | {
    "memcap": "`memcap train engine.loop=reproducible`",
    "memcap-native": "`memcap train engine.loop=native`",
}
COMMANDS = {
    "memcap": "reproducible",
    "memcap-native": "native",
}  # and their loops; peers are scripts
TINY = StudyPlan(lengths=(4, 6), units=(2,), seeds=1, steps=4, batch=8)
STATES = {
    "cold": "Cold, as installed: memcap keeps what it compiles on disk, JAX by itself does not",
    "filling": "Cold, with JAX's persistent cache on, which serves the second seed of a shape",
    "warm": "Warm: a second process, with the caches of the one before",
}
Timed = tuple[float, float, dict[str, float]]  # wall, cpu and phases of a `Sample`
PHASES = ("import", "data", "build", "compile", "train")


@dataclass(frozen=True)
class Sample:
    """One contestant's study, once."""

    contestant: str
    state: str  # of the compilation caches, one of `STATES`
    wall: float  # seconds from process start to its end
    cpu: float  # seconds of CPU time, children included
    # Seconds by phase, as far as the process can tell; the rest is the start of Python,
    # and for `memcap train` its imports, Hydra, rows, weights and figure.
    phases: dict[str, float]

    @property
    def less_data(self) -> float:
        """Seconds without the peer's preparation of data on the host."""
        return self.wall - self.phases.get("data", 0.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the core, and how much is run."""
    one_core(parser)
    for name, value, about in (
        ("steps", StudyPlan.steps, "training steps a run"),
        ("rounds", 2, "repeats"),
    ):
        parser.add_argument(
            f"--{name}", type=int, default=value, help=f"{about} (default: {value})"
        )


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Run everyone's study in turn."""
    present = installed(PEERS)
    names = [name for name in TITLES if name not in PEERS or name in present]
    if missing := CONTESTANTS["native"].missing:
        say(f"left out, as {', '.join(missing)} is not installed: engine.loop=native")
        names = [name for name in names if not name.endswith("-native")]
    plan, rounds = (
        (TINY, 1)
        if arguments.tiny
        else (StudyPlan(steps=arguments.steps), arguments.rounds)
    )
    samples = measure(names, plan, rounds, arguments.core, touch=not arguments.tiny)
    suffix = "" if plan.steps == StudyPlan.steps or arguments.tiny else f"_{plan.steps}"
    data = {"plan": plan, "samples": samples}
    return Outcome(page(samples, plan, rounds, facts), data, suffix)


def measure(
    names: Sequence[str], plan: StudyPlan, rounds: int, core: int | None, touch: bool
) -> list[Sample]:
    """Run everyone, named as in `TITLES`, in each round, first cold, in the order of
    the round before turned round. `touch`: before them on a tiny study, so that no one
    is the first to read its library from disk.
    """
    if touch:
        for name in names:
            say(f"touching the files of {name}")
            once(name, TINY, core)
    samples: list[Sample] = []
    for k in range(rounds):
        for name in names if k % 2 == 0 else reversed(names):
            say(f"round {k + 1} of {rounds}: {name}")
            samples += once(name, plan, core)
    return samples


def once(name: str, plan: StudyPlan, core: int | None) -> list[Sample]:
    """One contestant's study in all states that it has: memcap's caches are always on,
    and PyTorch has none."""
    timed = command if name in COMMANDS else script
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as cache:
        cached = process.cache_environment(Path(cache))
        bare = {
            key: value for key, value in cached.items() if not key.startswith("JAX_")
        }
        if name in ("keras", "linen"):
            settings = {state: bare if state == "cold" else cached for state in STATES}
        else:
            settings = {"cold": bare, "warm": bare}
        return [
            Sample(name, state, *timed(name, plan, core, environment))
            for state, environment in settings.items()
        ]


def script(
    name: str, plan: StudyPlan, core: int | None, environment: Mapping[str, str]
) -> Timed:
    """Run a peer's script."""
    ran = process.run(loop.arguments(name, plan), core, environment)
    return ran.wall, ran.cpu, json.loads(ran.output.splitlines()[-1])


def command(
    name: str, plan: StudyPlan, core: int | None, environment: Mapping[str, str]
) -> Timed:
    """`memcap train` into a fresh folder. Every member must have taken every step."""
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as folder:
        out = [
            "study=benchmark",
            f"out={folder}/study",
            f"engine.loop={COMMANDS[name]}",
        ]
        ran = process.run(
            [sys.executable, "-m", "memcap", "train", *loop.overrides(plan), *out],
            core,
            environment,
        )
        rows = store.read(Path(folder) / "study")
    taken = rows["steps"].to_list()
    if taken != [plan.steps] * len(plan.runs):
        raise process.ProgramError(
            f"memcap train: {len(taken)} of {len(plan.runs)} members, steps {sorted(set(taken))}"
        )
    compiling = rows.unique("population")[
        "compile_seconds"
    ].sum()  # a population's members share a program
    phases = {"compile": float(compiling), "train": float(rows["run_seconds"].sum())}
    return ran.wall, ran.cpu, phases


def medians(samples: Sequence[Sample]) -> dict[tuple[str, str], dict[str, float]]:
    """By contestant and state: wall, cpu, less_data, rest and the phases, each a median
    over the rounds."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for sample in samples:
        values = {
            "wall": sample.wall,
            "cpu": sample.cpu,
            "less_data": sample.less_data,
        } | sample.phases
        values["rest"] = sample.wall - sum(sample.phases.values())
        found.setdefault((sample.contestant, sample.state), []).append(values)
    return {
        key: {name: statistics.median(v[name] for v in all_) for name in all_[0]}
        for key, all_ in found.items()
    }


def described(plan: StudyPlan) -> str:
    """Say in words what is trained."""
    return (
        f"{len(plan.runs)} runs of {plan.steps} steps: latch, T ="
        f" {', '.join(map(str, plan.lengths))} (lag T - 2), {', '.join(map(str, plan.units))}"
        f" units, {plan.seeds} seeds, {plan.batch} sequences a step; Adam, learning rate {LR},"
        f" gradients clipped to norm {CLIP}; nothing stops early"
    )


def page(
    samples: Sequence[Sample], plan: StudyPlan, rounds: int, facts: Mapping[str, Any]
) -> str:
    """Write the report, as Markdown."""
    notes = [
        described(plan),
        f"{rounds} rounds in turn, medians; cold: no compilation cache holds anything",
        (
            "the others: one process, a loop over the runs, one model a run; data drawn by NumPy"
            " and laid out inside the clock, and taken off where the table says so; they neither"
            " evaluate nor write anything"
        ),
        (
            "`memcap train`: the real command with one worker; draws its data as it trains,"
            " evaluates each member on 2,048 held-out sequences (solved ones twice) and 512 of 20"
            " times the lag, writes rows, weights and a figure; when cold it also tries XLA's"
            " flags in a process of its own"
        ),
    ]
    found = medians(samples)
    body = []
    for state, title in STATES.items():
        own = {name: values for (name, of), values in found.items() if of == state}
        if own:
            ours = found["memcap", "cold" if state == "filling" else state]
            lead = "Seconds, and ratios to `memcap train`."
            body += ["", f"## {title}", "", lead, "", table(own, TITLES, ours)]
    return report.page("A small study, from process start", facts, notes, body)


def table(
    found: Mapping[str, Mapping[str, float]],
    titles: Mapping[str, str],
    ours: Mapping[str, float],
) -> str:
    """Write a line per contestant: its medians, their ratios to `ours`, and its phases."""
    rows = []
    for name in [name for name in titles if name in found]:
        v = found[name]
        ratios = [
            v["wall"] / ours["wall"],
            v["less_data"] / ours["wall"],
            v["cpu"] / ours["cpu"],
        ]
        phases = [v.get(phase, 0.0) for phase in (*PHASES, "rest")]
        texts = [
            f"{seconds:.1f}" if seconds or name in PEERS else "" for seconds in phases
        ]
        walls = [f"{v['wall']:.1f}", f"{v['cpu']:.1f}"]
        rows.append(
            [titles[name], *walls, *(f"{ratio:.2f}" for ratio in ratios), *texts]
        )
    columns = [
        "",
        "wall",
        "CPU",
        "wall, ratio",
        "data taken off",
        "CPU, ratio",
        *PHASES,
        "rest",
    ]
    return report.table(columns, rows)

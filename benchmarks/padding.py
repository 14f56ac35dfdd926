"""What units that pad a program cost with the LSTM in C, and what one program less saves; groups.py believes
these numbers."""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax

from benchmarks import process, report
from benchmarks.peers import CONTESTANTS
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.report import say
from benchmarks.roofline import best
from benchmarks.runner import Outcome, one_core
from benchmarks.worker import Worker
from memcap import store
from memcap.config import Engine, resolve
from memcap.loops import padding_cost
from memcap.runtime import jax_setup
from memcap.training.groups import SECONDS_A_PROGRAM
from memcap.training.operands import initial_state, train_operands
from memcap.training.program import Program, compile_to_fit

PEERS: tuple[str, ...] = ()
WAYS = {
    "as the model decides": SECONDS_A_PROGRAM,
    "a program a width": -1.0,
}  # seconds that another program is said to cost
# `memcap train`, told what a program costs
COMMAND = (
    "import sys; from memcap.training import groups; groups.SECONDS_A_PROGRAM = float(sys.argv.pop(1)); "
)
COMMAND += "from memcap.cli import main; main()"


@dataclass(frozen=True)
class PaddingPlan:
    """What is measured.

    Args:
        widths: each with the widths that it is padded to.
        lag: of the delay line; sequences are 4 lag steps long.
        seconds: that each step is repeated for.
        study: widths of a study, all of them trained, with so many seeds and steps.
        caches: with which it is run, in turn; the first must be "empty".
    """

    widths: tuple[tuple[int, tuple[int, ...]], ...] = ((4, (16, 64)), (16, (32, 64)), (33, (64, 128)))
    lag: int = 8
    seconds: float = 2.0
    study: tuple[int, ...] = tuple(range(1, 22))
    seeds: int = 2
    steps: int = 500
    caches: tuple[str, ...] = ("empty", "full")


TINY = PaddingPlan(widths=((1, (2,)),), lag=1, seconds=0.0, study=(1, 2), seeds=1, steps=4, caches=("empty",))


@dataclass(frozen=True)
class Step:
    """A training step.

    Args:
        units: of the member; wide: of the program.
        weights: of the program.
        seconds: a step, at best.
        compiling: seconds that the program's pair of executables took.
    """

    units: int
    wide: int
    weights: int
    seconds: float
    compiling: float


class Padded:
    """Times steps; built in a worker process."""

    def time(self, units: int, wide: int, lag: int, seconds: float) -> Step:
        """A step of a delay line's member in a program of another width."""
        jax_setup.setup()
        task, recipe = {"name": "delay_line", "lag": lag}, {"name": "forget_bias"}
        member = resolve(
            {"task": task, "model": {"units": units}, "recipe": recipe, "evaluation": {}, "seed": 0}
        )
        program = Program.of(member, Engine(loop="native"))
        trainer = replace(program.trainer, spec=program.spec.at_width(wide))
        compiling = compile_to_fit(replace(program, trainer=trainer), float("inf")).seconds
        inputs = initial_state(trainer, member), train_operands(trainer, member)
        train_chunk = jax.jit(trainer.train_chunk).lower(*inputs).compile()
        took = best(lambda: jax.block_until_ready(train_chunk(*inputs)), seconds) / member.evaluation.every
        return Step(units, wide, trainer.spec.architecture.parameters(), took, compiling)


@dataclass(frozen=True)
class Study:
    """`memcap train` of the study.

    Args:
        way: of `WAYS`.
        caches: "empty" or "full".
        programs: that it made.
        wall: seconds from process start to its end.
    """

    way: str
    caches: str
    programs: int
    wall: float


add_arguments = one_core  # no others


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Steps, then studies."""
    if missing := CONTESTANTS["native"].missing:
        raise SystemExit(f"nothing to measure: the native kernel needs {', '.join(missing)}")
    plan, haste = (TINY, HASTE) if arguments.tiny else (PaddingPlan(), {})
    steps = []
    with Worker("benchmarks.padding:Padded", arguments.core, NO_CACHE | haste) as worker:
        worker.call("build")
        for units, wider in plan.widths:
            say(f"{units} units")
            steps += [worker.call("time", units, wide, plan.lag, plan.seconds) for wide in (units, *wider)]
    studies = [made for way in WAYS for made in study(way, plan, arguments.core, haste)]
    data = {
        "plan": asdict(plan),
        "steps": [asdict(each) for each in steps],
        "studies": [asdict(each) for each in studies],
    }
    return Outcome(page(steps, studies, plan, facts), data)


def study(way: str, plan: PaddingPlan, core: int | None, environment: Mapping[str, str]) -> list[Study]:
    """The study with each kind of caches."""
    say(f"the study, {way}")
    axes = (
        f"axes={{task: delay_line, task.lag: {plan.lag}, model.units: {list(plan.study)}, seed:"
        f" {plan.seeds}}}"
    )
    words = [
        axes,
        f"recipe.budget={plan.steps}",
        f"evaluation.every={plan.steps}",
        "engine.workers=1",
        "engine.loop=native",
    ]
    found = []
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as folder:
        for caches in plan.caches:
            out = Path(folder, caches)
            command = [
                sys.executable,
                "-c",
                COMMAND,
                str(WAYS[way]),
                "train",
                *words,
                "study=padding",
                f"out={out}",
            ]
            ran = process.run(command, core, {"XDG_CACHE_HOME": f"{folder}/cache"} | dict(environment))
            found.append(Study(way, caches, store.read(out)["program_units"].n_unique(), ran.wall))
    return found


def page(steps: list[Step], studies: list[Study], plan: PaddingPlan, facts: Mapping[str, Any]) -> str:
    """The report, as Markdown."""
    own = {each.units: each for each in steps if each.wide == each.units}
    body, found = [], []
    for each in steps:
        alone, more = own[each.units], ["", ""]
        if each is not alone:
            extra = each.seconds - alone.seconds
            found.append(1e9 * extra / (each.weights - alone.weights))
            more = [f"{extra / alone.seconds:.0%}", f"{found[-1]:.1f}"]
        body.append(
            [str(each.units), str(each.wide), f"{1e6 * each.seconds:.0f}", *more, f"{each.compiling:.2f}"]
        )
    heads = [
        "units",
        "of its program",
        "microseconds a step",
        "more",
        "nanoseconds a weight that pads",
        "seconds to compile",
    ]
    compiling = statistics.median(each.compiling for each in steps)
    said = f"{1e9 * (padding_cost('native') or 0):.0f} ns a weight and {SECONDS_A_PROGRAM:.1f} s a program"
    lines = ["", report.table(heads, body), ""]
    lines += [
        f"Medians: {statistics.median(found):.1f} ns a weight, {compiling:.1f} s a program; the model says"
        f" {said}.",
        "",
    ]
    rows = [[each.way, each.caches, str(each.programs), f"{each.wall:.1f}"] for each in studies]
    lines += [report.table(["the study", "caches", "programs", "seconds"], rows)]
    notes = [
        f"delay line, lag {plan.lag}, T = {4 * plan.lag}, recipe forget_bias, engine.loop=native, one core",
        f"the study: `memcap train`, {len(plan.study)} widths from {plan.study[0]} to {plan.study[-1]},"
        f" {plan.seeds} seeds,"
        f" {plan.steps} steps each, evaluated at the end; from process start to its end",
    ]
    return report.page("Widths that share a program in C", facts, notes, lines)

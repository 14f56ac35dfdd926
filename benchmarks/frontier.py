"""What a frontier costs: the same runs for everyone on two cores, and each as it would really be used."""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import process, report
from benchmarks.peers import CONTESTANTS, OURS, installed
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.report import say
from benchmarks.runner import Outcome
from benchmarks.sampling import PEERS, Cell, FrontierPlan, cores, sample, whole
from memcap import store

TINY = FrontierPlan(lags=(1,), units=(1, 2, 3), sampled_units=(1, 3), seeds=2, steps=4)
QUICK = (
    "recipe.budget=4",
    "evaluation.every=2",
    "evaluation.sequences=8",
)  # of the search, where times say nothing


@dataclass(frozen=True)
class Study:
    """One run of `memcap train`.

    Args:
        members: how many it trained.
        solved: how many of them were solved.
        wall: seconds from process start to its end.
        training: seconds that members took, added up over the workers.
        compiling: seconds in which workers compiled, added up.
    """

    members: int
    solved: int
    wall: float
    training: float
    compiling: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments. No one core: a process of each side has one of its own."""
    parser.set_defaults(
        core=f"{' or '.join(map(str, cores(FrontierPlan.workers)))} (memcap's workers: not pinned)"
    )
    parser.add_argument(
        "--full", action="store_true", help="train memcap's whole grid at equal work, too; check the estimate"
    )


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Sample, train."""
    plan, haste = (TINY, HASTE) if arguments.tiny else (FrontierPlan(), {})
    cells = sample(installed(PEERS), plan, NO_CACHE | haste)
    studies, ours = train(plan, arguments.full, QUICK if arguments.tiny else (), haste)
    data = {"plan": asdict(plan), "cells": [asdict(cell) for cell in cells + ours]}
    data["studies"] = {name: asdict(study) for name, study in studies.items()}
    return Outcome(page(plan, cells + ours, studies, facts), data)


def train(
    plan: FrontierPlan, full: bool, quick: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, Study], list[Cell]]:
    """memcap's studies by the real command, and what the sampled one says of the sampled cells."""
    fixed = [
        f"recipe.budget={plan.steps}",
        f"evaluation.every={plan.steps}",
    ]  # evaluated at the end only: nothing stops early
    sampled, whole = [plan.axes(sampled=True), *fixed], [plan.axes(sampled=False), *fixed]
    bisect = [plan.axes(sampled=False), "design=bisect", *quick]
    asked = {"sample": sampled} | ({"full": whole} if full else {}) | {"cold": bisect, "warm": bisect}
    asked = {name: [*words, "engine.loop=reproducible"] for name, words in asked.items()}
    if missing := CONTESTANTS["native"].missing:
        say(f"left out, as {', '.join(missing)} is not installed: engine.loop=native")
    else:  # whose programs serve many widths, so that a sample would not tell what the whole compiles
        native = {
            f"native {name}": words for name, words in (("full", whole), ("cold", bisect), ("warm", bisect))
        }
        asked |= {name: [*words, "engine.loop=native"] for name, words in native.items()}
    studies, rows = {}, {}
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as made:
        for name, words in asked.items():
            out, cache = (
                Path(made, name.replace(" ", "_")),
                Path(made, f"cache of {name.replace('warm', 'cold')}"),
            )
            studies[name], rows[name] = command(plan, words, out, cache, environment)
            if words[: len(bisect)] != bisect:
                check_steps(rows[name], plan.steps)
    return studies, own_cells(rows["sample"], plan.steps)


def command(
    plan: FrontierPlan, overrides: Sequence[str], out: Path, cache: Path, environment: Mapping[str, str]
) -> tuple[Study, pl.DataFrame]:
    """`memcap train` into a fresh folder."""
    say(f"memcap train: {out.name}")
    words = [*overrides, f"engine.workers={plan.workers}", f"study={out.name}", f"out={out}"]
    variables = dict(environment) | {"XDG_CACHE_HOME": str(cache)}
    ran = process.run([sys.executable, "-m", "memcap", "train", *words], None, variables)
    rows = store.read(out)
    compiling = float(rows.unique(["population", "compile_seconds"])["compile_seconds"].sum())
    return Study(
        rows.height, int(rows["solved"].sum()), ran.wall, float(rows["run_seconds"].sum()), compiling
    ), rows


def check_steps(rows: pl.DataFrame, steps: int) -> None:
    """Raise ProgramError unless every member took every step."""
    short = rows.filter(pl.col("steps") != steps)
    if short.height:
        raise process.ProgramError(
            f"memcap train: {short.height} of {rows.height} members took {short['steps'].to_list()} steps"
        )


def own_cells(rows: pl.DataFrame, steps: int) -> list[Cell]:
    """memcap's sampled cells, from its rows: seconds a step with all that a member costs, evaluations too."""
    # Where both workers trained a width the first of them compiled it, and the other one read the cache.
    compiled = dict(rows.group_by("population").agg(pl.col("compile_seconds").max()).iter_rows())
    means = rows.group_by("task", "length", "units").agg(
        pl.first("population"), pl.col("run_seconds").mean() / steps
    )
    return [
        Cell("memcap", task, length, units, compiled[population], step, step)
        for task, length, units, population, step in means.sort("task", "length", "units").iter_rows()
    ]


def equal_work(
    plan: FrontierPlan, cells: Sequence[Cell], studies: Mapping[str, Study]
) -> dict[str, tuple[float, float]]:
    """Estimated seconds of the whole grid at `plan.steps` steps on all workers, and of these the compiling,
    by contestant."""
    found = {}
    for name in dict.fromkeys(cell.contestant for cell in cells):
        compiling, training = whole(plan, cells, name, dict.fromkeys(plan.tasks, plan.steps), alone=False)
        found[name] = (compiling + training) / plan.workers, compiling / plan.workers
    study = studies["sample"]
    # What the command does besides: its start, its rows, its figure, and waiting for the last member.
    besides = max(0.0, study.wall - (study.training + study.compiling) / plan.workers)
    found["memcap"] = found["memcap"][0] + besides, found["memcap"][1]
    if "native full" in studies:
        found["native"] = studies["native full"].wall, studies["native full"].compiling / plan.workers
    return found


def page(
    plan: FrontierPlan, cells: Sequence[Cell], studies: Mapping[str, Study], facts: Mapping[str, Any]
) -> str:
    """The report, as Markdown."""
    budgets = {task: plan.recipe(task)["budget"] for task in plan.tasks}
    peers = [name for name in PEERS if any(cell.contestant == name for cell in cells)]
    notes = [
        f"the grid: {' and '.join(plan.tasks)}, lags {', '.join(map(str, plan.lags))}, widths"
        f" {plan.units[0]} to"
        f" {plan.units[-1]}, {plan.seeds} seeds: {plan.runs:,} runs",
        f"sampled: the shortest and the longest lag, widths {', '.join(map(str, plan.sampled_units))},"
        " everyone the"
        " same; the whole is a weighted sum of these, straight lines in length and in width between them",
    ]
    body = equal_table(plan, cells, studies, peers) + used_table(plan, cells, studies, peers, budgets)
    return report.page("A frontier", facts, notes, body)


def equal_table(
    plan: FrontierPlan, cells: Sequence[Cell], studies: Mapping[str, Study], peers: Sequence[str]
) -> list[str]:
    """Everyone's estimate at equal work, and the sampled cells."""
    found = equal_work(plan, cells, studies)
    ours = found["memcap"][0]
    body = []
    for name in (*peers, *(ours for ours in OURS if ours in found)):
        seconds, compiling = found[name]
        body.append(
            [CONTESTANTS[name].title, minutes(seconds), f"{seconds / ours:.2f}", f"{compiling / seconds:.0%}"]
        )
    lines = [
        "",
        f"## Equal work: {plan.steps:,} steps a run, {plan.workers} processes on each side",
        "",
        "Nothing stops early. The others: a process a core, side by side, without their preparation of"
        " data; a model a run, and"
        f" each is compiled, but linen's only once a cell, for its {plan.seeds} seeds. memcap: the sampled"
        " cells by"
        " `memcap train`, caches empty; its evaluations and all else that the command does are in its time;"
        " with"
        " engine.loop=native the whole grid, really trained.",
        "",
        report.table(["the whole grid, estimated", "minutes", "/ memcap's", "of it compiling"], body),
    ]
    if "full" in studies:
        wall = studies["full"].wall
        apart = f"the estimate is {ours / wall - 1:+.0%} from it"
        lines += [
            "",
            f"memcap's whole grid, really trained: {minutes(wall)} minutes ({studies['full'].members:,}"
            f" runs); {apart}.",
        ]
    places = {
        (c.contestant, c.task, c.length, c.units): f"{1e3 * c.step:.3g} ({c.compiling:.1f})" for c in cells
    }
    keys = [(task, t, u) for task in plan.tasks for t, u in plan.grid(task).cells]
    names = (*peers, "memcap")
    rows = [
        [f"{task}, T = {t}, {u} units", *(places[name, task, t, u] for name in names)] for task, t, u in keys
    ]
    header = ["milliseconds a step (seconds to compile)", *(CONTESTANTS[name].title for name in names)]
    return [*lines, "", report.table(header, rows)]


def used_table(
    plan: FrontierPlan,
    cells: Sequence[Cell],
    studies: Mapping[str, Study],
    peers: Sequence[str],
    budgets: Mapping[str, int],
) -> list[str]:
    """Each as it would be used: the others extrapolated, memcap run."""
    ours = [name for name in ("cold", "warm", "native cold", "native warm") if name in studies]

    def row(title: str, how: str, seconds: float) -> list[str]:
        return [title, how, minutes(seconds), *(f"{seconds / studies[name].wall:.1f}" for name in ours)]

    body = []
    for name in peers:
        how = f"one process, every run of the grid, to its budget: extrapolated ({plan.runs:,} runs)"
        body.append(row(CONTESTANTS[name].title, how, sum(whole(plan, cells, name, budgets, alone=True))))
    for name in ours:
        study, caches = studies[name], "empty" if name.endswith("cold") else "full"
        loop = "native" if name.startswith("native") else "reproducible"
        how = (
            f"design=bisect, {plan.workers} workers, caches {caches}: measured ({study.members:,} runs,"
            f" {study.solved:,} solved)"
        )
        body.append(row(f"`memcap train engine.loop={loop}`", how, study.wall))
    named = ", ".join(f"{task} {steps:,}" for task, steps in budgets.items())
    return [
        "",
        "## As each would be used",
        "",
        "Another question than the table above: the others train every run to the recipe's own budget"
        f" (steps: {named}), one"
        " after another, without evaluating and without their preparation of data; memcap stops what is"
        " solved, and trains only"
        " the widths that its search for the thresholds asks for. Not a comparison at equal work.",
        "",
        report.table(["", "how", "minutes", *(f"/ memcap's, {name}" for name in ours)], body),
    ]


def minutes(seconds: float) -> str:
    """As the tables print them."""
    return f"{seconds / 60:.1f}"

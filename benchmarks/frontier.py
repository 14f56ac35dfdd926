"""A frontier's cost at equal work: the same runs for everyone, on two cores.

The peers train a sample of the grid's cells; the whole is a piecewise linear
interpolation of these.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product, repeat
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import process, report
from benchmarks.peers import CONTESTANTS, OURS, installed
from benchmarks.peers.base import CLIP, LR, Batches, Shape
from benchmarks.process import HASTE, NO_CACHE
from benchmarks.report import say
from benchmarks.runner import Outcome
from benchmarks.worker import Worker
from benchmarks.workloads import Workload
from memcap import store
from memcap.config.member import task_of
from memcap.config.recipes import recipe_file

PEERS = ("keras", "linen", "torch")
SHARE = ("linen",)  # whose users can compile once per shape, for all its seeds
FIRST_STEPS = 16
RECIPES = {
    "delay_line": "forget_bias",
    "latch": "hold",
}  # plain ones, which peers can be given, too


def ends(values: Sequence[int]) -> list[int]:
    """Return the first and the last of ascending values, once if they are the same."""
    return sorted({values[0], values[-1]})


@dataclass(frozen=True)
class FrontierPlan:
    """The grid: each task at each lag and width, with all seeds, by so many processes on each side.

    The sample has `sampled_units` at the first and the last lag.
    """

    tasks: tuple[str, ...] = ("delay_line", "latch")
    lags: tuple[int, ...] = (1, 2, 4, 8, 16)
    units: tuple[int, ...] = tuple(range(1, 25))
    sampled_units: tuple[int, ...] = (1, 4, 8, 16, 24)
    seeds: int = 8
    steps: int = 1000
    workers: int = 2

    @property
    def runs(self) -> int:
        """Count the runs of the whole grid."""
        return len(self.tasks) * len(self.lags) * len(self.units) * self.seeds

    def lengths(self, task: str) -> list[int]:
        """Return T at each lag: a step's time is near to linear in it."""
        return [task_of(task, []).length(lag) for lag in self.lags]

    def cells(self, task: str) -> list[tuple[int, int]]:
        """Return (T, U) of the sampled cells."""
        lengths = self.lengths(task)
        return list(product(ends(lengths), self.sampled_units))

    @property
    def places(self) -> list[tuple[str, int, int]]:
        """Return (task, T, U) of all sampled cells."""
        return [(task, *cell) for task in self.tasks for cell in self.cells(task)]

    def over_units(self, values: Sequence[float]) -> float:
        """Add up one value per width, from those of the sampled widths, by straight
        lines between them."""
        return float(np.interp(self.units, self.sampled_units, values).sum())

    def total(self, task: str, values: Mapping[tuple[int, int], float]) -> float:
        """Add up a task's whole grid, without its seeds, from one value per sampled cell."""
        lengths = self.lengths(task)
        sums = [
            self.over_units([values[end, units] for units in self.sampled_units])
            for end in ends(lengths)
        ]
        return float(np.interp(lengths, ends(lengths), sums).sum())

    def workload(self, task: str, length: int) -> Workload:
        """Return the workload of one sampled length."""
        lag = self.lags[self.lengths(task).index(length)]
        batch = recipe_file(RECIPES[task])["batch"]
        return Workload(
            task, task, task_of(task, []), lag, length, batch, self.sampled_units
        )

    def words(self, sampled: bool) -> list[str]:
        """Return the words of `memcap train`: the sampled cells, or the whole grid.
        Nothing stops early."""
        lags = ends(self.lags) if sampled else list(self.lags)
        units = list(self.sampled_units if sampled else self.units)
        rest = f"task.lag: {lags}, model.units: {units}, seed: {self.seeds}"
        axes = ", ".join(
            f"{{task: {task}, recipe: {RECIPES[task]}, {rest}}}" for task in self.tasks
        )
        return [
            f"axes=[{axes}]",
            f"recipe.budget={self.steps}",
            f"evaluation.every={self.steps}",
        ]


TINY = FrontierPlan(lags=(1,), units=(1, 2, 3), sampled_units=(1, 3), seeds=2, steps=4)


@dataclass(frozen=True)
class Cell:
    """One contestant at one sampled cell, with the other process at work on the other core."""

    contestant: str
    task: str
    length: int
    units: int
    compiling: (
        float  # seconds before the first step, which builds the model and compiles it
    )
    step: float  # seconds per training step


@dataclass(frozen=True)
class Study:
    """One run of `memcap train`: seconds by the wall, and of training and compiling,
    over all workers."""

    members: int
    wall: float
    training: float
    compiling: float


def cores(count: int) -> list[int | None]:
    """Return a core for each process; the same again where there are too few, None
    without pinning."""
    if not hasattr(os, "sched_getaffinity"):
        return [None] * count
    there = sorted(os.sched_getaffinity(0))
    return [there[k % len(there)] for k in range(count)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add none: a process of each side has a core of its own."""
    there = " or ".join(map(str, cores(FrontierPlan.workers)))
    parser.set_defaults(core=f"{there} (memcap's workers: not pinned)")


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Sample the peers, then train."""
    plan, haste = (TINY, HASTE) if arguments.tiny else (FrontierPlan(), {})
    cells = sample(installed(PEERS), plan, NO_CACHE | haste)
    studies, ours = train(plan, haste)
    cells += ours
    data = {"plan": plan, "cells": cells, "studies": studies}
    return Outcome(page(plan, cells, studies, facts), data)


def sample(
    names: Sequence[str], plan: FrontierPlan, environment: Mapping[str, str]
) -> list[Cell]:
    """Time every peer at every sampled cell, in turn, a process per core."""
    cells = []
    with ExitStack() as stack, ThreadPoolExecutor(plan.workers) as pool:
        workers = {
            name: [
                stack.enter_context(Worker(CONTESTANTS[name].target, core, environment))
                for core in cores(plan.workers)
            ]
            for name in names
        }
        first = plan.workload(plan.tasks[0], plan.lengths(plan.tasks[0])[0])
        for worker in (worker for side in workers.values() for worker in side):
            run(
                worker, first.shape(plan.units[0]), first.draw(1), 1
            )  # not counted: it imports the library
        for task, length, units in plan.places:
            workload = plan.workload(task, length)
            batches = workload.draw(plan.steps)
            for name, side in workers.items():
                say(f"sampling {task}, T = {length}, {units} units: {name}")
                given = (
                    repeat(workload.shape(units)),
                    repeat(batches),
                    repeat(plan.steps),
                )
                found = list(pool.map(run, side, *given))
                compiling, step = (
                    statistics.mean(values) for values in zip(*found, strict=True)
                )
                cells.append(Cell(name, task, length, units, compiling, step))
    return cells


def run(
    worker: Worker, shape: Shape, batches: Batches, steps: int
) -> tuple[float, float]:
    """Return the seconds before the first step, and the seconds per step of a run."""
    building = worker.timed("build", shape, LR, CLIP, 0).wall
    worker.call("load", batches)
    first = worker.timed("run", min(FIRST_STEPS, steps)).wall
    step = worker.timed("run", steps).wall / steps
    return building + max(0.0, first - min(FIRST_STEPS, steps) * step), step


def train(
    plan: FrontierPlan, environment: Mapping[str, str]
) -> tuple[dict[str, Study], list[Cell]]:
    """Run memcap's studies by the real command; return them, and its sampled cells."""
    wanted = {"sample": [*plan.words(sampled=True), "engine.loop=reproducible"]}
    if missing := CONTESTANTS["native"].missing:
        say(f"left out, as {', '.join(missing)} is not installed: engine.loop=native")
    # whose programs serve many widths, so that a sample would not tell what the whole
    # compiles
    else:
        wanted["native full"] = [*plan.words(sampled=False), "engine.loop=native"]
    studies = {}
    rows = {}
    with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as folder:
        for name, words in wanted.items():
            out = Path(folder, name.replace(" ", "_"))
            say(f"memcap train: {out.name}")
            words += [
                f"engine.workers={plan.workers}",
                f"study={out.name}",
                f"out={out}",
            ]
            variables = {**environment, "XDG_CACHE_HOME": f"{out}_cache"}
            ran = process.run(
                [sys.executable, "-m", "memcap", "train", *words], None, variables
            )
            rows[name] = store.read(out)
            check_steps(rows[name], plan.steps)
            compiled = (
                rows[name]
                .unique(["population", "compile_seconds"])["compile_seconds"]
                .sum()
            )
            trained = float(rows[name]["run_seconds"].sum())
            studies[name] = Study(rows[name].height, ran.wall, trained, float(compiled))
    return studies, own_cells(rows["sample"], plan.steps)


def check_steps(rows: pl.DataFrame, steps: int) -> None:
    """Raise ProgramError unless every member took every step."""
    short = rows.filter(pl.col("steps") != steps)
    if short.height:
        raise process.ProgramError(
            f"memcap train: {short.height} of {rows.height} members took"
            f" {short['steps'].to_list()} steps"
        )


def own_cells(rows: pl.DataFrame, steps: int) -> list[Cell]:
    """Return memcap's sampled cells: seconds per step with all that a member costs,
    evaluations too."""
    # Where both workers trained a width the first of them compiled it, and the other
    # one read the cache.
    compiled = dict(
        rows.group_by("population").agg(pl.col("compile_seconds").max()).iter_rows()
    )
    means = rows.group_by("task", "length", "units").agg(
        pl.first("population"), pl.col("run_seconds").mean() / steps
    )
    return [
        Cell("memcap", task, length, units, compiled[population], step)
        for task, length, units, population, step in means.sort(
            "task", "length", "units"
        ).iter_rows()
    ]


def whole(plan: FrontierPlan, cells: Sequence[Cell], name: str) -> tuple[float, float]:
    """Return a contestant's seconds of compiling and of training in the whole grid,
    over its processes."""
    compiling = training = 0.0
    for task in plan.tasks:
        own = {
            (c.length, c.units): c
            for c in cells
            if (c.contestant, c.task) == (name, task)
        }
        steps = plan.total(task, {cell: each.step for cell, each in own.items()})
        training += plan.seeds * plan.steps * steps
        if name == "memcap":  # a width's program serves all lags and seeds
            by_units = {units: each.compiling for (_, units), each in own.items()}
            compiling += plan.over_units(
                [by_units[units] for units in plan.sampled_units]
            )
        else:
            models = 1 if name in SHARE else plan.seeds
            compiling += models * plan.total(
                task, {cell: each.compiling for cell, each in own.items()}
            )
    return compiling, training


def equal_work(
    plan: FrontierPlan, cells: Sequence[Cell], studies: Mapping[str, Study]
) -> dict[str, tuple[float, float]]:
    """Return by contestant the seconds of the whole grid on all workers, and of these
    the compiling."""
    found = {}
    for name in dict.fromkeys(cell.contestant for cell in cells):
        compiling, training = whole(plan, cells, name)
        found[name] = (compiling + training) / plan.workers, compiling / plan.workers
    study = studies["sample"]
    # The command's start, its rows, its figure, and waiting for the last member.
    besides = max(0.0, study.wall - (study.training + study.compiling) / plan.workers)
    found["memcap"] = found["memcap"][0] + besides, found["memcap"][1]
    if "native full" in studies:
        native = studies["native full"]
        found["native"] = native.wall, native.compiling / plan.workers
    return found


def page(
    plan: FrontierPlan,
    cells: Sequence[Cell],
    studies: Mapping[str, Study],
    facts: Mapping[str, Any],
) -> str:
    """Write the report, as Markdown."""
    peers = [name for name in PEERS if any(cell.contestant == name for cell in cells)]
    notes = [
        (
            f"the grid: {' and '.join(plan.tasks)}, lags {', '.join(map(str, plan.lags))}, widths"
            f" {plan.units[0]} to {plan.units[-1]}, {plan.seeds} seeds: {plan.runs:,} runs"
        ),
        (
            "sampled: the shortest and the longest lag, widths"
            f" {', '.join(map(str, plan.sampled_units))}, everyone the same; the whole is a"
            " weighted sum of these, straight lines in length and in width between them"
        ),
    ]
    found = equal_work(plan, cells, studies)
    ours = found["memcap"][0]
    body = []
    for name in (*peers, *(name for name in OURS if name in found)):
        seconds, compiling = found[name]
        shares = f"{seconds / ours:.2f}", f"{compiling / seconds:.0%}"
        body.append([CONTESTANTS[name].title, f"{seconds / 60:.1f}", *shares])
    lines = [
        "",
        f"## Equal work: {plan.steps:,} steps a run, {plan.workers} processes on each side",
        "",
        (
            "Nothing stops early. The others: a process a core, side by side, without their"
            " preparation of data; a model a run, and each is compiled, but linen's only once a"
            f" cell, for its {plan.seeds} seeds. memcap: the sampled cells by `memcap train`,"
            " caches empty; its evaluations and all else that the command does are in its time;"
            " with engine.loop=native the whole grid, really trained."
        ),
        "",
        report.table(
            ["the whole grid, estimated", "minutes", "/ memcap's", "of it compiling"],
            body,
        ),
    ]
    names = (*peers, "memcap")
    places = {
        (
            c.contestant,
            c.task,
            c.length,
            c.units,
        ): f"{1e3 * c.step:.3g} ({c.compiling:.1f})"
        for c in cells
    }
    rows = [
        [f"{task}, T = {t}, {u} units", *(places[name, task, t, u] for name in names)]
        for task, t, u in plan.places
    ]
    header = [
        "milliseconds a step (seconds to compile)",
        *(CONTESTANTS[name].title for name in names),
    ]
    return report.page(
        "A frontier", facts, notes, [*lines, "", report.table(header, rows)]
    )

"""The frontier's grid, its sampled cells, and from these the whole: a piecewise linear interpolation."""

import os
import statistics
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from benchmarks.peers import CONTESTANTS
from benchmarks.peers.base import CLIP, LR, Batches, Shape
from benchmarks.report import say
from benchmarks.worker import Worker
from benchmarks.workloads import Workload
from memcap.config import task_of
from memcap.recipes import recipe_file

PEERS = ("keras", "linen", "torch")
SHARE = ("linen",)  # whose users can compile once a shape, for all its seeds
FIRST_STEPS = 16


def weights(sampled: Sequence[float], wanted: Sequence[float]) -> np.ndarray:
    """How much each sampled place counts, if what is wanted lies on straight lines between the two sampled
    places next to it.

    Args:
        sampled: places, increasing.
        wanted: places between the first and the last of them; each counts once.

    Returns:
        One weight a sampled place; they add up to len(wanted).

    Raises:
        ValueError: a place is wanted beyond those sampled.
    """
    if min(wanted) < sampled[0] or max(wanted) > sampled[-1]:
        raise ValueError(f"{list(wanted)}: not all between the places sampled, {list(sampled)}")
    return np.array([np.interp(wanted, sampled, unit).sum() for unit in np.eye(len(sampled))])


@dataclass(frozen=True)
class Grid:
    """The cells of one task, and those that are sampled: products of lengths and widths.

    Args:
        lengths: T at each lag: a step's time is near to linear in it.
        sampled_lengths: some of them, with the first and the last.
        units: widths U.
        sampled_units: some of them, with the first and the last.
    """

    lengths: tuple[int, ...]
    sampled_lengths: tuple[int, ...]
    units: tuple[int, ...]
    sampled_units: tuple[int, ...]

    @property
    def cells(self) -> list[tuple[int, int]]:
        """(T, U) of those sampled."""
        return [(t, u) for t in self.sampled_lengths for u in self.sampled_units]

    def weights(self) -> dict[tuple[int, int], float]:
        """How many cells of the grid each sampled one stands for."""
        by_length, by_units = (
            weights(self.sampled_lengths, self.lengths),
            weights(self.sampled_units, self.units),
        )
        products = np.outer(by_length, by_units).ravel()
        return dict(zip(self.cells, products.tolist(), strict=True))

    def total(self, values: Mapping[tuple[int, int], float]) -> float:
        """The sum over the whole grid, from one value a sampled cell."""
        return sum(weight * values[cell] for cell, weight in self.weights().items())


RECIPES = {"delay_line": "forget_bias", "latch": "hold"}  # plain ones, which peers can be given, too


@dataclass(frozen=True)
class FrontierPlan:
    """The grid: each task at each lag and width, with all seeds.

    Args:
        tasks: their names.
        lags: of each.
        units: widths U.
        sampled_units: those that are sampled, at the first and the last lag.
        seeds: how many.
        steps: training steps of each run in the comparison at equal work.
        workers: processes on each side.
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
        """Of the whole grid."""
        return len(self.tasks) * len(self.lags) * len(self.units) * self.seeds

    def recipe(self, task: str) -> dict[str, Any]:
        """What a run of a task is trained with, by everyone."""
        return recipe_file(RECIPES[task])

    def grid(self, task: str) -> Grid:
        """A task's cells."""
        lengths = [task_of(task, []).length(lag) for lag in self.lags]
        return Grid(
            tuple(lengths), tuple(dict.fromkeys((lengths[0], lengths[-1]))), self.units, self.sampled_units
        )

    def workload(self, task: str, length: int) -> Workload:
        """Of one sampled length."""
        lag = self.lags[self.grid(task).lengths.index(length)]
        return Workload(
            task, task, task_of(task, []), lag, length, self.recipe(task)["batch"], self.sampled_units
        )

    def axes(self, sampled: bool) -> str:
        """Of `memcap train`: the sampled cells, or the whole grid."""
        lags = sorted({self.lags[0], self.lags[-1]}) if sampled else list(self.lags)
        units = list(self.sampled_units if sampled else self.units)
        rest = f"task.lag: {lags}, model.units: {units}, seed: {self.seeds}"
        return (
            f"axes=[{', '.join(f'{{task: {task}, recipe: {RECIPES[task]}, {rest}}}' for task in self.tasks)}]"
        )


@dataclass(frozen=True)
class Cell:
    """One contestant at one sampled cell.

    Args:
        contestant: key of `CONTESTANTS`.
        task: name of the task.
        length: T.
        units: U.
        compiling: seconds before the first step: building the model and compiling it. memcap's serves all
            lags and seeds.
        step: seconds a training step, with the other process at work on the other core.
        alone: the same, by itself.
    """

    contestant: str
    task: str
    length: int
    units: int
    compiling: float
    step: float
    alone: float


def cores(count: int) -> list[int | None]:
    """A core for each process; the same again where there are too few, None where the system cannot pin."""
    if not hasattr(os, "sched_getaffinity"):
        return [None] * count
    there = sorted(os.sched_getaffinity(0))
    return [there[k % len(there)] for k in range(count)]


@contextmanager
def running(
    names: Sequence[str], count: int, environment: Mapping[str, str]
) -> Generator[dict[str, list[Worker]]]:
    """That many processes of each contestant, each on its core."""
    with ExitStack() as stack:
        yield {
            name: [
                stack.enter_context(Worker(CONTESTANTS[name].target, core, environment))
                for core in cores(count)
            ]
            for name in names
        }


def sample(names: Sequence[str], plan: FrontierPlan, environment: Mapping[str, str]) -> list[Cell]:
    """Everyone at every sampled cell, in turn."""
    cells = []
    with running(names, plan.workers, environment) as workers, ThreadPoolExecutor(plan.workers) as pool:
        for worker in (worker for side in workers.values() for worker in side):
            first = plan.workload(plan.tasks[0], plan.grid(plan.tasks[0]).lengths[0])
            run(worker, first.shape(plan.units[0]), first.draw(1), 1)  # not counted: it imports the library
        for task in plan.tasks:
            for length, units in plan.grid(task).cells:
                workload = plan.workload(task, length)
                batches = workload.draw(plan.steps)
                for name, side in workers.items():
                    say(f"sampling {task}, T = {length}, {units} units: {name}")
                    found = list(
                        pool.map(
                            run, side, repeat(workload.shape(units)), repeat(batches), repeat(plan.steps)
                        )
                    )
                    compiling, step = (statistics.mean(values) for values in zip(*found, strict=True))
                    alone = side[0].timed("run", plan.steps).wall / plan.steps
                    cells.append(Cell(name, task, length, units, compiling, step, alone))
    return cells


def run(worker: Worker, shape: Shape, batches: Batches, steps: int) -> tuple[float, float]:
    """Seconds before the first step, and seconds a step of a run."""
    building = worker.timed("build", shape, LR, CLIP, 0).wall
    worker.call("load", batches)
    first = worker.timed("run", min(FIRST_STEPS, steps)).wall
    step = worker.timed("run", steps).wall / steps
    return building + max(0.0, first - min(FIRST_STEPS, steps) * step), step


def whole(
    plan: FrontierPlan, cells: Sequence[Cell], name: str, steps: Mapping[str, int], alone: bool
) -> tuple[float, float]:
    """The whole grid from its sampled cells: seconds of compiling and of training, added up over the
    processes.

    Args:
        plan: the grid.
        cells: everyone's.
        name: the contestant.
        steps: of a run, by task.
        alone: take the steps of a process by itself.
    """
    compiling = training = 0.0
    for task in plan.tasks:
        grid, found = plan.grid(task), [c for c in cells if (c.contestant, c.task) == (name, task)]
        training += (
            plan.seeds
            * steps[task]
            * grid.total({(c.length, c.units): c.alone if alone else c.step for c in found})
        )
        if name == "memcap":  # a width's program serves all lags and seeds
            by_units = {c.units: c.compiling for c in found}
            compiling += float(
                weights(plan.sampled_units, plan.units) @ [by_units[u] for u in plan.sampled_units]
            )
        else:
            models = 1 if name in SHARE else plan.seeds
            compiling += models * grid.total({(c.length, c.units): c.compiling for c in found})
    return compiling, training

"""The map of cells: the bytes of state and the parameters that each cell needs on the tasks of
sweeps/cells/cell_map.yaml.

Cells whose intervals overlap cannot be told apart, so a cell has a band of places
instead of a rank: among the cells that train at all, every place that its interval
leaves open. Cells that do not train come after them, by score.
"""

import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binom, kendalltau

import memcap
from memcap import Member, Model, Recipe, UserError
from memcap.cells import LAYERS, cell_facts
from memcap.findings import study_config
from memcap.findings.tables import (
    Architecture,
    Point,
    Threshold,
    count_by_units,
    ends,
    frontier,
    in_numbers,
    interval_text,
    label,
    number,
    of_network,
    task_of_row,
)
from memcap.tasks import Task
from memcap.tasks.base import BEYOND_CHANCE

STUDY = "cell_map"
AGAIN = f"{STUDY}_again"  # the same study with other seeds
RUNS = (STUDY, AGAIN)  # by one recipe for all cells
RECIPES = f"{STUDY}_recipes"  # some of its cells with other recipes
NOISE = re.compile(r"\+noise([\d.e-]+)")  # in the carry, as cells are named with it
SAME = pl.col("cell").str.replace(
    r"^OptimizedLSTMCell\b", "lstm"
)  # the same equations: one cell on the map
# in place of `solved` and its steps: a stream must be right on longer streams, too
AS_ON_MAP = [
    pl.when(pl.col("task") == "delay_line").then(steady).otherwise(solved).alias(solved)
    for solved, steady in (("solved", "steady"), ("steps_to_solve", "steps_to_steady"))
]
FLOAT32 = 4  # bytes of a number
BUDGET = 3000  # most training steps of all cells by the recipe that they share
SHARE = 0.9  # of the seeds, for which a width is to be enough
LEVEL = 0.05
LIKE = "GRUCell"  # a guest takes this cell's grids
MOST_NUMBERS = 288  # in a guest's carry: the widest matrices of the map have 257 to 277
LEAST_WIDTHS = 3  # for a guest with larger carries
NO_LAYER = "LRU", "RG_LRU", "rwkv7"  # whose published layers no variant is
COUNTS = {"bytes": "bytes of state", "parameters": "parameters"}


@dataclass(frozen=True)
class Need:
    """The need of a cell on a task."""

    point: Point  # the frontier there
    # by the name of a count, such as bytes: of the widest net tried
    most: dict[str, float]
    u90: dict[str, Threshold]  # the threshold in each count
    # each count at two neighbouring widths, if no seed passes at the narrower and all
    # pass at the wider one and beyond: u90 lies between them, and the widths tried say
    # no more. None if passes rise more slowly
    step: dict[str, tuple[float, float]] | None
    # the best held-out score of any net; at four times the length if that must be
    # solved
    best: float

    @property
    def cell(self) -> str:
        """The cell without its noise, with its number of layers if there are several."""
        return NOISE.sub("", self.point.model.name)

    @property
    def form(self) -> str:
        """Name the bare recurrence of a layer, or the layer as published, where a reader
        could take one for the other."""
        cell = self.point.model.cell
        if cell in LAYERS or cell in NO_LAYER:
            return ", bare"
        return ", as published" * (cell in LAYERS.values())

    @property
    def task(self) -> str:
        """The task with its knobs, and the noise in the carry."""
        sizes = NOISE.findall(self.point.model.cell)
        noise = [f"noise of {size} in the carry" for size in sizes]
        return label(self.point.task, Model(), *noise)

    @property
    def place(self) -> str:
        """The task and lag, and whether all shorter lags, or longer sequences, must be
        solved, too."""
        point = self.point
        lag = "every lag up to" if point.at == "up_to" else "lag"
        place = f"{self.task}, {lag} {point.lag}"
        if point.at == "steady" and not point.task.stream:
            place += f", also {point.evaluation.stretch} times as long"
        return place

    @property
    def is_met(self) -> bool:
        """True if a width tried is enough."""
        return is_met(self.point)

    @property
    def words(self) -> str:
        """The bytes of state that it takes, with their interval; or what is known if no
        width is enough."""
        if not self.point.trains:
            return f"under half, {self.best:.2f}"
        if not self.is_met:
            return f"open above {number(self.most['bytes'])}"
        return self.in_words("bytes", number)

    def in_words(self, name: str, write: Callable[[float], str]) -> str:
        """Return the need in a count in words: the two widths of a step, or u90, with
        its interval."""
        words = interval_text(self.u90[name], write)
        if self.step is None:
            return words
        _, bracket, interval = words.partition(" [")
        return f"{' to '.join(map(write, self.step[name]))}{bracket}{interval}"

    @property
    def width(self) -> str:
        """The bytes of state without the interval, if a width is enough: "30.2", "<=
        4", or "132 to 196"."""
        return self.words.partition(" [")[0]

    @property
    def budget(self) -> str:
        """The most training steps of its recipe, in words, if they are above `BUDGET`."""
        steps = self.point.recipe.budget
        return f" in {steps:,} steps" * (steps > BUDGET)

    @property
    def floor(self) -> float:
        """The bytes of state without which no network meets the criterion
        (`memcap.tasks.least_bits`)."""
        return self.point.references.least_bits / 8


def needs(rows: pl.DataFrame) -> list[Need]:
    """Return the need of each cell on each task and lag, from rows as
    `memcap.store.read` returns them; cells that need the fewest bytes on most tasks
    come first.

    Members that were trained until steady on a task that is no stream have needs for
    both verdicts: a net that follows a state at the trained length may fail on longer
    sequences.
    """
    all_needs = [
        _need(nets, point)
        for _, nets in rows.with_columns(SAME).group_by(
            "task", "knobs", maintain_order=True
        )
        for point in _points(nets)
    ]
    middles: dict[str, list[float]] = {}
    for others in by_place(all_needs).values():
        for need in others:
            middle = statistics.fmean(band(need, others))
            middles.setdefault(need.cell, []).append(middle)
    return sorted(all_needs, key=lambda need: statistics.fmean(middles[need.cell]))


def _need(rows: pl.DataFrame, point: Point) -> Need:
    parameters = count_by_units(rows, point, "parameters")
    counts = {"bytes": count_bytes(rows, point), "parameters": parameters}
    most = {name: count(point.units[-1]) for name, count in counts.items()}
    u90 = {name: in_numbers(point, "u90", count) for name, count in counts.items()}
    edge = _edge(point)
    step = edge and {n: (count(edge[0]), count(edge[1])) for n, count in counts.items()}
    return Need(point, most, u90, step, _best(rows, point))


def is_met(point: Point) -> bool:
    """Return whether a width tried is enough.

    None is if u90 is wider than the widest; or if at no width nine in ten seeds pass, to
    the nearest seed, and the nets of u90 and wider ones together deny that they do, by a
    binomial test at `LEVEL`.
    """
    u90 = point.fit.u90
    if not point.trains or u90.censored == "above":
        return False
    if any(passed >= round(SHARE * runs) for _, passed, runs in point.by_width):
        return True
    wide = [counts for units, *counts in point.by_width if units >= u90.units]
    passed, runs = map(sum, zip(*wide, strict=True))
    return bool(binom.cdf(passed, runs, SHARE) >= LEVEL)


def count_bytes(rows: pl.DataFrame, point: Point) -> Callable[[float], float]:
    """Return the bytes of a point's whole carry as a function of its units, like
    `count_by_units`; last inputs that are symbols take a byte each."""
    facts = cell_facts(point.model.cell, point.task.features)
    # where the carry does not grow with the width, its numbers are float32
    per_unit = facts.numbers_per_unit
    per_number = facts.bits_per_unit / per_unit / 8 if per_unit else FLOAT32
    symbols = last_symbols(point.model.cell, point.task)
    last = symbols * point.task.features
    numbers = count_by_units(rows, point, "carry_numbers")
    # 8, not 7.999...
    return lambda units: round(per_number * (numbers(units) - last) + symbols, 9)


def last_symbols(cell: str, task: Task) -> int:
    """Return how many last inputs a cell carries that are symbols: rows count each as
    `task.features` numbers of which one is 1, and it is one symbol of so many."""
    facts = cell_facts(cell, task.features)
    return 0 if task.vocabulary is None else facts.inputs


def in_bytes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of float32 carries with a column of their bytes, as `count_bytes`
    counts them."""
    of = "cell", "task", "knobs"
    kinds = rows.select(of).unique()
    tasks = [task_of_row(task, knobs) for _, task, knobs in kinds.iter_rows()]
    symbols = [
        last_symbols(cell, task)
        for cell, task in zip(kinds["cell"], tasks, strict=True)
    ]
    last = [
        number * (1 - FLOAT32 * task.features)
        for number, task in zip(symbols, tasks, strict=True)
    ]
    kinds = kinds.with_columns(pl.Series("last", last, pl.Int64))
    joined = rows.join(kinds, on=of, maintain_order="left")
    size = (FLOAT32 * pl.col("carry_numbers") + pl.col("last")).alias("bytes")
    return joined.with_columns(size).drop("last")


def _edge(point: Point) -> tuple[int, int] | None:
    """Return the neighbouring widths between which passes go from none to all."""
    none, every = point.fit.bracket
    if none is None or every is None:
        return None
    neighbours = point.units.index(none) + 1 == point.units.index(every)
    return (none, every) if neighbours else None


def _best(rows: pl.DataFrame, point: Point) -> float:
    column = "stretched" if point.at == "steady" else "best"
    scores = of_network(rows, point.model)[column].drop_nulls().to_numpy()
    scores = scores[np.isfinite(scores)]
    if not scores.size:
        return math.nan
    return float(scores.max() if point.task.higher_is_better else scores.min())


def by_place(all_needs: Iterable[Need]) -> dict[str, list[Need]]:
    """Group the needs by task and lag, in the order of their places."""
    places: dict[str, list[Need]] = {}
    for need in sorted(all_needs, key=lambda need: need.place):
        places.setdefault(need.place, []).append(need)
    return places


def _above_chance(need: Need) -> float:
    """Return how far the best net came, from chance, 0, to a perfect score, 1."""
    point = need.point
    chance = point.task.facts(point.lag, point.length).chance
    return (need.best - chance) / (float(point.task.higher_is_better) - chance)


def _points(rows: pl.DataFrame) -> list[Point]:
    """Return the points of both verdicts."""
    trained = of_studies(rows.filter(evaluation_until="steady"), "trained")
    at_length = [point for point in trained if not point.task.stream]
    return least([*of_studies(rows), *at_length])


def of_studies(rows: pl.DataFrame, at: str = "up_to") -> list[Point]:
    """Return the frontier's points of `RECIPES` and those of all other rows, since
    `frontier` compares only recipes with equally many seeds. `least` chooses among
    them."""
    studies = rows.group_by(pl.col("study") == RECIPES, maintain_order=True)
    return [point for _, nets in studies for point in frontier(nets, at)]


def least(points: Iterable[Point]) -> list[Point]:
    """Return of the points with the same place and verdict the one that needs less."""
    best: dict[Any, Point] = {}
    for point in sorted(
        points, key=lambda p: (p.fit.u90.censored == "above", p.fit.u90.units)
    ):
        place = *point.place, point.at
        first = best.setdefault(place, point)
        if first is not point:
            exist = [p.u_exist for p in (first, point) if p.u_exist is not None]
            recipes = first.recipes + point.recipes
            best[place] = replace(
                first, recipes=recipes, u_exist=min(exist, default=None)
            )
    return list(best.values())


def band(need: Need, others: Sequence[Need], name: str = "bytes") -> tuple[int, int]:
    """Return the first and the last place, from 1, that are open to a need among those
    of its task and lag, by its count `name`.

    A cell is before another if its 95 % interval ends below the other's. A cell that
    does not train at all comes after all that do; more width, or another recipe, may
    yet train it. Of two such cells one is before the other if its best score is better
    by more than `BEYOND_CHANCE`.
    """
    trained = [other.u90[name] for other in others if other.point.trains]
    if need.point.trains:
        before = sum(u90.high < need.u90[name].low for u90 in trained)
        behind = sum(u90.low > need.u90[name].high for u90 in trained)
        return before + 1, len(trained) - behind
    score = _above_chance(need)
    scores = [_above_chance(other) for other in others if not other.point.trains]
    better = sum(other - score > BEYOND_CHANCE for other in scores)
    worse = sum(score - other > BEYOND_CHANCE for other in scores)
    return len(trained) + 1 + better, len(others) - worse


def band_text(need: Need, others: Sequence[Need]) -> str:
    """Return a band in words: "3 to 7 of 16"; or "none", of a cell that does not train:
    its score places it among the others, but says nothing of its bytes."""
    if not need.point.trains:
        return "none"
    first, last = band(need, others)
    return f"{first}{f' to {last}' * (last > first)} of {len(others)}"


def agreement(
    first: Sequence[Need], second: Sequence[Need]
) -> dict[str, tuple[float, int]]:
    """Return, by place, Kendall's tau (tau-b) between two runs' orders of the cells by
    u90 in bytes (NaN if a run tells no cells apart), and the number of cells that have
    a u90 in both."""
    taus = {}
    again = by_place(second)
    for place, one in by_place(first).items():
        if place in again:
            u90s = _u90s(one)
            others = _u90s(again[place])
            cells = [cell for cell in u90s if cell in others]
            orders = ([run[cell] for cell in cells] for run in (u90s, others))
            taus[place] = float(kendalltau(*orders).statistic), len(cells)
    return taus


def _u90s(needs: Iterable[Need]) -> dict[str, float]:
    return {need.cell: need.u90["bytes"].units for need in needs if need.is_met}


def best_of(others: Sequence[Need], name: str = "bytes") -> list[Need]:
    """Return the needs of one task and lag than which none is surely smaller; the
    smallest u90 first."""
    met = [need for need in others if need.is_met and band(need, others, name)[0] == 1]
    return sorted(met, key=lambda need: need.u90[name].units)


def members_of(cell: str, seed: int) -> list[Member]:
    """Return the members from which the design `race` chooses to put a cell on the map of cells.

    They are the members of a cell of the map with this one in its place, at widths
    whose carries have at most `MOST_NUMBERS` numbers; at least three widths. `seed` is
    the first seed.

    Raises:
        UserError: no such cell, or one without an initialiser of its own.
    """
    study = study_config(STUDY)
    members = []
    for grid in study["axes"]:
        if LIKE in grid["model.cell"]:
            own = {
                "recipe": Recipe(grid["recipe"], **study["recipe"]),
                "model.cell": cell,
                "model.units": _widths(cell, grid["model.units"]),
                "seed": range(seed, seed + grid["seed"]),
            }
            members += memcap.members(**grid | own)
    return members


def _widths(cell: str, widths: Sequence[int]) -> list[int]:
    nets = [Architecture(Model(cell, units), 1, 1) for units in widths]
    fits = [net.model.units for net in nets if net.carry_numbers() <= MOST_NUMBERS]
    return fits if len(fits) >= LEAST_WIDTHS else list(widths[:LEAST_WIDTHS])


def ranking(all_needs: Sequence[Need], cell: str) -> pl.DataFrame:
    """Rank a cell on each task of the map of cells, among the needs of all cells.

    Returns:
        One row per task: its need (`columns`, and `Need.words`), the places open to it
        by bytes of state (`band`; null if it has none), the number of cells, the greatest
        budget of the others, the cells that may need the fewest (`best_of`), and the need of
        the first of these.

    Raises:
        UserError: the cell has no needs.
    """
    rows = []
    places = by_place(all_needs)
    for need in (need for need in all_needs if need.cell == cell):
        others = places[need.place]
        best = best_of(others)
        first, last = band(need, others) if need.point.trains else (None, None)
        budgets = [other.point.recipe.budget for other in others if other is not need]
        row = {
            **columns(need),
            "words": need.words,
            "band": band_text(need, others),
            "first": first,
            "last": last,
            "cells": len(others),
            "budget_of_others": max(budgets, default=0),
            "best_cells": [other.cell for other in best],
            "best_words": best[0].words if best else None,
        }
        rows.append(row)
    if not rows:
        raise UserError(f"{cell}: none of its nets has a row; memcap status says why")
    return pl.DataFrame(rows, infer_schema_length=None).sort("task", "lag", "verdict")


def columns(need: Need) -> dict[str, Any]:
    """Return a need as one flat row. Thresholds are null if no recipe trains the task."""
    point = need.point
    thresholds = ends("u90", point.fit.u90)
    for name in COUNTS:
        thresholds |= ends(f"{name}_u90", need.u90[name])
    if not point.trains:
        thresholds = dict.fromkeys(thresholds)
    none, every = need.step["bytes"] if need.step else (None, None)
    return {
        "cell": need.cell,
        "task": need.task,
        "lag": point.lag,
        "verdict": point.at,
        "trains": point.trains,
        "floor_bytes": need.floor,
        **thresholds,
        "bytes_none_pass": none,
        "bytes_all_pass": every,
        **{f"{name}_widest": need.most[name] for name in COUNTS},
        "best_score": need.best,
        **point.recipe_columns("recipe", "lr", "budget"),
        "seeds": point.seeds,
    }

"""The map of cells: bytes of state and parameters that each needs on the tasks of sweeps/cell_map.yaml.

Cells whose intervals overlap are not told apart, so a cell has no rank but a band of places: of those that
train at all it may be any that its interval leaves open; behind them come cells that do not train, by score.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import yaml

from memcap.capacity.comparison import count_by_units, count_bytes, in_numbers
from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, ends, interval_text, label, of_network
from memcap.config import Evaluation, Member, task_defaults
from memcap.designs import axes
from memcap.knobs import UserError, defaults
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.runtime.published import root
from memcap.tasks.base import BEYOND_CHANCE
from memcap.terminal.printing import number
from memcap.thresholds.curve import Threshold

STUDY = "cell_map"
AGAIN = f"{STUDY}_again"  # the same with other seeds
RECIPES = f"{STUDY}_recipes"  # three of its cells by recipes of the atlas
SAME = {"OptimizedLSTMCell": "lstm"}  # the same equations: one cell on the map
FRESH_SEED = 100  # the first of a guest: no cell of the map was trained, or tuned, on it and later ones
LIKE = "GRUCell"  # the cell whose grids a guest takes
MOST_NUMBERS = 288  # of a guest's carry: the widest matrices of the map have 257 to 277
LEAST_WIDTHS = 3  # of a guest that has more
COUNTS = {"bytes": "bytes of state", "parameters": "parameters"}


@dataclass(frozen=True)
class Need:
    """The need of a cell on a task.

    Args:
        point: the frontier there.
        most: by name, what is counted of the widest net that was tried.
        u90: by name, the threshold in what is counted.
        step: by name, what is counted at two neighbouring widths, of which none of the seeds pass with the
            one, and all with the other and wider ones: u90 lies between, and the widths tried say no more.
            None where counts rise more slowly.
        best: the best held-out score of any net; at four times the length, where that must be solved.
    """

    point: Point
    most: dict[str, float]
    u90: dict[str, Threshold]
    step: dict[str, tuple[float, float]] | None
    best: float

    @property
    def cell(self) -> str:
        """The cell, and its layers if several."""
        return self.point.model.name

    @property
    def place(self) -> str:
        """The task with its knobs, its lag, and a word where longer sequences must be solved, too."""
        point = self.point
        longer = point.at == "steady" and not point.task.stream
        beyond = f", also {point.evaluation.stretch} times as long" if longer else ""
        return f"{label(point.task)}, lag {point.lag}{beyond}"

    @property
    def is_met(self) -> bool:
        """True if a width that was tried is enough."""
        return self.point.trains and self.point.fit.u90.censored != "above"

    @property
    def words(self) -> str:
        """Bytes of state that it takes, with their interval; or what is known where no width is enough."""
        if not self.point.trains:
            return f"under half, {self.best:.2f}"
        if not self.is_met:
            return f"open above {number(self.most['bytes'])}"
        return self.in_words("bytes", number)

    def in_words(self, name: str, write: Callable[[float], str]) -> str:
        """Return what is needed of `name` in words: the two widths of a step, or u90; with its interval."""
        words = interval_text(self.u90[name], write)
        if self.step is None:
            return words
        _, bracket, ends_of_it = words.partition(" [")
        return f"{' to '.join(map(write, self.step[name]))}{bracket}{ends_of_it}"

    @property
    def width(self) -> str:
        """The same without the interval, where a width is enough: "30.2", "<= 4", or "132 to 196"."""
        return self.words.partition(" [")[0]

    @property
    def floor(self) -> float:
        """Bytes that the bits to hold take up."""
        return self.point.references.bits / 8


def needs(rows: pl.DataFrame) -> list[Need]:
    """Return the need of each cell on each task and lag, those first that need the fewest bytes on most
    tasks.

    Of members that were trained until steady on a task that is no stream both verdicts are there: who follows
    a state as far as it was trained need not go on.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.
    """
    all_needs = []
    rows = rows.with_columns(pl.col("cell").replace(SAME))
    for _, own in rows.group_by("task", "knobs", maintain_order=True):
        for point in _points(own):
            counts = {
                "bytes": count_bytes(own, point),
                "parameters": count_by_units(own, point, "parameters"),
            }
            most = {name: count(point.units[-1]) for name, count in counts.items()}
            u90 = {name: in_numbers(point, "u90", count) for name, count in counts.items()}
            edge = _step(point)
            step = edge and {name: (count(edge[0]), count(edge[1])) for name, count in counts.items()}
            all_needs.append(Need(point, most, u90, step, _best(own, point)))
    middles: dict[str, list[float]] = {}
    for there in by_place(all_needs).values():
        for need in there:
            middles.setdefault(need.cell, []).append(statistics.fmean(band(need, there)))
    return sorted(all_needs, key=lambda need: statistics.fmean(middles[need.cell]))


def by_place(all_needs: Iterable[Need]) -> dict[str, list[Need]]:
    """Return the needs of each task and lag, in the order of their places."""
    places: dict[str, list[Need]] = {}
    for need in sorted(all_needs, key=lambda need: need.place):
        places.setdefault(need.place, []).append(need)
    return places


def _step(point: Point) -> tuple[int, int] | None:
    """Return the neighbouring widths between which counts go from none to all."""
    none, every = point.fit.bracket
    if none is None or every is None or point.units.index(none) + 1 != point.units.index(every):
        return None
    return none, every


def _best(rows: pl.DataFrame, point: Point) -> float:
    name = "stretched" if point.at == "steady" else "best"
    scores = of_network(rows, point.model)[name].drop_nulls().to_numpy()
    best = np.nanmax if point.task.higher_is_better else np.nanmin
    return float(best(scores)) if np.isfinite(scores).any() else math.nan


def _above_chance(need: Need) -> float:
    """Return how far from chance, 0, to a perfect score, 1, the best net came."""
    point = need.point
    chance = point.task.facts(point.lag, point.length).chance
    return (need.best - chance) / (float(point.task.higher_is_better) - chance)


def _points(rows: pl.DataFrame) -> list[Point]:
    """Return the points of both verdicts. Of a cell that `RECIPES` has, too, the study counts in which it
    needs less: `frontier` compares recipes by equally many seeds alone."""
    points: list[Point] = []
    for _, own in rows.group_by(pl.col("study") == RECIPES, maintain_order=True):
        trained = frontier(own.filter(evaluation_until="steady"), "trained")
        points += [*frontier(own), *(point for point in trained if not point.task.stream)]
    best: dict[Any, Point] = {}
    for point in sorted(points, key=lambda p: (p.fit.u90.censored == "above", p.fit.u90.units)):
        place = *point.place, point.at
        first = best.setdefault(place, point)
        if first is not point:
            best[place] = replace(first, recipes=first.recipes + point.recipes)
    return list(best.values())


def band(need: Need, there: Sequence[Need], name: str = "bytes") -> tuple[int, int]:
    """Return the first and the last place, from 1, that are open to a need among those of one task and lag,
    by what is counted of `name`.

    A cell is before another where its 95 % interval ends below the other's. One that does not train at all
    comes after all that do: more width, or another recipe, may yet do it. Of two such one is before the other
    where its best score is better by more than says nothing (`BEYOND_CHANCE`).
    """
    trained = [each.u90[name] for each in there if each.point.trains]
    if not need.point.trains:
        ahead = [_above_chance(need) - _above_chance(each) for each in there if not each.point.trains]
        better, worse = (sum(sign * gap > BEYOND_CHANCE for gap in ahead) for sign in (-1, 1))
        return len(trained) + 1 + better, len(there) - worse
    before = sum(each.high < need.u90[name].low for each in trained)
    behind = sum(each.low > need.u90[name].high for each in trained)
    return before + 1, len(trained) - behind


def band_text(need: Need, there: Sequence[Need]) -> str:
    """Return a band in words: "3 to 7 of 16"."""
    first, last = band(need, there)
    return f"{first}{f' to {last}' * (last > first)} of {len(there)}"


def agreement(first: Sequence[Need], second: Sequence[Need]) -> dict[str, tuple[float, int]]:
    """Return Kendall's tau (tau-b) between the orders, by u90 in bytes, of two runs of the map, by place; and
    of how many cells, those that have a u90 in both.

    It is 1 where the orders agree, -1 where one is the other's reverse, NaN where a run tells no cells apart.
    """
    from scipy.stats import kendalltau

    taus, runs = {}, (by_place(first), by_place(second))
    for place in (each for each in runs[0] if each in runs[1]):
        u90s = [{need.cell: need.u90["bytes"].units for need in run[place] if need.is_met} for run in runs]
        cells = [cell for cell in u90s[0] if cell in u90s[1]]
        tau = kendalltau(*([run[cell] for cell in cells] for run in u90s)).statistic
        taus[place] = float(tau), len(cells)
    return taus


def best_of(there: Sequence[Need], name: str = "bytes") -> list[Need]:
    """Return the needs of one task and lag that may be the smallest, as no interval ends below theirs; the
    smallest u90 first."""
    met = [need for need in there if need.is_met and band(need, there, name)[0] == 1]
    return sorted(met, key=lambda need: need.u90[name].units)


def members_of(cell: str, seed: int = FRESH_SEED) -> list[Member]:
    """Return what the design `race` chooses from to put a cell on the map of cells.

    They are the members of a cell that is there, with this one in its place, of widths whose carries have at
    most `MOST_NUMBERS` numbers; three at least.

    Args:
        cell: as `model.cell` names it.
        seed: the first.

    Raises:
        UserError: no such cell, or one that has no start of its own.
    """
    study = yaml.safe_load((root() / "sweeps" / f"{STUDY}.yaml").read_text(encoding="utf-8"))
    grids = [
        grid | {"model.cell": cell, "model.units": _widths(cell, grid["model.units"])}
        for grid in study["axes"]
        if LIKE in grid["model.cell"]
    ]
    base = {
        "task": task_defaults(grids[0]["task"]),
        "model": defaults(Model),
        "recipe": {"name": "auto", **study["recipe"]},
        "evaluation": defaults(Evaluation),
        "seed": seed,
    }
    return axes.members(base | {"axes": grids})


def _widths(cell: str, widths: Sequence[int]) -> list[int]:
    numbers = {units: Architecture(Model(cell, units), 1, 1).carry_numbers() for units in widths}
    fits = [units for units in widths if numbers[units] <= MOST_NUMBERS]
    return fits if len(fits) >= LEAST_WIDTHS else list(widths[:LEAST_WIDTHS])


def ranking(all_needs: Sequence[Need], cell: str) -> pl.DataFrame:
    """Rank a cell on each task of the map of cells.

    Args:
        all_needs: of all cells, `cell` among them.
        cell: as its rows have it.

    Returns:
        One row per task: what it needs there (`columns`, and `Need.words`), the places open to it by bytes of
        state (`band`), among how many cells, the cells that may need the fewest (`best_of`), and what the
        first of these needs.

    Raises:
        UserError: the cell has no needs.
    """
    rows = []
    for need in (each for each in all_needs if each.cell == cell):
        there = [each for each in all_needs if each.place == need.place]
        best = best_of(there)
        first, last = band(need, there)
        row = columns(need) | {"words": need.words, "band": band_text(need, there)}
        row |= {"first": first, "last": last, "cells": len(there)}
        row |= {"best_cells": [each.cell for each in best], "best_words": best[0].words if best else None}
        rows.append(row)
    if not rows:
        raise UserError(f"{cell}: none of its nets has a row; memcap status says why")
    return pl.DataFrame(rows, infer_schema_length=None).sort("task", "lag", "verdict")


def columns(need: Need) -> dict[str, Any]:
    """Return a need as one flat row. Thresholds are null where no recipe trains the task."""
    point = need.point
    row: dict[str, Any] = {"cell": need.cell, "task": label(point.task), "lag": point.lag}
    row |= {"verdict": point.at, "trains": point.trains, "floor_bytes": need.floor}
    for name, threshold in {
        "u90": point.fit.u90,
        **{f"{name}_u90": need.u90[name] for name in COUNTS},
    }.items():
        row |= ends(name, threshold) if point.trains else dict.fromkeys(ends(name, threshold))
    row["bytes_none_pass"], row["bytes_all_pass"] = need.step["bytes"] if need.step else (None, None)
    row |= {f"{name}_widest": need.most[name] for name in COUNTS} | {"best_score": need.best}
    return row | point.recipe_columns("recipe", "lr", "budget") | {"seeds": point.seeds}

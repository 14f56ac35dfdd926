"""The map of cells: the bytes of state and the parameters that each cell needs on the tasks of
sweeps/cell_map.yaml.

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
import yaml

from memcap.config.knobs import UserError, defaults
from memcap.config.member import Member, task_defaults
from memcap.designs import axes
from memcap.frontiers.comparison import count_by_units, count_bytes, in_numbers
from memcap.frontiers.frontier import frontier
from memcap.frontiers.points import DEFAULT_MODEL, Point, ends, label, of_network
from memcap.frontiers.words import interval_text
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.runtime.project import root
from memcap.store.rows import At
from memcap.tasks.base import BEYOND_CHANCE
from memcap.terminal.printing import number
from memcap.thresholds.curve import Threshold

STUDY = "cell_map"
AGAIN = f"{STUDY}_again"  # the same study with other seeds
RUNS = (STUDY, AGAIN)  # by one recipe for all cells
RECIPES = f"{STUDY}_recipes"  # some of its cells with other recipes
NOISE = re.compile(r"\+noise([\d.e-]+)")  # in the carry, as cells are named with it
SAME = pl.col("cell").str.replace(
    r"^OptimizedLSTMCell\b", "lstm"
)  # the same equations: one cell on the map
# a guest's first: no cell of the map was trained or tuned on this seed or later ones
FRESH_SEED = 100
LIKE = "GRUCell"  # a guest takes this cell's grids
MOST_NUMBERS = 288  # in a guest's carry: the widest matrices of the map have 257 to 277
LEAST_WIDTHS = 3  # for a guest with larger carries
COUNTS = {"bytes": "bytes of state", "parameters": "parameters"}


@dataclass(frozen=True)
class Need:
    """The need of a cell on a task."""

    point: Point  # the frontier there
    most: dict[
        str, float
    ]  # the counts (such as bytes) of the widest net tried, by name
    u90: dict[str, Threshold]  # the threshold in each of these counts, by name
    # by name, the counts at two neighbouring widths, if no seed passes at the narrower
    # and all pass at the wider one and beyond: u90 lies between them, and the widths
    # tried say no more. None if passes rise more slowly
    step: dict[str, tuple[float, float]] | None
    # the best held-out score of any net; at four times the length if that must be
    # solved
    best: float

    @property
    def cell(self) -> str:
        """The cell without its noise, with its number of layers if there are several."""
        return NOISE.sub("", self.point.model.name)

    @property
    def task(self) -> str:
        """The task with its knobs, and the noise in the carry."""
        noise = [
            f"noise of {size} in the carry"
            for size in NOISE.findall(self.point.model.cell)
        ]
        return label(self.point.task, DEFAULT_MODEL, *noise)

    @property
    def place(self) -> str:
        """The task and lag, and whether all shorter lags, or longer sequences, must be
        solved, too."""
        point = self.point
        longer = point.at == "steady" and not point.task.stream
        beyond = f", also {point.evaluation.stretch} times as long" if longer else ""
        return (
            f"{self.task}, {'every lag up to' if point.at == 'up_to' else 'lag'}"
            f" {point.lag}{beyond}"
        )

    @property
    def is_met(self) -> bool:
        """True if a width tried is enough."""
        return self.point.trains and self.point.fit.u90.censored != "above"

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
        """Return the need in `name` in words: the two widths of a step, or u90, with
        its interval."""
        words = interval_text(self.u90[name], write)
        if self.step is None:
            return words
        _, bracket, ends_of_it = words.partition(" [")
        return f"{' to '.join(map(write, self.step[name]))}{bracket}{ends_of_it}"

    @property
    def width(self) -> str:
        """The bytes of state without the interval, if a width is enough: "30.2", "<=
        4", or "132 to 196"."""
        return self.words.partition(" [")[0]

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
    all_needs = []
    rows = rows.with_columns(SAME)
    for _, own in rows.group_by("task", "knobs", maintain_order=True):
        for point in _points(own):
            parameters = count_by_units(own, point, "parameters")
            counts = {"bytes": count_bytes(own, point), "parameters": parameters}
            most = {name: count(point.units[-1]) for name, count in counts.items()}
            u90 = {
                name: in_numbers(point, "u90", count) for name, count in counts.items()
            }
            edge = _step(point)
            step = edge and {
                name: (count(edge[0]), count(edge[1])) for name, count in counts.items()
            }
            all_needs.append(Need(point, most, u90, step, _best(own, point)))
    middles: dict[str, list[float]] = {}
    for there in by_place(all_needs).values():
        for need in there:
            middles.setdefault(need.cell, []).append(
                statistics.fmean(band(need, there))
            )
    return sorted(all_needs, key=lambda need: statistics.fmean(middles[need.cell]))


def by_place(all_needs: Iterable[Need]) -> dict[str, list[Need]]:
    """Group the needs by task and lag, in the order of their places."""
    places: dict[str, list[Need]] = {}
    for need in sorted(all_needs, key=lambda need: need.place):
        places.setdefault(need.place, []).append(need)
    return places


def _step(point: Point) -> tuple[int, int] | None:
    """Return the neighbouring widths between which passes go from none to all."""
    none, every = point.fit.bracket
    if (
        none is None
        or every is None
        or point.units.index(none) + 1 != point.units.index(every)
    ):
        return None
    return none, every


def _best(rows: pl.DataFrame, point: Point) -> float:
    name = "stretched" if point.at == "steady" else "best"
    scores = of_network(rows, point.model)[name].drop_nulls().to_numpy()
    best = np.nanmax if point.task.higher_is_better else np.nanmin
    return float(best(scores)) if np.isfinite(scores).any() else math.nan


def _above_chance(need: Need) -> float:
    """Return how far the best net came, from chance, 0, to a perfect score, 1."""
    point = need.point
    chance = point.task.facts(point.lag, point.length).chance
    return (need.best - chance) / (float(point.task.higher_is_better) - chance)


def _points(rows: pl.DataFrame) -> list[Point]:
    """Return the points of both verdicts."""
    trained = of_studies(rows.filter(evaluation_until="steady"), "trained")
    return least(
        [*of_studies(rows), *(point for point in trained if not point.task.stream)]
    )


def of_studies(rows: pl.DataFrame, at: At = "up_to") -> list[Point]:
    """Return the frontier's points of `RECIPES` and those of all other rows, since
    `frontier` compares only recipes with equally many seeds. `least` chooses among
    them."""
    studies = rows.group_by(pl.col("study") == RECIPES, maintain_order=True)
    return [point for _, own in studies for point in frontier(own, at)]


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


def band(need: Need, there: Sequence[Need], name: str = "bytes") -> tuple[int, int]:
    """Return the first and the last place, from 1, that are open to a need among those
    of one task and lag, by its count `name`.

    A cell is before another if its 95 % interval ends below the other's. A cell that
    does not train at all comes after all that do; more width, or another recipe, may
    yet train it. Of two such cells one is before the other if its best score is better
    by more than `BEYOND_CHANCE`.
    """
    trained = [each.u90[name] for each in there if each.point.trains]
    if not need.point.trains:
        ahead = [
            _above_chance(need) - _above_chance(each)
            for each in there
            if not each.point.trains
        ]
        better, worse = (
            sum(sign * gap > BEYOND_CHANCE for gap in ahead) for sign in (-1, 1)
        )
        return len(trained) + 1 + better, len(there) - worse
    before = sum(each.high < need.u90[name].low for each in trained)
    behind = sum(each.low > need.u90[name].high for each in trained)
    return before + 1, len(trained) - behind


def band_text(need: Need, there: Sequence[Need]) -> str:
    """Return a band in words: "3 to 7 of 16"."""
    first, last = band(need, there)
    return f"{first}{f' to {last}' * (last > first)} of {len(there)}"


def agreement(
    first: Sequence[Need], second: Sequence[Need]
) -> dict[str, tuple[float, int]]:
    """Return, by place, Kendall's tau (tau-b) between two runs' orders of the cells by
    u90 in bytes (NaN if a run tells no cells apart), and the number of cells that have
    a u90 in both."""
    from scipy.stats import kendalltau

    taus = {}
    runs = (by_place(first), by_place(second))
    for place in (each for each in runs[0] if each in runs[1]):
        u90s = [
            {need.cell: need.u90["bytes"].units for need in run[place] if need.is_met}
            for run in runs
        ]
        cells = [cell for cell in u90s[0] if cell in u90s[1]]
        tau = kendalltau(*([run[cell] for cell in cells] for run in u90s)).statistic
        taus[place] = float(tau), len(cells)
    return taus


def best_of(there: Sequence[Need], name: str = "bytes") -> list[Need]:
    """Return the needs of one task and lag than which none is surely smaller; the
    smallest u90 first."""
    met = [need for need in there if need.is_met and band(need, there, name)[0] == 1]
    return sorted(met, key=lambda need: need.u90[name].units)


def members_of(cell: str, seed: int = FRESH_SEED) -> list[Member]:
    """Return the members from which the design `race` chooses to put a cell on the map of cells.

    They are the members of a cell of the map with this one in its place, at widths
    whose carries have at most `MOST_NUMBERS` numbers; at least three widths. `seed` is
    the first seed.

    Raises:
        UserError: no such cell, or one without an initialiser of its own.
    """
    study = yaml.safe_load(
        (root() / "sweeps" / f"{STUDY}.yaml").read_text(encoding="utf-8")
    )
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
    numbers = {
        units: Architecture(Model(cell, units), 1, 1).carry_numbers()
        for units in widths
    }
    fits = [units for units in widths if numbers[units] <= MOST_NUMBERS]
    return fits if len(fits) >= LEAST_WIDTHS else list(widths[:LEAST_WIDTHS])


def ranking(all_needs: Sequence[Need], cell: str) -> pl.DataFrame:
    """Rank a cell on each task of the map of cells, among the needs of all cells.

    Returns:
        One row per task: its need (`columns`, and `Need.words`), the places open to it
            by bytes of state
        (`band`), the number of cells, the cells that may need the fewest (`best_of`),
        and the need of the first of these.

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
        row |= {
            "best_cells": [each.cell for each in best],
            "best_words": best[0].words if best else None,
        }
        rows.append(row)
    if not rows:
        raise UserError(f"{cell}: none of its nets has a row; memcap status says why")
    return pl.DataFrame(rows, infer_schema_length=None).sort("task", "lag", "verdict")


def columns(need: Need) -> dict[str, Any]:
    """Return a need as one flat row. Thresholds are null if no recipe trains the task."""
    point = need.point
    row: dict[str, Any] = {"cell": need.cell, "task": need.task, "lag": point.lag}
    row |= {"verdict": point.at, "trains": point.trains, "floor_bytes": need.floor}
    thresholds = {
        "u90": point.fit.u90,
        **{f"{name}_u90": need.u90[name] for name in COUNTS},
    }
    for name, threshold in thresholds.items():
        row |= (
            ends(name, threshold)
            if point.trains
            else dict.fromkeys(ends(name, threshold))
        )
    row["bytes_none_pass"], row["bytes_all_pass"] = (
        need.step["bytes"] if need.step else (None, None)
    )
    row |= {f"{name}_widest": need.most[name] for name in COUNTS} | {
        "best_score": need.best
    }
    return row | point.recipe_columns("recipe", "lr", "budget") | {"seeds": point.seeds}

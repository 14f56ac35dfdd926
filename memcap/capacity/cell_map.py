"""The map of cells: bytes of state and parameters that each needs on the tasks of sweeps/cell_map.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import yaml

from memcap.capacity.comparison import count_by_units, in_numbers
from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, ends, interval_text, label
from memcap.cells import cell_facts
from memcap.config import Evaluation, Member, task_defaults
from memcap.designs import axes
from memcap.knobs import UserError, defaults
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.runtime.published import root
from memcap.terminal.printing import number
from memcap.thresholds.curve import Threshold

STUDY = "cell_map"
LIKE = "GRUCell"  # the cell whose grids a guest takes
MOST_NUMBERS = 288  # of a guest's carry: the widest matrices of the map have 257 to 277
LEAST_WIDTHS = 3  # of a guest that has more
FLOAT32 = 4.0  # bytes of a number, where a carry does not grow with the width, which would tell
COUNTS = {"bytes": "bytes of state", "parameters": "parameters"}


@dataclass(frozen=True)
class Need:
    """The need of a cell on a task.

    Args:
        point: the frontier there.
        least, most: by name, what is counted of the narrowest and the widest net that was tried.
        u90: by name, the threshold in what is counted.
    """

    point: Point
    least: dict[str, float]
    most: dict[str, float]
    u90: dict[str, Threshold]

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
            return "under half"
        if not self.is_met:
            return f"open above {number(self.most['bytes'])}"
        return interval_text(self.u90["bytes"])

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
    for _, own in rows.group_by("task", "knobs", maintain_order=True):
        for point in _points(own):
            numbers = count_by_units(own, point, "carry_numbers")
            facts = cell_facts(point.model.cell, point.task.features)
            each = facts.bits_per_unit / facts.numbers_per_unit / 8 if facts.numbers_per_unit else FLOAT32
            counts = {
                "bytes": lambda units, numbers=numbers, each=each: each * numbers(units),
                "parameters": count_by_units(own, point, "parameters"),
            }
            ends_tried = [
                {name: count(units) for name, count in counts.items()}
                for units in (point.units[0], point.units[-1])
            ]
            u90 = {name: in_numbers(point, "u90", count) for name, count in counts.items()}
            all_needs.append(Need(point, *ends_tried, u90))
    ranks: dict[str, list[float]] = {}
    for place in dict.fromkeys(need.place for need in all_needs):
        there = [need for need in all_needs if need.place == place]
        for need in there:
            ranks.setdefault(need.cell, []).append(rank(need, there) or len(there))
    return sorted(all_needs, key=lambda need: sum(ranks[need.cell]) / len(ranks[need.cell]))


def _points(rows: pl.DataFrame) -> list[Point]:
    trained = frontier(rows.filter(evaluation_until="steady"), "trained")
    return [*frontier(rows), *(point for point in trained if not point.task.stream)]


def rank(need: Need, there: Sequence[Need]) -> int | None:
    """Return the place among the needs of one task and lag, by bytes of state, from 1; None where no width
    that was searched is enough: wider ones may be."""
    if not need.is_met:
        return None
    ours = need.u90["bytes"].units
    return 1 + sum(each.is_met and each.u90["bytes"].units < ours for each in there)


def members_of(cell: str) -> list[Member]:
    """Return what the design `race` chooses from to put a cell on the map of cells.

    They are the members of a cell that is there, with this one in its place, of widths whose carries have at
    most `MOST_NUMBERS` numbers; three at least.

    Args:
        cell: as `model.cell` names it.

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
        "seed": 0,
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
        One row per task: what it needs there (`columns`, and `Need.words`), its rank by bytes of state (null
        where no width searched is enough), of how many cells, and the cell that needs the fewest bytes, with
        its bytes.

    Raises:
        UserError: the cell has no needs.
    """
    rows = []
    for need in (each for each in all_needs if each.cell == cell):
        there = [each for each in all_needs if each.place == need.place]
        first = min(there, key=lambda each: rank(each, there) or len(there) + 1)
        row = columns(need) | {"words": need.words, "rank": rank(need, there), "cells": len(there)}
        row["best_cell"] = first.cell if first.is_met else None
        row["best_bytes"] = first.u90["bytes"].units if first.is_met else None
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
    row |= {f"{name}_widest": need.most[name] for name in COUNTS}
    return row | point.recipe_columns("recipe", "lr", "budget") | {"seeds": point.seeds}

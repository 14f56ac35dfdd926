"""Carry numbers and parameters that each cell needs, by lag."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.lines import Line, Panel, picture, rules, table, threshold_line
from memcap.figures.style import colour_and_marker
from memcap.frontiers.comparison import Count, count_by_units, in_numbers
from memcap.frontiers.frontier import Point, ends, frontier
from memcap.frontiers.layers import COUNTS
from memcap.knobs import UserError
from memcap.store.columns import Row


def draw(rows: pl.DataFrame) -> Drawn:
    points = frontier(rows)
    tasks = {(p.task, p.model.readout, p.evaluation) for p in points}
    if len(tasks) != 1:
        raise UserError(
            f"{len(tasks)} tasks, read-outs or ways of judging in these rows: cells are compared"
            " on one; give the rows of a study such as memcap train"
            " sweeps=cells/supplement/cells_side_by_side"
        )
    counts = {
        p.model.name: {name: count_by_units(rows, p, name) for name in COUNTS}
        for p in points
    }
    return Drawn(
        plot(points, counts), table(_columns(p, counts[p.model.name]) for p in points)
    )


def symbols_held(point: Point) -> int:
    """Return how many symbols must be held at once; lag + 1 for a delay line."""
    return point.task.facts(point.lag, point.length).held


def _columns(point: Point, counts: dict[str, Count]) -> Row:
    row = {"cell": point.model.name, "lag": point.lag, "held": symbols_held(point)}
    for which in ("u50", "u90"):
        row |= ends(which, getattr(point.fit, which))
        for name in COUNTS:
            row |= ends(f"{name}_{which}", in_numbers(point, which, counts[name]))
    row |= point.recipe_columns("recipe", "lr", "budget")
    return row | {"recipes": point.recipes, "seeds": point.seeds}


def plot(points: Sequence[Point], counts: dict[str, dict[str, Count]]) -> Figure:
    """Draw carry numbers on the left and parameters on the right, a line per cell."""
    held = dict(sorted((p.lag, symbols_held(p)) for p in points))
    look = {"color": "grey", "lw": 1, "ls": ":"}
    least = Line("", list(held), list(held.values()), look)
    panels = []
    for name in COUNTS:
        lines = _lines(
            points, {cell: counted[name] for cell, counted in counts.items()}
        )
        panels.append(
            Panel(name.replace("_", " "), [least] * (name == "carry_numbers") + lines)
        )
    return picture(
        [panels],
        "State and parameters that training needs, by cell and lag",
        caption(points),
    )


def _lines(points: Sequence[Point], counts: dict[str, Count]) -> list[Line]:
    lines: list[Line] = []
    for k, (cell, count) in enumerate(counts.items()):
        own = [p for p in points if p.model.name == cell]
        for which in ("u50", "u90"):
            numbers = [in_numbers(p, which, count) for p in own]
            name = cell if which == "u90" else ""
            lines.append(
                threshold_line(name, own, *colour_and_marker(k), which, numbers)
            )
    return lines


def caption(points: Sequence[Point]) -> list[str]:
    used: dict[str, list[str]] = {}
    for p in points:
        recipe = f"{p.recipe.name} at lr {p.recipe.lr:g}, {p.recipe.budget:,} steps"
        if recipe not in used.setdefault(p.model.name, []):
            used[p.model.name].append(recipe)
    listed = "; ".join(
        f"{cell}: {' or '.join(recipe)}" for cell, recipe in used.items()
    )
    return [
        (
            "Filled marks show what 90 % of the seeds need, and open marks what 50 % need."
            " Numbers between two widths lie on the polynomial through the counts of the rows."
            " The dotted line shows one carry number per symbol held, the least for a linear"
            " cell."
        ),
        (
            f"{listed}. Up to {max(p.seeds for p in points)} seeds. Each recipe is the best of up"
            f" to {max(p.recipes for p in points)}, chosen on the seeds that it is judged on."
        ),
        *rules(points),
    ]

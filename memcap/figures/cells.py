"""Cells side by side: carry numbers and parameters that each needs, by lag."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.capacity.comparison import Count, count_by_units, in_numbers
from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, ends
from memcap.figures import Drawn
from memcap.figures.style import (
    colour_and_marker,
    draw_interval,
    highest_end,
    log2_axes,
    pass_rules,
    which_seeds_count,
    write_below,
)
from memcap.knobs import UserError

COUNTS = ("carry_numbers", "parameters")
LINEAR = "one carry number per symbol held: the least for a linear cell"


def draw(rows: pl.DataFrame) -> Drawn:
    """u50 and u90 of each cell, turned into carry numbers and parameters by what the rows counted.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: no rows, or not one task alone.
    """
    points = frontier(rows)
    tasks = {(p.task, p.model.readout, p.evaluation) for p in points}
    if len(tasks) != 1:
        raise UserError(
            f"{len(tasks)} tasks, read-outs or ways of judging in these rows: cells are compared on one;"
            " give the rows of a study"
            " such as memcap train sweeps=cells_side_by_side"
        )
    counts = {p.model.name: {name: count_by_units(rows, p, name) for name in COUNTS} for p in points}
    data = [_columns(p, counts[p.model.name]) for p in points]
    return Drawn(plot(points, counts), pl.DataFrame(data, infer_schema_length=None))


def symbols_held(point: Point) -> int:
    """Symbols that the task must hold at once: lag + 1 of a delay line."""
    return point.task.facts(point.lag, point.length).held


def _columns(point: Point, counts: dict[str, Count]) -> dict[str, Any]:
    row: dict[str, Any] = {"cell": point.model.name, "lag": point.lag, "held": symbols_held(point)}
    for which in ("u50", "u90"):
        row |= ends(which, getattr(point.fit, which))
        for name in COUNTS:
            number = in_numbers(point, which, counts[name])
            row |= ends(f"{name}_{which}", number)
    return (
        row
        | point.recipe_columns("recipe", "lr", "budget")
        | {"recipes": point.recipes, "seeds": point.seeds}
    )


def plot(points: Sequence[Point], counts: dict[str, dict[str, Count]]) -> Figure:
    """Carry numbers on the left, parameters on the right; a line per cell, u90 filled and u50 open."""
    figure = Figure(figsize=(10.4, 6.2))
    panels = figure.subplots(1, 2)
    lags, cells = sorted({p.lag for p in points}), list(dict.fromkeys(p.model.name for p in points))
    for axes, name in zip(panels, COUNTS, strict=True):
        widest = 1.0
        for k, cell in enumerate(cells):
            line = [p for p in points if p.model.name == cell]
            shift = 2 ** ((k - (len(cells) - 1) / 2) * 0.03)
            _line(axes, cell, line, counts[cell][name], shift, *colour_and_marker(k))
            widest = max(
                widest,
                *(
                    highest_end(in_numbers(p, which, counts[cell][name]))
                    for p in line
                    for which in ("u50", "u90")
                ),
            )
        log2_axes(axes, lags, widest)
        axes.set_xlabel("lag (time steps)")
        axes.set_ylabel(name.replace("_", " "))
    symbols = {p.lag: symbols_held(p) for p in points}
    panels[0].plot(lags, [symbols[lag] for lag in lags], color="grey", lw=1, ls=":", label=LINEAR)
    panels[0].set_title("Carry numbers that training needs")
    panels[1].set_title("Parameters that training needs")
    panels[0].legend(frameon=False, fontsize=7, loc="lower right")
    write_below(figure, caption(points))
    return figure


def _line(
    axes: Axes, cell: str, line: Sequence[Point], count: Count, shift: float, colour: str, marker: str
) -> None:
    """One cell: u90 with intervals, and u50. It breaks where no width tried was enough: there stands an arrow
    alone."""
    for which, face, wide, name in (("u90", colour, 1.4, cell), ("u50", "white", 0.7, "_u50")):
        thresholds = [(p, in_numbers(p, which, count)) for p in line]
        x = [p.lag * shift for p, _ in thresholds]
        y = [np.nan if t.censored == "above" else t.units for _, t in thresholds]
        axes.plot(x, y, color=colour, marker=marker, ms=5, mfc=face, lw=wide, label=name)
        if which == "u90":
            for at, (_, threshold) in zip(x, thresholds, strict=True):
                draw_interval(axes, at, threshold, colour)


def caption(points: Sequence[Point]) -> str:
    """Each cell's recipes, and what the marks mean."""
    used: dict[str, list[str]] = {}
    for p in points:
        recipe = f"{p.recipe.name} at lr {p.recipe.lr:g}, {p.recipe.budget:,} steps"
        if recipe not in used.setdefault(p.model.name, []):
            used[p.model.name].append(recipe)
    parts = [
        "; ".join(f"{cell}: {' or '.join(recipe)}" for cell, recipe in used.items())
        + f". Up to {max(p.seeds for p in points)} seeds.",
        f"A recipe is the best of up to {max(p.recipes for p in points)}, chosen on the seeds it is judged"
        " on.",
        which_seeds_count(points),
        *pass_rules(points),
        "Filled: 90 % of seeds, open: 50 %. Numbers between two widths lie on the polynomial through what"
        " the rows counted."
        " Bars are 95 % intervals; an arrow marks an end that the widths tried leave open, and a line"
        " breaks where no width tried"
        " was enough. What training reached, not what a network could hold.",
    ]
    return "\n".join(textwrap.fill(part, 200) for part in parts)

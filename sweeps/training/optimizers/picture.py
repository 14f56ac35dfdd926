"""The picture of the optimizers: units against training steps and seconds."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from memcap import UserError
from memcap.figures import Drawn
from memcap.figures.lines import NO_LIMIT, table
from memcap.figures.style import (
    COLOURS,
    MARKERS,
    budgets,
    caption_height,
    draw_interval,
    filled,
    pass_rules,
    which_seeds_count,
    write_below,
)
from memcap.findings.tables import Point, ends, fit_all_recipes

TITLE = "Units that 90 % of seeds need, by what they take to train"
COSTS = {
    "steps": "training steps to the verdict, median",
    "seconds": "seconds of training per net, mean",
}
# inches: the whole, the panels, the numbers, the names
WIDTH = 10.0
HIGH = 4.2
LEFT = 0.75
NAMES = 2.6
ABOUT = (
    "Each mark shows u90 of one task and lag by one optimizer at one peak rate, with its 95 %"
    " interval. The left panel shows it over the median steps of the nets that passed, and the"
    " right panel over the mean seconds of all nets. An arrow marks an end that the widths tried"
    " leave open. If no net passed, there is no mark."
)


def of_rows(rows: pl.DataFrame) -> Drawn:
    """Draw u90 of each task and lag by each optimizer and learning rate."""
    points = [p for p in fit_all_recipes(rows) if p.steps is not None]
    if not points:
        raise UserError(
            "no net passed: nothing to draw; train some, as in: memcap train"
            " sweeps=training/optimizers"
        )
    return Drawn(plot(points), table(map(_columns, points)))


def name_of(point: Point) -> str:
    """Name a point's optimizer with its rate."""
    return f"{point.recipe.optimizer} {point.recipe.lr:g}"


def mark_of(point: Point) -> str:
    """Name a point's task and lag."""
    return f"{point.label}, lag {point.lag}"


def costs_of(point: Point) -> dict[str, float]:
    """Return the costs of a point's nets, by `COSTS`."""
    assert point.steps is not None
    return {"steps": point.steps, "seconds": point.seconds / sum(point.runs)}


def _columns(point: Point) -> dict[str, Any]:
    return {
        "label": point.label,
        "lag": point.lag,
        "optimizer": point.recipe.optimizer,
        **point.recipe_columns("lr", "budget"),
        "recipe": point.recipe.name,
        "at": point.at,
        **ends("u90", point.fit.u90),
        **costs_of(point),
        "passed": sum(point.solved),
        "runs": sum(point.runs),
    }


def plot(points: Sequence[Point]) -> Figure:
    """Draw a panel per cost: a colour per optimizer and rate, a marker per task and lag."""
    names, marks = (list(dict.fromkeys(map(of, points))) for of in (name_of, mark_of))
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(sorted(names))}
    shapes = [
        shape for shape in f"{MARKERS}pX" if shape not in "^v"
    ]  # these mark open intervals
    markers = {mark: shapes[k % len(shapes)] for k, mark in enumerate(marks)}
    last = " ".join([which_seeds_count(points), *pass_rules(points)])
    parts = [ABOUT, f"{budgets(points)} {NO_LIMIT}", last]
    text = filled(parts, 18.5 * WIDTH)
    height = 0.5 + HIGH + caption_height(text)
    figure = Figure(figsize=(WIDTH, height))
    panels = figure.subplots(1, len(COSTS), sharey=True)
    write_below(figure, text)
    figure.subplots_adjust(
        left=LEFT / WIDTH, right=1 - NAMES / WIDTH, top=1 - 0.4 / height, wspace=0.08
    )
    figure.text(LEFT / WIDTH, 1 - 0.1 / height, TITLE, va="top", fontsize=12)
    for axes, cost in zip(panels, COSTS, strict=True):
        for point in points:
            colour = colours[name_of(point)]
            at = costs_of(point)[cost]
            draw_interval(axes, at, point.fit.u90, colour)
            axes.plot(
                at,
                point.fit.u90.units,
                color=colour,
                marker=markers[mark_of(point)],
                ms=6,
                ls="",
            )
        _scale(axes, COSTS[cost])
    panels[0].set_ylabel("units (90 % of seeds)")
    keys = [
        Line2D([], [], color=colours[name], lw=3, label=name) for name in sorted(names)
    ]
    keys += [
        Line2D([], [], color="grey", marker=markers[mark], ls="", label=mark)
        for mark in marks
    ]
    panels[-1].legend(
        handles=keys,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        frameon=False,
    )
    return figure


def _scale(axes: Axes, words: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(words)
    axes.grid(color="#dddddd", lw=0.5)

"""The picture of the costs: units against the bits that a task holds, with a line and its
slope for each family of tasks."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.lines import NO_LIMIT, falls, table
from memcap.figures.style import (
    budgets,
    colour_and_marker,
    filled,
    pass_rules,
    which_seeds_count,
    write_below,
)
from memcap.frontiers.frontier import Point, frontier
from memcap.knobs import UserError
from memcap.store.columns import Row
from memcap.tasks.base import fano
from memcap.terminal.words import finite

from .costs import FEWEST_CLUSTERS, Cost, content, costs, family, sentence, unit


def of_rows(rows: pl.DataFrame) -> Drawn:
    """Draw what the tasks of some rows cost."""
    points = [p for p in frontier(rows) if p.measured]
    if not points:
        raise UserError(
            "no measured u90: nothing to draw; train wider nets, as in: memcap train"
            " sweeps=first_study"
        )
    lines = costs(points)
    return Drawn(plot(points, lines), table(_columns(p, lines) for p in points))


def _columns(point: Point, lines: Sequence[Cost]) -> Row:
    width = point.fit.u90
    references = point.references
    row = {
        "label": point.label,
        "family": family(point),
        "cell": point.model.cell,
        "lag": point.lag,
        "content": content(point),
        "content_unit": unit(point),
        "bits": references.bits,
        "u90": width.units,
        "u90_low": width.low or None,
        "u90_high": finite(width.high),
        "carry_numbers": point.numbers_per_unit * width.units,
        "one_per_number": references.one_per_number,
        "information_floor": references.information_floor,
        **point.recipe_columns("recipe", "budget"),
    }
    cost = next((cost for cost in lines if cost.family == family(point)), None)
    if cost is None:
        return row | dict.fromkeys(
            ("slope", "slope_low", "slope_high", "intercept", "points", "clusters")
        )
    return row | {
        "slope": cost.slope,
        "slope_low": finite(cost.low),
        "slope_high": finite(cost.high),
        "intercept": cost.intercept,
        "points": cost.points,
        "clusters": cost.clusters,
    }


def plot(points: Sequence[Point], lines: Sequence[Cost]) -> Figure:
    """Draw u90 by what is held: a marker and a line per family, and the two reference
    lines of an LSTM."""
    figure = Figure(figsize=(10.4, 6.2))
    axes = figure.add_subplot(
        xlabel="bits held (of reals: numbers)", ylabel="units (90 % of seeds)"
    )
    ordered = sorted(points, key=family)
    for k, (name, group) in enumerate(groupby(ordered, key=family)):
        cost = next((cost for cost in lines if cost.family == name), None)
        _family(axes, name, list(group), cost, *colour_and_marker(k))
    bits = _range([p for p in points if unit(p) == "bit"] or points)
    for widths, ls, label in (
        (bits / 2, ":", "LSTM, one bit per carry number (a reference)"),
        (
            (1 - fano(0.01, 2)) * bits / 64,
            (0, (5, 5)),
            "LSTM, float32 information (a floor)",
        ),
    ):
        axes.plot(bits, widths, color="grey", lw=0.8, ls=ls, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_ylim(0.6, 1.8 * max(p.fit.u90.units for p in points))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("Units that training needs, by what is held")
    axes.grid(color="#dddddd", lw=0.5)
    # beside the marks, as there may be many families
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    write_below(figure, caption(points))
    figure.subplots_adjust(left=0.06, right=0.63)
    return figure


def _range(points: Sequence[Point]) -> np.ndarray:
    """Return 100 contents from the least to the greatest of some points, (100,)."""
    contents = [content(p) for p in points]
    return np.geomspace(min(contents), max(contents), 100)


def _family(
    axes: Axes,
    name: str,
    points: Sequence[Point],
    cost: Cost | None,
    colour: str,
    marker: str,
) -> None:
    contents = [content(p) for p in points]
    units = [p.fit.u90.units for p in points]
    for x, point in zip(contents, points, strict=True):
        width = point.fit.u90
        ends = width.low or width.units, finite(width.high) or width.units
        axes.plot([x, x], ends, color=colour, lw=0.8, alpha=0.6, label="_interval")
    words = name if cost is None else f"{name}: {sentence(cost)}"
    axes.plot(contents, units, color=colour, marker=marker, ms=5, ls="", label=words)
    if cost is not None:
        own = _range(points)  # nothing was measured beyond it
        axes.plot(
            own, np.maximum(cost.units(own), 0.7), color=colour, lw=1, label="_cost"
        )


def caption(points: Sequence[Point]) -> str:
    """Say what is drawn, and at which budgets."""
    parts = [
        (
            "Each mark shows the width at which 90 % of the seeds that train at all pass, for one"
            " task and lag, with its 95 % interval. Bits are those that must cross from one step"
            " to the next. Thresholds that the widths tried leave open are not drawn."
        ),
        (
            "Each line is fitted to one family by least squares. The 95 % interval of its slope"
            " takes lags as independent if the content of the task grows with the lag, and sets"
            f" of knobs otherwise. A slope has no interval if fewer than {FEWEST_CLUSTERS} are"
            " independent."
        ),
        f"{budgets(points)} {NO_LIMIT}",
        *falls(points),
        " ".join([which_seeds_count(points), *pass_rules(points)]),
    ]
    return filled(parts, 190)

"""Units against lag, both on a scale of doublings.

A line that rises pays for information.
"""

import math
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, columns
from memcap.figures import Drawn
from memcap.figures.style import (
    ONE_PER_SYMBOL,
    choice_of_recipe,
    colour_and_marker,
    draw_interval,
    highest_end,
    listing,
    log2_axes,
    pass_rules,
    which_seeds_count,
    write_below,
)
from memcap.knobs import UserError

SHARE = ", {} % of seeds"
MOST_ON_THE_MARKS = 5  # tasks whose legend has room above their marks; that of more stands beside them


def draw(rows: pl.DataFrame) -> Drawn:
    """The frontier of some rows.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: there are no rows.
    """
    points = frontier(rows)
    if not points:
        raise UserError(
            "no rows: nothing to draw; train a study first, as in: memcap train sweeps=first_study"
        )
    return Drawn(plot(points), pl.DataFrame([columns(p) for p in points], infer_schema_length=None))


def plot(points: Sequence[Point]) -> Figure:
    """The figure: u90 (filled) and u50 (open) of each task against lag with intervals, reference widths, and
    a caption."""
    lines = {label: list(group) for label, group in groupby(points, key=lambda p: p.label)}
    beside = len(lines) > MOST_ON_THE_MARKS
    figure = Figure(figsize=(11.4 if beside else 7.2, 6.4))
    axes = figure.add_subplot()
    for k, (label, line) in enumerate(lines.items()):
        shift = (k - (len(lines) - 1) / 2) * min(0.08, 0.3 / len(lines))
        _line(axes, label, line, *colour_and_marker(k), shift)
    _scales(axes, points)
    axes.set_xlabel("lag (time steps)")
    axes.set_ylabel("units")
    axes.set_title("Units that training needs, by lag")
    _legend(axes, bbox_to_anchor=(1.01, 1) if beside else None)
    write_below(figure, caption(points))
    if beside:
        figure.subplots_adjust(left=0.06, right=0.61)
    return figure


def _line(axes: Axes, label: str, line: Sequence[Point], colour: str, marker: str, shift: float) -> None:
    """One task; `shift` (in doublings) keeps the intervals of tasks and shares apart."""
    for which, sideways in (("u50", shift - 0.02), ("u90", shift + 0.02)):
        thresholds = [(p.lag * 2**sideways, getattr(p.fit, which)) for p in line]
        for x, threshold in thresholds:
            draw_interval(axes, x, threshold, colour)
        # Where no width was enough the line breaks: it must not run on as if something had been measured
        # there.
        measured = [(x, math.nan if t.censored == "above" else t.units) for x, t in thresholds]
        face, width = (colour, 1.4) if which == "u90" else ("white", 0.7)
        axes.plot(
            *_columns(measured),
            color=colour,
            marker=marker,
            ms=5,
            mfc=face,
            lw=width,
            label=label + SHARE.format(which[1:]),
        )
    references = [(p.lag, p.references) for p in line]
    axes.plot(
        *_columns([(lag, r.one_per_number) for lag, r in references]),
        ls=":",
        color=colour,
        lw=1,
        label="_one_per_number",
    )
    hand_set = [(lag, r.constructed) for lag, r in references if r.constructed is not None]
    axes.plot(*_columns(hand_set), ls="", marker="x", color=colour, ms=8, mew=1, label="_constructed")


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def _legend(axes: Axes, bbox_to_anchor: tuple[float, float] | None) -> None:
    """One entry per task, then grey ones for what the marks mean."""
    legend = zip(*axes.get_legend_handles_labels(), strict=True)
    entries = [
        (line, name.removesuffix(SHARE.format(90)))
        for line, name in legend
        if name.endswith(SHARE.format(90))
    ]
    grey: dict[str, Any] = {"color": "grey", "ms": 5}
    entries += [
        (Line2D([], [], marker="o", lw=1.4, **grey), "90 % of seeds pass"),
        (Line2D([], [], marker="o", lw=0.7, mfc="white", **grey), "50 % of seeds pass"),
        (Line2D([], [], ls=":", lw=1, **grey), ONE_PER_SYMBOL),
        (
            Line2D([], [], ls="", marker="x", mew=1, color="grey", ms=8),
            "constructed: hand-set weights, no training",
        ),
    ]
    lines, names = zip(*entries, strict=True)
    axes.legend(lines, names, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=bbox_to_anchor)


def _scales(axes: Axes, points: Sequence[Point]) -> None:
    """Both scales, with room for every threshold, interval and reference width."""
    widest = max(highest_end(t) for p in points for t in (p.fit.u50, p.fit.u90))
    widest = max(widest, *(max(p.references.one_per_number, p.references.constructed or 1) for p in points))
    log2_axes(axes, sorted({p.lag for p in points}), widest)


def caption(points: Sequence[Point]) -> str:
    """Recipes with learning rate and budget, seeds, and what the marks mean.

    A frontier is never shown without them.
    """
    parts = [_recipes(label, list(line)) for label, line in groupby(points, key=lambda p: p.label)]
    parts += [which_seeds_count(points), *pass_rules(points)]
    parts.append(
        "Bars are 95 % intervals; an arrow marks an end that the widths tried leave open."
        " A training frontier at this budget, not a capacity limit."
    )
    return "\n".join(textwrap.fill(part, 140) for part in parts)


def _recipes(label: str, line: Sequence[Point]) -> str:
    """The recipes of one task, with the lags of each."""
    lags: dict[tuple[str, float, int], list[int]] = {}
    for p in line:
        lags.setdefault((p.recipe.name, p.recipe.lr, p.recipe.budget), []).append(p.lag)
    recipes = "; ".join(
        f"lag {listing(own)}: {name}, lr {lr:g}, budget {budget} steps"
        for (name, lr, budget), own in lags.items()
    )
    up_to = "up to " if any(min(p.runs) < p.seeds for p in line) else ""
    seeds = _span([p.seeds for p in line])
    return f"{label}: {recipes}; {up_to}{seeds} seeds per width.{choice_of_recipe(line)}"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"

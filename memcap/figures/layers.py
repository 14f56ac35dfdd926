"""Layers: the state and the parameters that nets of one layer and of several need, by lag."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.capacity.comparison import Count, Shift, count_by_units, in_numbers, shift
from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, ends
from memcap.figures import Drawn
from memcap.figures.cells import COUNTS
from memcap.figures.style import (
    budgets,
    choice_of_recipe,
    colour_and_marker,
    draw_interval,
    highest_end,
    log2_axes,
    pass_rules,
    write_below,
)
from memcap.knobs import UserError
from memcap.terminal.words import plural

WORDS = {"carry_numbers": "state", "parameters": "parameters"}
SHARE = 0.9  # of the seeds that train at all


@dataclass(frozen=True)
class Shape:
    """A net of some layers at one task and lag.

    Args:
        point: the frontier there.
        counts: carry numbers and parameters of the whole net by its units, by name.
        times: u90 in each of them over that of the net of the fewest layers there, by name; empty for that
            net itself.
    """

    point: Point
    counts: dict[str, Count]
    times: dict[str, Shift]

    @property
    def line(self) -> str:
        """The task and the net but for its layers."""
        return _of_one_layer(self.point).label


def _of_one_layer(point: Point) -> Point:
    return replace(point, model=replace(point.model, layers=1))


def shapes(rows: pl.DataFrame) -> list[list[Shape]]:
    """The nets of each task and lag that differ in their layers alone, those of the fewest first.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.
    """
    places: dict[Any, list[Shape]] = {}
    for _, own in rows.group_by("task", "knobs", maintain_order=True):
        for point in sorted(frontier(own), key=lambda p: p.model.layers):
            counts = {name: count_by_units(own, point, name) for name in COUNTS}
            there = places.setdefault(_of_one_layer(point).place, [])
            first = there[0] if there else None
            times = {} if first is None else {name: _times(first, point, counts, name) for name in COUNTS}
            there.append(Shape(point, counts, times))
    return sorted(places.values(), key=lambda nets: (nets[0].line, nets[0].point.lag))


def _times(first: Shape, point: Point, counts: dict[str, Count], name: str) -> Shift:
    both = first.counts[name], counts[name]
    return shift(first.point.posterior, point.posterior, SHARE, counts=both)


def least(nets: Sequence[Shape], name: str) -> tuple[Shape | None, bool]:
    """Of the nets of one task and lag the one that needs the fewest carry numbers, or parameters, by
    estimate, and whether it surely does: no interval of another's over its own holds 1. None where none was
    reached."""
    reached = [net for net in nets if net.point.fit.u90.censored != "above"]
    if not reached:
        return None, False
    best = min(reached, key=lambda net: net.counts[name](net.point.fit.u90.units))
    others = (_times(best, net.point, net.counts, name) for net in nets if net is not best)
    return best, len(nets) > 1 and all(each.low > 1 for each in others)


def layers(net: Shape) -> str:
    """How many, in words."""
    return plural(net.point.model.layers, "layer")


def sentence(nets: Sequence[Shape]) -> str:
    """Which shape needs least at one task and lag."""
    parts = []
    for name, word in WORDS.items():
        best, sure = least(nets, name)
        if best is not None:
            number = best.counts[name](best.point.fit.u90.units)
            parts.append(f"least {word} {layers(best)} ({number:.0f}{'' if sure else ', not surely'})")
    return f"{nets[0].line} at lag {nets[0].point.lag}: {'; '.join(parts) or 'no width tried is enough'}."


def draw(rows: pl.DataFrame) -> Drawn:
    """u90 of each number of layers, in carry numbers and in parameters of the whole net.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: no rows.
    """
    groups = shapes(rows)
    if not groups:
        raise UserError("no rows: nothing to draw; train some, as in: memcap train sweeps=layers")
    data = [row for nets in groups for row in map(_columns, nets)]
    return Drawn(plot(groups), pl.DataFrame(data, infer_schema_length=None))


def _columns(net: Shape) -> dict[str, Any]:
    point = net.point
    row: dict[str, Any] = {"label": net.line, "lag": point.lag, "layers": point.model.layers}
    row |= ends("u90", point.fit.u90)
    for name in COUNTS:
        row |= ends(f"{name}_u90", in_numbers(point, "u90", net.counts[name]))
    for name in COUNTS:
        times = net.times.get(name)
        row |= {f"{name}_times": None, f"{name}_times_low": None, f"{name}_times_high": None}
        if times is not None:
            row[f"{name}_times"] = times.ratio
            row[f"{name}_times_low"] = times.low or None
            row[f"{name}_times_high"] = times.high if np.isfinite(times.high) else None
    return row | point.recipe_columns("recipe", "budget") | {"seeds": point.seeds}


def plot(groups: Sequence[Sequence[Shape]]) -> Figure:
    """A row of panels per task: carry numbers on the left, parameters on the right; a line per number of
    layers."""
    lines: dict[str, list[Shape]] = {}
    for net in (net for nets in groups for net in nets):
        lines.setdefault(net.line, []).append(net)
    figure = Figure(figsize=(10.4, 1.6 + 3.4 * len(lines) + 0.12 * len(groups)))
    panels = figure.subplots(len(lines), len(COUNTS), squeeze=False)
    for row, (line, nets) in zip(panels, lines.items(), strict=True):
        for axes, name in zip(row, COUNTS, strict=True):
            _panel(axes, nets, name)
            axes.set_ylabel(name.replace("_", " "))
            axes.set_title(f"{line}: {WORDS[name]}", fontsize=10)
    panels[0][0].legend(frameon=False, fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("lag (time steps)")
    write_below(figure, "\n".join(caption(groups)))
    figure.subplots_adjust(hspace=0.3)
    return figure


def _panel(axes: Axes, nets: Sequence[Shape], name: str) -> None:
    numbers = sorted({net.point.model.layers for net in nets})
    ends_drawn: list[float] = []
    for k, number in enumerate(numbers):
        own = [net for net in nets if net.point.model.layers == number]
        shift_by = 2 ** ((k - (len(numbers) - 1) / 2) * 0.05)
        needed = [in_numbers(net.point, "u90", net.counts[name]) for net in own]
        x = [net.point.lag * shift_by for net in own]
        y = [np.nan if each.censored == "above" else each.units for each in needed]
        colour, marker = colour_and_marker(k)
        axes.plot(x, y, color=colour, marker=marker, ms=5, lw=1.4, label=layers(own[0]))
        for at, each in zip(x, needed, strict=True):
            draw_interval(axes, at, each, colour)
            ends_drawn += [each.low or each.units, highest_end(each)]
    log2_axes(axes, sorted({net.point.lag for net in nets}), max(ends_drawn))
    axes.set_ylim(bottom=min(ends_drawn) / 1.6)


def caption(groups: Sequence[Sequence[Shape]]) -> Iterator[str]:
    """Which shape needs least at each lag, and what the marks mean."""
    points = [net.point for nets in groups for net in nets]
    yield from (sentence(nets) for nets in groups)
    about = (
        "u90, the width at which 90 % of the seeds that train at all pass, in numbers of the carry and in"
        " parameters of the whole net, its read-out too; 95 % intervals (arrows: an open end). Not surely:"
        " the interval of another shape's over it holds 1."
        f"{choice_of_recipe(points)} {budgets(points)} {' '.join(pass_rules(points))}"
        f" Up to {max(p.seeds for p in points)} seeds. What training reached, not what a network could hold."
    )
    yield textwrap.fill(about, 200)

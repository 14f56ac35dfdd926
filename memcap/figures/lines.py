"""Pictures of thresholds against lag: panels, lines, and their names."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.figures.style import (
    caption_height,
    draw_interval,
    filled,
    highest_end,
    log2_axes,
    pass_rules,
    which_seeds_count,
    write_below,
)
from memcap.frontiers.frontier import Point
from memcap.frontiers.words import fall_words
from memcap.knobs import grouped
from memcap.store.columns import Row
from memcap.thresholds.curve import Threshold

LONGEST_NAME = 30  # characters of a name in one row of text
# inches, of 8 points
CHARACTER = 0.066
ROW_OF_TEXT = 0.135
# inches: for an axis' numbers, between panels
LEFT = 0.75
BETWEEN = 0.75
# inches, of a panel, by the number of panels in a row
WIDTHS = {1: 6.0, 2: 3.4}
HEIGHT = 4.2
TICKS_PER_INCH = 5  # for numbers of one or two digits, seldom three
MARKS = (
    "Bars are 95 % intervals. An arrow marks an end that the widths tried leave open. A line"
    " breaks where no width tried was enough."
)
NO_LIMIT = "These are widths that training reached, not what a network could hold."


@dataclass(frozen=True)
class Line:
    """A threshold, or another quantity, by lag."""

    name: str  # written at its end; empty if it needs none
    lags: Sequence[int]  # (N,) steps
    widths: Sequence[
        float
    ]  # (N,) in units or in the panel's count; NaN where the line breaks
    look: dict[str, Any]  # Matplotlib's arguments: `color`, `marker`, and so on
    thresholds: Sequence[
        Threshold
    ] = ()  # (N,) with the intervals to draw; empty for a reference


@dataclass(frozen=True)
class Panel:
    """Axes with lines."""

    counted: str  # the quantity on the vertical axis
    lines: Sequence[Line]  # all lines, drawn in this order
    title: str = ""  # above the axes


def threshold_line(
    name: str,
    points: Sequence[Point],
    colour: str,
    marker: str = "o",
    which: str = "u90",
    thresholds: Sequence[Threshold] | None = None,
) -> Line:
    """Return the line of one task's threshold by lag, broken where no width was enough;
    `thresholds` are those of the points, (N,), if not in units."""
    if thresholds is None:
        thresholds = [getattr(p.fit, which) for p in points]
    widths = [math.nan if t.censored == "above" else t.units for t in thresholds]
    filled = (
        {"mfc": colour, "lw": 1.4} if which == "u90" else {"mfc": "white", "lw": 0.7}
    )
    look = {"color": colour, "marker": marker, "ms": 5, **filled}
    return Line(name, [p.lag for p in points], widths, look, thresholds)


def reference_line(points: Sequence[Point], colour: str = "grey") -> Line:
    """Return the dotted line of one carry number per symbol held."""
    widths = [p.references.one_per_number for p in points]
    return Line(
        "", [p.lag for p in points], widths, {"color": colour, "lw": 1, "ls": ":"}
    )


def by_label(points: Iterable[Point]) -> dict[str, list[Point]]:
    return grouped(points, lambda point: point.label)


def table(rows: Iterable[Row]) -> pl.DataFrame:
    """Return the numbers drawn; an empty column is one of integers."""
    return pl.DataFrame(list(rows), infer_schema_length=None).cast({pl.Null: pl.Int64})


def picture(
    panels: Sequence[Sequence[Panel]],
    title: str,
    caption: Sequence[str],
    key: Sequence[tuple[str, str]] = (),
) -> Figure:
    """Draw rows of equally many panels, with names at the ends of lines, and the
    caption below. `key`: texts with their colours, below the title."""
    columns = len(panels[0])
    wide = WIDTHS[columns]
    lines = [line for row in panels for panel in row for line in panel.lines]
    names = "\n".join(_wrapped(line.name) for line in lines)
    room = CHARACTER * max(map(len, names.split("\n"))) + 0.3
    width = LEFT + columns * (wide + room) + (columns - 1) * BETWEEN
    text = filled(caption, 18.5 * width)
    above = 0.4 + 0.2 * len(key) + (0.3 if panels[0][0].title else 0)
    height = (
        above
        + len(panels) * HEIGHT
        + (len(panels) - 1) * BETWEEN
        + caption_height(text)
    )
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(len(panels), columns, squeeze=False)
    write_below(figure, text)
    figure.subplots_adjust(
        left=LEFT / width, right=1 - room / width, wspace=(room + BETWEEN) / wide
    )
    figure.subplots_adjust(top=1 - above / height, hspace=BETWEEN / HEIGHT)
    for k, (words, colour) in enumerate([(title, "black"), *key]):
        place = 1 - (0.1 + 0.22 * k) / height
        figure.text(
            LEFT / width, place, words, color=colour, va="top", fontsize=10 if k else 12
        )
    for row, axes_of_row in zip(panels, grid, strict=True):
        for panel, axes in zip(row, axes_of_row, strict=True):
            _draw_panel(axes, panel, round(TICKS_PER_INCH * wide))
            _name_lines(axes, panel.lines)
    return figure


def rules(points: Sequence[Point]) -> list[str]:
    last = " ".join([which_seeds_count(points), *pass_rules(points)])
    return [*falls(points), f"{MARKS} {NO_LIMIT}", last]


def falls(points: Sequence[Point]) -> list[str]:
    """Say where counts fall with the width."""
    return [
        f"{p.label} at lag {p.lag}: {fall_words(p.fit.fall)}; marks show the widths before that."
        for p in points
        if p.fit.fall is not None
    ]


def _draw_panel(axes: Axes, panel: Panel, most_ticks: int) -> None:
    measured = [line for line in panel.lines if line.thresholds]
    step = min(
        0.05, 0.3 / max(len(measured), 1)
    )  # in doublings: neighbouring intervals lie apart
    ends = [
        width for line in panel.lines for width in line.widths if not math.isnan(width)
    ]
    for line in panel.lines:
        place = measured.index(line) - (len(measured) - 1) / 2 if line.thresholds else 0
        lags = np.array(line.lags) * 2 ** (step * place)
        for lag, threshold in zip(lags, line.thresholds, strict=False):
            draw_interval(axes, lag, threshold, line.look["color"])
            ends += [threshold.low or threshold.units, highest_end(threshold)]
        axes.plot(lags, line.widths, label=line.name or "_unnamed", **line.look)
    all_lags = sorted({lag for line in panel.lines for lag in line.lags})
    log2_axes(
        axes, all_lags, max(ends, default=1.0), min(ends, default=1.0), most_ticks
    )
    axes.set_xlabel("lag (time steps)")
    axes.set_ylabel(panel.counted)
    axes.set_title(panel.title, fontsize=10, loc="left")


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, LONGEST_NAME))


def _name_lines(axes: Axes, lines: Sequence[Line]) -> None:
    ends = [(line, _end(line)) for line in lines if line.name]
    marks = [(line, *end) for line, end in ends if end]
    marks.sort(key=lambda mark: -mark[2])
    bottom, top = np.log2(axes.get_ylim())
    heights = [(np.log2(width) - bottom) / (top - bottom) for _, _, width in marks]
    rows = [1 + _wrapped(line.name).count("\n") for line, _, _ in marks]
    places = _apart(heights, [ROW_OF_TEXT * number / HEIGHT for number in rows])
    for (line, lag, width), place in zip(marks, places, strict=True):
        colour = line.look["color"]
        axes.annotate(
            _wrapped(line.name),
            xy=(lag, width),
            xytext=(1.05, place),
            textcoords="axes fraction",
            color=colour,
            fontsize=8,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.5,
                "alpha": 0.6,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def _end(line: Line) -> tuple[float, float] | None:
    """Return the last mark of a line, or else the last width tried."""
    for lag, width in zip(reversed(line.lags), reversed(line.widths), strict=True):
        if not math.isnan(width):
            return lag, width
    return (line.lags[-1], line.thresholds[-1].units) if line.thresholds else None


def _apart(heights: Sequence[float], sizes: Sequence[float]) -> np.ndarray:
    """Move descending heights as little as needed for texts of these sizes, and not
    below 0."""
    gaps = [(above + below) / 2 for above, below in pairwise(sizes)]
    offsets = np.cumsum([0, *gaps])
    apart = np.array(heights)
    if np.any(-np.diff(apart) < gaps):
        from scipy.optimize import isotonic_regression

        apart = isotonic_regression(apart + offsets, increasing=False).x - offsets
    return np.maximum(apart, offsets[-1] - offsets + np.array(sizes[-1:]) / 2)

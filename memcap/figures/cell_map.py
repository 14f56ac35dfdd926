"""The map of cells: bytes of state, and parameters, that each cell needs on each task."""

import math
import textwrap
from collections.abc import Sequence

import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.capacity.cell_map import COUNTS, Need, columns, needs
from memcap.capacity.points import Point
from memcap.figures import Drawn
from memcap.figures.lines import NO_LIMIT, table
from memcap.figures.style import (
    budgets,
    caption_height,
    choice_of_recipe,
    draw_box,
    pass_rules,
    write_below,
    write_in,
)
from memcap.knobs import UserError
from memcap.terminal.printing import number

TITLE = "What each cell needs on each task: the darker, the nearer to the fewest"
GUEST = "#c2410c"
SHADES = colormaps["Blues"]
FULL, EMPTY = 0.75, 0.05  # of the shades: of the fewest, and of so many doublings more as follows
DOUBLINGS = 5.0
NAMES, WIDE, HIGH = 1.7, 1.08, 0.34  # inches: of the names of cells, of a box
TITLE_HEIGHT, HEADS = 0.35, 0.7  # inches: of the title, of the names of tasks


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw u90 of every cell on every task, in bytes of state and in parameters.

    Raises:
        UserError: no rows.
    """
    return of_needs(needs(rows))


def of_needs(all_needs: Sequence[Need], guest: str | None = None) -> Drawn:
    """Draw needs that are known; one cell, the guest, stands out.

    Raises:
        UserError: there are none.
    """
    if not all_needs:
        raise UserError("no rows: nothing to draw; train some, as in: memcap train sweeps=cell_map")
    return Drawn(plot(all_needs, guest), table(map(columns, all_needs)))


def plot(all_needs: Sequence[Need], guest: str | None = None) -> Figure:
    """Draw a table of bytes of state above one of parameters: a line per cell, a column per task."""
    places = sorted(dict.fromkeys(need.place for need in all_needs))
    cells = list(dict.fromkeys(need.cell for need in all_needs))
    width = NAMES + WIDE * max(len(places), 4)
    parts = caption([need.point for need in all_needs])
    text = "\n".join(textwrap.fill(part, round(18.5 * width)) for part in parts)
    below, high = caption_height(text), HIGH * (len(cells) + 1)
    height = TITLE_HEIGHT + len(COUNTS) * (high + HEADS) + below
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(len(COUNTS), 1)
    write_below(figure, text)
    figure.subplots_adjust(
        left=NAMES / width,
        right=(NAMES + WIDE * len(places)) / width,
        top=1 - (TITLE_HEIGHT + HEADS) / height,
        bottom=below / height,
        hspace=HEADS / high,
    )
    figure.text(0.1 / width, 1 - 0.1 / height, TITLE, va="top", fontsize=12)
    for axes, name in zip(panels, COUNTS, strict=True):
        _head(axes, name, cells, places, guest)
        for place in places:
            there = [need for need in all_needs if need.place == place]
            _column(axes, there, name, cells, places.index(place))
    return figure


def _head(axes: Axes, name: str, cells: Sequence[str], places: Sequence[str], guest: str | None) -> None:
    """Write the names of cells and tasks, and what is counted."""
    axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(len(cells) - 0.5, -1.5))
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(places)), [textwrap.fill(place, 16) for place in places], fontsize=8)
    held = "bits held, in bytes" if name == "bytes" else ""
    axes.set_yticks(range(-1, len(cells)), [held, *cells], fontsize=9)
    axes.annotate(COUNTS[name], (0, 1), (-NAMES * 72 + 8, 6), "axes fraction", "offset points", fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for tick in axes.get_yticklabels():
        if tick.get_text() == guest:
            tick.set_color(GUEST)
            tick.set_fontweight("bold")


def _column(axes: Axes, there: Sequence[Need], name: str, cells: Sequence[str], at: int) -> None:
    """Draw a box per cell on one task: the number with its interval, the darker the fewer."""
    fewest = min((need.u90[name].units for need in there if need.is_met), default=1.0)
    if name == "bytes":
        write_in(axes, at, -1, number(there[0].floor), fontsize=8, color="grey")
    for need in there:
        line = cells.index(need.cell)
        if not need.is_met:
            words = f"> {_short(need.most[name])}" if need.point.trains else "no"
            write_in(axes, at, line, words, fontsize=8, color="#999999")
            continue
        more = math.log2(need.u90[name].units / fewest) / DOUBLINGS
        shade = max(EMPTY, FULL - (FULL - EMPTY) * more)
        draw_box(axes, at, line, SHADES(shade))
        ink = "white" if shade > 0.55 else "black"
        u90 = need.u90[name]
        width = "<= " * (u90.censored == "below") + _short(u90.units)
        interval = f"[{_short(u90.low)}, {_short(u90.high)}]"
        write_in(axes, at, line - 0.16, width, fontsize=8.5, color=ink)
        write_in(axes, at, line + 0.27, interval, fontsize=6, color=ink)


def _short(value: float) -> str:
    if value == 0 or math.isinf(value):
        return "open"
    return f"{value:,.0f}" if value >= 100 else number(value)


def caption(points: Sequence[Point]) -> list[str]:
    """Say what the boxes mean."""
    return [
        "Each number: the width at which 90 % of the seeds that train at all pass, in bytes of the carry and"
        " in parameters of the whole net, with its 95 % interval. No: fewer than half of the seeds pass at"
        " every width. >: not enough where the search ended, and wider nets may be.",
        f"One layer, no convolution, up to {max(p.seeds for p in points)} seeds."
        f"{choice_of_recipe(points)} {budgets(points)} {NO_LIMIT}",
        " ".join(pass_rules(points)),
    ]

"""The map of cells: bytes of state, and parameters, that each cell needs on each task."""

import math
import textwrap
from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from memcap.capacity.cell_map import COUNTS, Need, columns, needs
from memcap.capacity.points import Point
from memcap.figures import Drawn
from memcap.figures.style import budgets, choice_of_recipe, pass_rules, write_below
from memcap.knobs import UserError

OURS, GUESTS = "#1f4e79", "#c2410c"


def draw(rows: pl.DataFrame) -> Drawn:
    """u90 of every cell on every task, in bytes of state and in parameters.

    Raises:
        UserError: no rows.
    """
    return of_needs(needs(rows))


def of_needs(all_needs: Sequence[Need], guest: str | None = None) -> Drawn:
    """The same, of needs that are known; one cell, the guest, stands out.

    Raises:
        UserError: there are none.
    """
    if not all_needs:
        raise UserError("no rows: nothing to draw; train some, as in: memcap train sweeps=cell_map")
    return Drawn(
        plot(all_needs, guest), pl.DataFrame([columns(n) for n in all_needs], infer_schema_length=None)
    )


def plot(all_needs: Sequence[Need], guest: str | None = None) -> Figure:
    """A column of panels per task, bytes of state above, parameters below; a line per cell."""
    places = list(dict.fromkeys(sorted(need.place for need in all_needs)))
    cells = list(dict.fromkeys(need.cell for need in all_needs))
    figure = Figure(figsize=(2.6 + 2.1 * len(places), 2.4 + 0.46 * len(cells)))
    panels = figure.subplots(len(COUNTS), len(places), sharey=True, squeeze=False)
    for row, name in zip(panels, COUNTS, strict=True):
        for axes, place in zip(row, places, strict=True):
            there = [need for need in all_needs if need.place == place]
            _panel(axes, there, name, cells, guest)
            if name == "bytes":
                axes.set_title("\n".join(textwrap.wrap(place, 22)), fontsize=9)
                axes.axvline(there[0].floor, color="grey", lw=1, ls=":")
            axes.set_xlabel(COUNTS[name], fontsize=8)
        row[0].set_yticks(range(len(cells)), cells, fontsize=8)
        row[0].set_ylim(len(cells) - 0.4, -0.6)
        for tick, cell in zip(row[0].get_yticklabels(), cells, strict=True):
            if cell == guest:
                tick.set_color(GUESTS)
                tick.set_fontweight("bold")
    write_below(figure, caption([need.point for need in all_needs]))
    figure.subplots_adjust(left=2.0 / figure.get_figwidth(), hspace=0.22, wspace=0.12)
    return figure


def _panel(axes: Axes, there: Sequence[Need], name: str, cells: Sequence[str], guest: str | None) -> None:
    for need in there:
        at, colour = cells.index(need.cell), GUESTS if need.cell == guest else OURS
        if not need.is_met:  # at the widest net that was searched
            axes.plot(need.most[name], at, marker="x" if not need.point.trains else ">", color="grey", ms=5)
            continue
        u90 = need.u90[name]
        low, high = u90.low or need.least[name], min(u90.high, need.most[name])
        axes.plot([low, high], [at, at], color=colour, lw=1.2, alpha=0.7)
        axes.plot(u90.units, at, marker="o", color=colour, ms=5)
        if math.isinf(u90.high):
            axes.plot(high, at, marker=">", color=colour, ms=4)
        if u90.low == 0:
            axes.plot(low, at, marker="<", color=colour, ms=4)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=7)
    axes.grid(color="#dddddd", lw=0.5)


def caption(points: Sequence[Point]) -> str:
    """What the marks mean."""
    about = (
        "u90, the width at which 90 % of the seeds that train at all pass, in bytes of the carry and in"
        " parameters of the whole net; bars are 95 % intervals (arrows: an open end). A grey arrow: not"
        " enough where the search ended, and wider nets may be; a cross: fewer than half of the seeds at"
        " every width. Dotted: the bits that must be held."
        f"{choice_of_recipe(points)} {budgets(points)} {' '.join(pass_rules(points))} Up to"
        f" {max(p.seeds for p in points)} seeds; one layer, no convolution. What training reached, not what a"
        " network could hold."
    )
    return textwrap.fill(about, 230)

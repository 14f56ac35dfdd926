"""The picture of the map of cells: a box for each cell on each task."""

import textwrap
from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap import UserError
from memcap.figures import Drawn
from memcap.figures.lines import NO_LIMIT, table
from memcap.figures.style import (
    budgets,
    caption_height,
    choice_of_recipe,
    draw_box,
    pass_rules,
    seeds,
    write_below,
    write_in,
)
from memcap.findings.tables import Point, number

from .needs import COUNTS, Need, best_of, by_place, columns

TITLE = "State and parameters that each cell needs: dark boxes may be the fewest"
GUEST = "#c2410c"
# of boxes: of cells that may need the fewest bytes, and of others
FEWEST = "#1f6cb0"
MORE = "#dbe7f3"
# inches: names of cells, width and height of a box
NAMES = 1.7
WIDE = 1.2
HIGH = 0.4
# inches: the title, the names of tasks
TITLE_HEIGHT = 0.35
HEADS = 0.75


def of_needs(
    all_needs: Sequence[Need], rows: pl.DataFrame, guest: str | None = None
) -> Drawn:
    """Draw the known needs of rows, with one cell, the guest, highlighted; raise
    UserError if there are none."""
    if not all_needs:
        raise UserError(
            "no rows: nothing to draw; train some, as in: memcap train sweeps=cells/cell_map"
        )
    return Drawn(plot(all_needs, seeds(rows), guest), table(map(columns, all_needs)))


def plot(
    all_needs: Sequence[Need], seed_words: str, guest: str | None = None
) -> Figure:
    """Draw a table of bytes of state above one of parameters, a line per cell and a
    column per task; `seed_words` names the seeds."""
    places = by_place(all_needs)
    cells = {need.cell: need.cell + need.form for need in all_needs}
    width = NAMES + WIDE * max(len(places), 4)
    parts = caption([need.point for need in all_needs], seed_words)
    text = "\n".join(textwrap.fill(part, round(17 * width)) for part in parts)
    below = caption_height(text)
    high = HIGH * (len(cells) + 1)
    height = TITLE_HEIGHT + len(COUNTS) * (high + HEADS) + below
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(len(COUNTS), 1)
    write_below(figure, text)
    figure.subplots_adjust(
        left=NAMES / width, right=(NAMES + WIDE * len(places)) / width
    )
    top = 1 - (TITLE_HEIGHT + HEADS) / height
    figure.subplots_adjust(top=top, bottom=below / height, hspace=HEADS / high)
    figure.text(0.1 / width, 1 - 0.1 / height, TITLE, va="top", fontsize=12)
    for axes, name in zip(panels, COUNTS, strict=True):
        _head(axes, name, list(cells.values()), list(places), cells.get(guest or ""))
        for column, there in enumerate(places.values()):
            _column(axes, there, name, list(cells), column)
    return figure


def _head(
    axes: Axes,
    name: str,
    cells: Sequence[str],
    places: Sequence[str],
    guest: str | None,
) -> None:
    """Write the names of cells and tasks, and the quantity that is counted."""
    axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(len(cells) - 0.5, -1.5))
    axes.xaxis.tick_top()
    heads = [
        textwrap.fill(place.replace("lag ", "lag\N{NO-BREAK SPACE}"), 17)
        for place in places
    ]
    axes.set_xticks(range(len(places)), heads, fontsize=8)
    floor = "the proved floor" if name == "bytes" else ""
    axes.set_yticks(range(-1, len(cells)), [floor, *cells], fontsize=9)
    axes.annotate(
        COUNTS[name],
        (0, 1),
        (-NAMES * 72 + 8, 6),
        "axes fraction",
        "offset points",
        fontsize=10,
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for tick in axes.get_yticklabels():
        if tick.get_text() == guest:
            tick.set_color(GUEST)
            tick.set_fontweight("bold")


def _column(
    axes: Axes, there: Sequence[Need], name: str, cells: Sequence[str], at: int
) -> None:
    """Draw a box per cell on one task: the number with its interval, dark if it may be
    the smallest."""
    best = best_of(there, name)
    if name == "bytes":
        write_in(axes, at, -1, number(there[0].floor), fontsize=9, color="grey")
    for need in there:
        line = cells.index(need.cell)
        if not need.is_met:
            share = "no" if need.point.u_exist is None else "few"
            words = (
                f"> {_short(need.most[name])}"
                if need.point.trains
                else f"{share}: {need.best:.2f}"
            )
            write_in(axes, at, line, words, fontsize=9, color="#777777")
            continue
        draw_box(axes, at, line, FEWEST if need in best else MORE)
        ink = "white" if need in best else "black"
        width, bracket, interval = need.in_words(name, _short).partition("[")
        write_in(axes, at, line - 0.18, width.strip(), fontsize=10, color=ink)
        steps = need.budget.replace(",000 steps", "k")
        write_in(
            axes, at, line + 0.24, bracket + interval + steps, fontsize=8, color=ink
        )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else number(value)


def caption(points: Sequence[Point], seed_words: str) -> list[str]:
    """Say what the boxes mean."""
    numbers = sorted({point.seeds for point in points})
    return [
        (
            "Each box shows the state (above) and the parameters (below) with which 90 % of the"
            ' seeds that train at all pass, with the 95 % interval. "A to B" means that no seed'
            " passes with A, all pass with B, and no width between was tried. Dark boxes have an"
            ' interval that overlaps with the smallest one\'s. "No" means that no net passes, and'
            ' "few" that fewer than half of the seeds do at every width; each stands before the'
            ' best score of any net. ">" means that no width tried was enough: nine in ten pass'
            " at none, or only wider nets may. No network of any kind meets the criterion below"
            " the proved floor. A number in 24k took up to 24,000 training steps, and one without"
            " such a note up to 3,000."
        ),
        (
            "One layer and no convolution; a cell with a matrix has one head and keys of 16"
            " numbers, unless its name says otherwise."
            f" {' to '.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))} seeds per mark."
            f" {seed_words}{choice_of_recipe(points)} {budgets(points)} {NO_LIMIT}"
        ),
        " ".join(pass_rules(points)),
    ]

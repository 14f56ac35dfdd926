"""Bytes of state of the theoretical floor, of nets set by hand, and of nets that training needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.cells import cell_facts
from memcap.figures import Drawn
from memcap.figures.lines import CHARACTER, NO_LIMIT, table
from memcap.figures.style import COLOURS, budgets, filled, pass_rules, seeds
from memcap.frontiers.comparison import in_numbers
from memcap.frontiers.frontier import Point, ends, label
from memcap.knobs import UserError, grouped
from memcap.store.columns import Row
from memcap.store.shards import load_findings
from memcap.terminal.words import finite, number
from memcap.thresholds.curve import Threshold

TITLE = "From the floor up: the state that theory asks for, and that training needs"
TRAINED = COLOURS[0]
OPEN = {"mfc": "none", "ms": 7, "zorder": 3}
# By the words of the legend.
MARKS: dict[str, dict[str, Any]] = {
    "floor: no network has less": {"marker": "|", "color": "black", "ms": 10, "mew": 2},
    "weights set by hand solve it": {"marker": "D", "color": COLOURS[1], **OPEN},
    "the narrowest net of which any seed passed": {
        "marker": "o",
        "color": COLOURS[2],
        **OPEN,
    },
    "training: nine in ten seeds pass, with the 95 % interval": {
        "marker": "o",
        "color": TRAINED,
        "ms": 4.5,
        "zorder": 4,
    },
}
FLOAT32 = 4  # bytes of a number
# inches: a line, the number at its end, the title
ROW = 0.24
TIMES = 1.0
TOP = 1.0
BEYOND = 1.15  # an arrow stands at this many times the end


@dataclass(frozen=True)
class Gap:
    """Bytes of state that a task needs at a lag in theory, and that nets needed."""

    point: Point  # the frontier there
    floor: float  # least bytes of any network, by `memcap.tasks.least_bits`
    hand_set: (
        float | None
    )  # bytes of the net with hand-set weights; None if none is known
    any_seed: (
        float | None
    )  # bytes of the narrowest net that passed, with any recipe; None if none did
    u90: Threshold  # bytes at which nine in ten nets pass
    is_met: bool  # whether a width tried is enough

    @property
    def times(self) -> float | None:
        """Bytes that training needs over the floor; None if no width was enough."""
        return self.u90.units / self.floor if self.is_met else None


def gaps(rows: pl.DataFrame) -> list[Gap]:
    """Return the gap of each network on each task at its longest lag, the widest first;
    last those where no width is enough, unless another network's is."""
    cell_map = load_findings("cell_map")  # a cell needs here what it needs there
    rows = rows.with_columns(cell_map.SAME)
    points = cell_map.least(cell_map.of_studies(rows))
    points.sort(key=lambda p: (p.label, p.lag))
    longest = {point.label: point for point in points}.values()
    every_gap = [_gap(rows, point) for point in longest]
    tasks = []
    for gaps_of_task in grouped(every_gap, lambda gap: label(gap.point.task)).values():
        met = [gap for gap in gaps_of_task if gap.is_met]
        tasks.append(sorted(met or gaps_of_task, key=_order))
    tasks.sort(key=lambda gaps_of_task: _order(gaps_of_task[0]))
    return [gap for gaps_of_task in tasks for gap in gaps_of_task]


def _order(gap: Gap) -> tuple[Any, ...]:
    return not gap.is_met, -gap.u90.units, -gap.floor, gap.point.label


def _gap(rows: pl.DataFrame, point: Point) -> Gap:
    references = point.references
    of_map = load_findings("cell_map")
    count = of_map.count_bytes(rows.filter(task=point.task.name), point)
    known = references.constructed, point.u_exist
    hand_set, any_seed = (None if units is None else count(units) for units in known)
    return Gap(
        point,
        references.least_bits / 8,
        hand_set,
        any_seed,
        in_numbers(point, "u90", count),
        of_map.is_met(point),
    )


def draw(rows: pl.DataFrame) -> Drawn:
    all_gaps = gaps(rows)
    if not all_gaps:
        raise UserError(
            "no rows: nothing to draw; train some, as in: memcap train sweeps=first_study"
        )
    return Drawn(plot(all_gaps, seeds(rows)), table(map(columns, all_gaps)))


def columns(gap: Gap) -> Row:
    point = gap.point
    return {
        "label": point.label,
        "lag": point.lag,
        "floor_bytes": gap.floor,
        "floor_numbers": gap.floor / FLOAT32,
        "floor_units": point.references.information_floor,
        "hand_set_bytes": gap.hand_set,
        "any_seed_bytes": gap.any_seed,
        **{f"bytes_{name}": value for name, value in ends("u90", gap.u90).items()},
        "times": gap.times,
        **point.recipe_columns("recipe", "budget"),
        "seeds": point.seeds,
    }


def plot(all_gaps: Sequence[Gap], seed_words: str) -> Figure:
    several = len({gap.point.model for gap in all_gaps}) > 1
    names = [_name(gap.point, several) for gap in all_gaps]
    beside = CHARACTER * max(map(len, names)) + 0.2
    width = beside + 6.0 + TIMES
    text = filled(caption(all_gaps, seed_words), 18.5 * width)
    below = 0.75 + 0.12 * (text.count("\n") + 1)
    high = ROW * (len(all_gaps) + 1)
    height = TOP + high + below
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot(xlabel="bytes of state")
    figure.subplots_adjust(
        beside / width, below / height, 1 - TIMES / width, 1 - TOP / height
    )
    figure.text(0.1 / width, 1 - 0.1 / height, TITLE, va="top", fontsize=12)
    figure.text(0.1 / width, 0.1 / height, text, fontsize=7, va="bottom")
    for k, gap in enumerate(all_gaps):
        _line(axes, k, gap)
    if any(cell_facts(gap.point.model.cell).is_lstm for gap in all_gaps):
        axes.axvline(
            2 * FLOAT32, color="grey", lw=1, ls=":", label="one unit of an LSTM"
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(
        lambda value, _: f"1/{1 / value:g}" if value < 1 else f"{value:g}"
    )
    axes.set_ylim(len(all_gaps), -1)
    axes.set_yticks(range(len(all_gaps)), names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", lw=0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _beside(axes, -0.8, "x floor")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.03, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    return figure


def _name(point: Point, several: bool) -> str:
    cell = f", {point.model.name}" if several and not point.model.words else ""
    return f"{point.label.replace('_', ' ')}{cell}, lag {point.lag}"


def _line(axes: Axes, k: int, gap: Gap) -> None:
    end = gap.u90.units
    axes.plot([gap.floor, end], [k, k], color="#bbbbbb", lw=1.2, label="_gap", zorder=1)
    values = gap.floor, gap.hand_set, gap.any_seed, end if gap.is_met else None
    for value, (words, look) in zip(values, MARKS.items(), strict=True):
        x = [] if value is None else [value]
        axes.plot(x, [k] * len(x), label="_" * (k > 0) + words, ls="", **look)
    if gap.is_met:
        ends = [gap.u90.low or end, finite(gap.u90.high) or end]
        look: dict[str, Any] = {"color": TRAINED, "alpha": 0.4}
        axes.plot(ends, [k, k], lw=2.5, label="_interval", zorder=2, **look)
        if not math.isfinite(gap.u90.high):
            axes.plot(BEYOND * end, k, ">", ms=4, label="_open_end", **look)
    words = f"x {gap.times:,.0f}" if gap.times else f"> {number(end)} bytes"
    _beside(axes, k, words, va="center")


def _beside(axes: Axes, k: float, words: str, **look: Any) -> None:
    place = axes.get_yaxis_transform()
    axes.text(1.02, k, words, transform=place, fontsize=8, color="grey", **look)


def caption(all_gaps: Sequence[Gap], seed_words: str) -> list[str]:
    points = [gap.point for gap in all_gaps]
    return [
        in_short(all_gaps),
        (
            "Each line shows a task at its longest trained lag, from its floor to what training"
            " needs. No network of any kind meets the criterion below the floor, by counting"
            " states or by Fano's inequality (1 bit, where neither says more). The numbers at the"
            " right show what training needs, divided by the floor. A float32 number has 4 bytes,"
            " and a unit of an LSTM has 8 (h and c, the dotted line). If the floor is below that,"
            " an LSTM needs at least one unit."
        ),
        (
            "An arrow marks an interval that the widths tried leave open. A line without a blue"
            ' dot has no width that was enough; ">" stands before the widest tried. The width'
            " for nine in ten is fitted between the widths tried, so it may lie below the"
            " narrowest net that passed. Where a width is enough for some networks of a task,"
            f" only they have lines. {seed_words} {budgets(points)} {NO_LIMIT}"
        ),
        " ".join(pass_rules(points)),
    ]


def in_short(all_gaps: Sequence[Gap]) -> str:
    met = [gap for gap in all_gaps if gap.times is not None]
    more = sorted(gap.times or 0 for gap in met if round(gap.point.fit.u90.units) > 1)
    ones = f"{len(met) - len(more)} of {len(all_gaps)} lines"
    words = f"One unit, the least that a net has, is enough at {ones}."
    if more:
        span = f"{more[0]:,.0f} to {more[-1]:,.0f}"
        words += f" At {len(more)}, training needs {span} times the floor."
    return words

"""Units against bits held, all tasks on one axis, with the line through them: what does a bit cost?"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import stdtrit

from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point
from memcap.figures import Drawn
from memcap.figures.style import colour_and_marker, pass_rules, which_seeds_count, write_below
from memcap.knobs import UserError
from memcap.tasks.base import ASKED


@dataclass(frozen=True)
class Law:
    """The straight line units = intercept + slope * bits, by least squares over a cell's thresholds (u90).

    Args:
        cell: whose.
        intercept: units at no bits.
        slope, low, high: units per bit, with the 95 % interval of least squares; the points are taken as
            independent.
        numbers: carry numbers a unit, so that slope * numbers is what a bit costs at equal carry.
        points: how many thresholds the line goes through.
    """

    cell: str
    intercept: float
    slope: float
    low: float
    high: float
    numbers: int
    points: int

    def units(self, bits: float) -> float:
        """The line at so many bits."""
        return self.intercept + self.slope * bits


def laws(points: Iterable[Point]) -> list[Law]:
    """One line per cell, sorted by cell, through its measured points.

    Fewer than three points, or points of equally many bits, have none.
    """
    by_cell: dict[str, list[Point]] = {}
    for point in points:
        if point.measured:
            by_cell.setdefault(point.cell, []).append(point)
    return [_law(cell, by_cell[cell]) for cell in sorted(by_cell) if _enough(by_cell[cell])]


def _enough(points: Sequence[Point]) -> bool:
    return len(points) > 2 and len({p.references.bits for p in points}) > 1


def _law(cell: str, points: Sequence[Point]) -> Law:
    bits, units = np.array([(p.references.bits, p.fit.u90.units) for p in points]).T
    slope, intercept = (float(v) for v in np.polyfit(bits, units, 1))
    error = (
        ((units - intercept - slope * bits) ** 2).sum() / (len(bits) - 2) / ((bits - bits.mean()) ** 2).sum()
    )
    spread = float(stdtrit(len(bits) - 2, 0.975)) * math.sqrt(error)
    return Law(cell, intercept, slope, slope - spread, slope + spread, points[0].carry_numbers(1), len(bits))


def draw(rows: pl.DataFrame) -> Drawn:
    """The law of some rows.

    Args:
        rows: of trained members, as `memcap.studies.store.read` gives them.

    Raises:
        UserError: no width was enough anywhere, or there are no rows.
    """
    points = [p for p in frontier(rows) if p.measured]
    if not points:
        raise UserError(
            "no measured u90: nothing to draw; train wider nets, as in: memcap train sweeps=first_study"
        )
    lines = laws(points)
    return Drawn(
        plot(points, lines), pl.DataFrame([_columns(p, lines) for p in points], infer_schema_length=None)
    )


def _columns(point: Point, lines: Sequence[Law]) -> dict[str, Any]:
    law = next((law for law in lines if law.cell == point.cell), None)
    width, references = point.fit.u90, point.references
    return {
        "label": point.label,
        "cell": point.cell,
        "lag": point.lag,
        "bits": references.bits,
        "u90": width.units,
        "u90_low": width.low,
        "u90_high": None if math.isinf(width.high) else width.high,
        "carry_numbers": point.carry_numbers(1) * width.units,
        "one_per_number": references.one_per_number,
        "information_floor": references.information_floor,
        **{name: point.recipe[name] for name in ("recipe", "budget")},
        "units_a_bit": None if law is None else law.slope,
        "units_a_bit_low": None if law is None else law.low,
        "units_a_bit_high": None if law is None else law.high,
        "units_at_no_bits": None if law is None else law.intercept,
        "carry_numbers_a_bit": None if law is None else law.slope * law.numbers,
        "points": None if law is None else law.points,
    }


def plot(points: Sequence[Point], lines: Sequence[Law]) -> Figure:
    """u90 against bits, a marker per task and a line per cell; and the two reference lines of an LSTM."""
    figure = Figure(figsize=(10.4, 6.2))
    axes = figure.add_subplot(xlabel="bits held", ylabel="units (90 % of seeds)")
    ordered = sorted(points, key=lambda p: p.label)
    for k, (label, group) in enumerate(groupby(ordered, key=lambda p: p.label)):
        _task(axes, label, list(group), *colour_and_marker(k))
    bits = _range(points)
    for law, style in zip(lines, ("-", "--", "-.", (0, (1, 1))) * len(lines), strict=False):
        cost = (
            f"{law.slope:.2f} [{law.low:.2f}, {law.high:.2f}] units per bit, {law.slope * law.numbers:.2f}"
            " carry numbers"
        )
        own = _range([p for p in points if p.cell == law.cell])  # nothing was measured beyond it
        axes.plot(
            own,
            [max(law.units(b), 0.7) for b in own],
            color="#333333",
            lw=1.2,
            ls=style,
            label=f"{law.cell}: {cost}",
        )
    axes.plot(
        bits, bits / 2, color="grey", lw=0.8, ls=":", label="LSTM, one bit per carry number (a reference)"
    )
    axes.plot(
        bits,
        ASKED * bits / 64,
        color="grey",
        lw=0.8,
        ls=(0, (5, 5)),
        label="LSTM, float32 information (a floor)",
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_ylim(0.6, 1.8 * max(p.fit.u90.units for p in points))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("Units that training needs, by bits held")
    axes.grid(color="#dddddd", lw=0.5)
    axes.legend(
        frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1)
    )  # beside the marks: tasks may be many
    write_below(figure, textwrap.fill(caption(points), 200))
    figure.subplots_adjust(left=0.06, right=0.66)
    return figure


def _range(points: Sequence[Point]) -> np.ndarray:
    """(100,) bits from the fewest to the most of some points."""
    bits = [p.references.bits for p in points]
    return np.geomspace(min(bits), max(bits), 100)


def _task(axes: Axes, label: str, points: Sequence[Point], colour: str, marker: str) -> None:
    bits, units = [p.references.bits for p in points], [p.fit.u90.units for p in points]
    for x, point in zip(bits, points, strict=True):
        width = point.fit.u90
        high = width.units if math.isinf(width.high) else width.high
        axes.plot([x, x], [width.low, high], color=colour, lw=0.8, alpha=0.6, label="_interval")
    axes.plot(bits, units, color=colour, marker=marker, ms=5, ls="", label=label)


def caption(points: Sequence[Point]) -> str:
    """What is drawn, and at which budgets."""
    budgets = sorted({p.recipe["budget"] for p in points})
    return (
        "Each mark is one task and lag: the width at which 90 % of the seeds that train at all pass, with"
        " its 95 % interval."
        " Thresholds that the widths tried leave open are not drawn. Bits are those that must cross from"
        " one step to the next."
        " Lines: least squares, a cell each, over all its marks, with the 95 % interval of the slope; marks"
        " are taken as"
        f" independent. Budgets: {', '.join(map(str, budgets))} steps. {which_seeds_count(points)}"
        f" {' '.join(pass_rules(points))} What training"
        " reached, not what a network could hold."
    )

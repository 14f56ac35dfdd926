"""The law: what a bit costs in units, over all tasks and lags that a cell was measured on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from memcap.capacity.frontier import Point


@dataclass(frozen=True)
class Law:
    """The straight line units = intercept + slope * bits, by least squares over a cell's thresholds (u90).

    Args:
        cell: whose.
        intercept: units at no bits.
        slope, low, high: units a bit, with the 95 % interval of least squares; the points are taken as independent.
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


def measured(point: Point) -> bool:
    """Whether a point's u90 is a number: not censored, or 1, below which there is no net."""
    return point.fit.u90.censored == "no" or (point.fit.u90.censored == "below" and point.units[0] == 1)


def laws(points: Iterable[Point]) -> list[Law]:
    """One line a cell, sorted by cell, through its measured points; fewer than three, or all of as many bits, have none."""
    by_cell: dict[str, list[Point]] = {}
    for point in points:
        if measured(point):
            by_cell.setdefault(point.cell, []).append(point)
    return [_law(cell, by_cell[cell]) for cell in sorted(by_cell) if _enough(by_cell[cell])]


def _enough(points: Sequence[Point]) -> bool:
    return len(points) > 2 and len({p.references.bits for p in points}) > 1


def _law(cell: str, points: Sequence[Point]) -> Law:
    bits, units = np.array([(p.references.bits, p.fit.u90.units) for p in points]).T
    line = stats.linregress(bits, units)
    spread = float(stats.t.ppf(0.975, len(points) - 2) * line.stderr)
    slope = float(line.slope)
    numbers = points[0].carry_numbers(1)
    return Law(cell, float(line.intercept), slope, slope - spread, slope + spread, numbers, len(points))

"""The law: what a bit costs in units, over all tasks and lags that a cell was measured on."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from memcap.capacity.points import Point


@dataclass(frozen=True)
class Law:
    """The straight line units = intercept + slope * bits, by least squares over a cell's thresholds (u90).

    Args:
        cell: whose.
        intercept: units at no bits.
        slope, low, high: units a bit, with the 95 % interval of least squares; the points are taken as
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
    """One line a cell, sorted by cell, through its measured points; fewer than three, or all of as many bits,
    have none."""
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

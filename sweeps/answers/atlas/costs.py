"""The cost of information: units per bit, or per number, for each family of tasks.

Families do not cost the same. Holding symbols until they are asked for is one thing,
shifting them on at every step, as in a delay line, is another. The bits of a real
number follow from the error allowed, so reals are counted in numbers. A slope over all
of them would average unlike things.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from scipy.special import stdtrit

from memcap.findings.tables import Point, label

FEWEST_CLUSTERS = 3  # from which an interval is computed


@dataclass(frozen=True)
class Cost:
    """The cost of a family of tasks: the straight line units = intercept + slope *
    content, by least squares over its thresholds (u90)."""

    family: str  # its name, with the cell unless that is the LSTM
    unit: str  # of the content, "bit" or "number"
    intercept: float  # units at no content
    slope: float  # units per bit, or per number
    # 95 % interval of the slope, which takes only clusters as independent; -inf and inf
    # if there are too few of them
    low: float
    high: float
    points: int  # thresholds to which the line is fitted
    # the lags of a task whose content grows with the lag; otherwise the sets of knobs,
    # as the lags of one set are alike
    clusters: int

    def units(self, content: np.ndarray) -> np.ndarray:
        """Return the widths (N,) of the line at these contents."""
        return self.intercept + self.slope * content


def family(point: Point) -> str:
    """Name the family of a point: its task, with its knobs if its content grows with the lag."""
    task = point.task if point.task.stream else type(point.task)()
    return label(task, replace(point.model, readout="dense"))


def unit(point: Point) -> str:
    """Name the unit of a point's content: numbers for reals, as only symbols have bits
    of their own."""
    return "bit" if point.task.loss == "classes" else "number"


def content(point: Point) -> float:
    """Return the bits that must be held, or the numbers."""
    if point.task.loss == "classes":
        return point.references.bits
    return float(point.task.facts(point.lag, point.length).held)


def cluster(point: Point) -> Hashable:
    """Return the cluster of a point: for a stream the lag, otherwise the label."""
    return point.lag if point.task.stream else point.label


def costs(points: Iterable[Point]) -> list[Cost]:
    """Fit one cost to each family with three or more measured points, at several
    contents; by name."""
    measured = sorted((p for p in points if p.measured), key=family)
    families = [(name, [*members]) for name, members in groupby(measured, family)]
    return [
        _cost(name, members)
        for name, members in families
        if len(members) > 2 and len(set(map(content, members))) > 1
    ]


def _cost(name: str, points: Sequence[Point]) -> Cost:
    x = np.array([content(p) for p in points])
    y = np.array([p.fit.u90.units for p in points])
    slope, intercept = (float(value) for value in np.polyfit(x, y, 1))
    off = x - x.mean()
    _, code = np.unique([cluster(p) for p in points], return_inverse=True)
    moments = np.bincount(code, off * (y - intercept - slope * x))
    clusters = len(moments)
    spread = math.inf
    if clusters >= FEWEST_CLUSTERS:
        # the sandwich of Liang & Zeger (1986), corrected for few clusters
        few = clusters / (clusters - 1) * (len(x) - 1) / (len(x) - 2)
        error = math.sqrt(few * (moments**2).sum()) / float((off**2).sum())
        spread = float(stdtrit(clusters - 1, 0.975)) * error
    return Cost(
        family=name,
        unit=unit(points[0]),
        intercept=intercept,
        slope=slope,
        low=slope - spread,
        high=slope + spread,
        points=len(points),
        clusters=clusters,
    )


def sentence(cost: Cost) -> str:
    """Say a cost in words."""
    interval = f" [{cost.low:.2f}, {cost.high:.2f}]" if math.isfinite(cost.low) else ""
    return f"{cost.slope:.2f}{interval} units per {cost.unit}"

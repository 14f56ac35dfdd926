"""The threshold of one point over that of another, and thresholds in other counts than
units. Posteriors are taken as independent: studies share no trained member."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.polynomial import Polynomial

from memcap.frontiers.frontier import Point, of_network
from memcap.thresholds.curve import Floats, Posterior, Threshold, logit, threshold

Bound = Literal["no", "below", "above", "open"]
Side = Literal["no", "below", "above"]
# of units: a count that is compared in their place, and rises with them
Count = Callable[[float], float]

TAIL = (1 - 0.95) / 2  # of a 95 % interval
DRAWS = 400  # quantiles of each posterior; each is paired with each of the other's
# What is known about the ratio, by how the first threshold is censored, then the second.
BOUNDS: dict[Side, dict[Side, Bound]] = {
    "no": {"no": "no", "below": "below", "above": "above"},
    "below": {"no": "above", "below": "open", "above": "above"},
    "above": {"no": "below", "below": "below", "above": "open"},
}


@dataclass(frozen=True)
class Shift:
    """The second threshold over the first."""

    ratio: float | None  # None if neither an estimate nor a bound is known
    low: float  # end of the interval; 0 if open
    high: float  # end of the interval; inf if open
    # "no": `ratio` is an estimate; "below": an upper bound; "above": a lower bound,
    # because a threshold is censored; "open": nothing is known, because both are
    bound: Bound


def in_units(units: float) -> float:
    return units


def count_by_units(rows: pl.DataFrame, point: Point, name: str) -> Count:
    """Return a point's carry numbers or parameters as a function of its units: a
    polynomial of degree 2 at most, so three widths determine it."""
    sizes = of_network(rows, point.model).select("units", name).unique().sort("units")
    degree = min(2, sizes.height - 1)
    polynomial = Polynomial.fit(*sizes.to_numpy().astype(np.float64).T, deg=degree)
    return lambda units: float(polynomial(units))


def in_numbers(point: Point, which: str, count: Count) -> Threshold:
    """Return a point's "u50" or "u90" in another count than units."""
    width: Threshold = getattr(point.fit, which)
    low = 0.0 if width.low == 0 else count(width.low)
    high = width.high if np.isinf(width.high) else count(width.high)
    return Threshold(count(width.units), low, high, width.censored)


def shift(
    first: Posterior,
    second: Posterior,
    p: float,
    counts: tuple[Count, Count] = (in_units, in_units),
) -> Shift:
    """Return the second study's width at which a share `p` of the trainable seeds
    solves over the first's, with a 95 % interval of equal tails; in `counts`, such as
    parameters, of each study's nets."""
    a = threshold(first, p)
    b = threshold(second, p)
    a_low, a_high = _draws(first, a, p, counts[0])
    b_low, b_high = _draws(second, b, p, counts[1])
    low = _quantile_of_ratio(b_low, a_high, TAIL)
    high = _quantile_of_ratio(b_high, a_low, 1 - TAIL)
    bound = BOUNDS[_side(a, first)][_side(b, second)]
    if bound == "open":
        return Shift(None, low, high, bound)
    ratio = counts[1](b.units) / counts[0](a.units)
    return Shift(ratio, min(low, ratio), max(high, ratio), bound)


def _quantile_of_ratio(over: Floats, under: Floats, rank: float) -> float:
    """Return a quantile of the ratio of two variables, given draws of their log2."""
    ratios = np.subtract.outer(over, under)
    return float(np.exp2(np.quantile(ratios, rank, method="inverted_cdf")))


def _log2_of(count: Count, log_units: Floats) -> Floats:
    if count is in_units:
        return log_units
    finite = np.isfinite(log_units)
    numbers = [count(float(units)) for units in np.exp2(log_units[finite])]
    log_counts = np.full_like(log_units, np.inf)
    log_counts[finite] = np.log2(numbers)
    return log_counts


def _side(width: Threshold, post: Posterior) -> Side:
    """Return the side on which a threshold is censored; a bound of one unit is none."""
    return "no" if width.is_number(int(post.widths[0])) else width.censored


def _draws(
    post: Posterior, width: Threshold, p: float, count: Count
) -> tuple[Floats, Floats]:
    """Return equally likely lower and upper bounds of log2 of the threshold's count,
    (DRAWS,); they differ where ends are open."""
    log_units = post.mu + logit(p) / post.slope
    order = np.argsort(log_units, kind="stable")
    mass = np.cumsum(post.curves[order])
    ranks = np.searchsorted(mass, (np.arange(DRAWS) + 0.5) / DRAWS)
    values = log_units[order[np.minimum(ranks, order.size - 1)]]
    values = np.maximum(values, 0.0)
    least, most = np.log2([post.widths[0], post.widths[-1]])
    least = max(0.0, least - (width.censored != "below"))
    most = most + (width.censored != "above")
    low = np.where(values < least, 0.0, values)
    high = np.where(values > most, np.inf, values)
    low = np.minimum(low, most)
    return _log2_of(count, low), _log2_of(count, np.maximum(high, least))

"""Units at a lag that was not measured, from the lags that were. A guess, and marked as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from memcap.capacity.points import Point
from memcap.capacity.thresholds import Floats, Threshold, threshold


@dataclass(frozen=True)
class Prediction:
    """Width at a lag that was not measured.

    Args:
        units, low, high: the estimate and its 95 % interval; high is inf where there are too few lags, or
            where the widths tried leave open the upper end of a threshold that it rests on.
        lags: the lags that the line goes through.
        between: the measured lags on either side, which the estimate is interpolated from; None where the lag
            lies outside.
        left_out: measured lags where the share was not reached, and which nothing can use: the estimate may
            be too low.
        budget: most training steps of the recipes that it rests on.
    """

    units: float
    low: float
    high: float
    lags: tuple[int, ...]
    between: tuple[int, int] | None
    left_out: tuple[int, ...]
    budget: int


def predict(points: Sequence[Point], lag: int, share: float = 0.9) -> Prediction | None:
    """Units at an unmeasured lag for a share of the seeds.

    Between two measured lags: the straight line between their thresholds, so that a frontier that bends is
    followed. Its interval is the hull of two: the straight line between the thresholds' low ends and between
    their high ends, which knows how well the neighbours are known, and the prediction interval of the line
    through all lags, which knows how much thresholds scatter. Outside: the line through all lags by least
    squares, with its prediction interval.

    The line's interval adds two parts in quadrature: the t interval of a further threshold from the
    residuals, of all lags or of the nearer half, whichever scatter more, and what the thresholds' own
    intervals do to the line. The residuals hold part of the second already, so it is rather too wide. For the
    line an end that the widths tried leave open counts as reaching as far as the other one. A threshold that
    is only known to lie at or below the smallest width tried counts as that width.

    Of thresholds drawn about a line, each known to an interval of its own, 94 to 100 % were covered in 2,000
    simulations; where they scatter in proportion to the lag, 90 % between long lags, and 81 % outside at 1.2
    times the longest lag (tests/capacity/test_prediction.py). Where the frontier bends, a lag outside is
    covered less.

    Args:
        points: one a lag.
        lag: time steps; none of the points'.
        share: of the seeds that can train at all.

    Returns:
        None without two measured lags.
    """
    found = sorted(
        ((p.lag, threshold(p.posterior, share), p.recipe["budget"]) for p in points),
        key=lambda known: known[0],
    )
    known = [(x, t, budget) for x, t, budget in found if t.censored != "above"]
    if len({x for x, _, _ in known}) < 2:
        return None
    lags, widths, budgets = zip(*known, strict=True)
    units, low, high, between = estimate(lags, widths, lag)
    left_out = tuple(x for x, t, _ in found if t.censored == "above")
    return Prediction(units, low, high, lags, between, left_out, max(budgets))


def estimate(
    lags: Sequence[int], widths: Sequence[Threshold], lag: int
) -> tuple[float, float, float, tuple[int, int] | None]:
    """Units, low, high, and the neighbours where the lag lies between two; `lags` ascend, at least two; see
    `predict`."""
    x = np.array(lags, float)
    y, low, high = np.array([(w.units, w.low, w.high) for w in widths]).T
    units, least, most = _line(x, y, y - low, np.where(np.isinf(high), y - low, high - y), lag)
    between = None
    if lags[0] < lag < lags[-1]:
        right = int(np.searchsorted(x, lag, side="right"))
        between = lags[right - 1], lags[right]
        pair = slice(right - 1, right + 1)
        units, own_low, own_high = (_straight(lag, x[pair], ends[pair]) for ends in (y, low, high))
        least, most = min(least, own_low), max(most, own_high)
    return max(1.0, units), max(1.0, least), most, between


def _straight(lag: int, x: Floats, y: Floats) -> float:
    """The straight line between two points; inf if one of them is."""
    share = (lag - x[0]) / (x[1] - x[0])
    return float((1 - share) * y[0] + share * y[1])


def _line(x: Floats, y: Floats, below: Floats, above: Floats, lag: int) -> tuple[float, float, float]:
    """Least squares of `y` on `x` at `lag`, with its 95 % interval; `below`, `above`: how far each y's own
    interval reaches."""
    off = x - x.mean()
    # what each y counts for the line at the lag
    weights = 1 / len(x) + (lag - x.mean()) * off / (off**2).sum()
    at = float(weights @ y)
    if len(x) < 3:
        return at, -math.inf, math.inf
    slope = off @ y / (off**2).sum()
    squares = (y - y.mean() - slope * off) ** 2 * len(x) / (len(x) - 2)
    near = squares[np.argsort(abs(x - lag), kind="stable")[: max(3, (len(x) + 1) // 2)]]
    scatter = max(_spread(squares, len(x) - 2), _spread(near, len(near) - 1)) * (1 + (weights**2).sum())
    falls = weights < 0  # where y counts negatively its high end is what lowers the line
    down, up = (((weights * np.where(falls, a, b)) ** 2).sum() for a, b in ((above, below), (below, above)))
    return at, at - math.sqrt(scatter + down), at + math.sqrt(scatter + up)


def _spread(squares: Floats, freedom: int) -> float:
    """The square of what 95 % of further residuals stay within, from some squared ones."""
    return float(stdtrit(freedom, 0.975) ** 2 * squares.mean())

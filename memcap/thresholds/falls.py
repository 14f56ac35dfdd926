"""Curves that fall again, because wider nets fail more often than narrower ones.

The probability that a seed with u units passes is the curve of memcap.thresholds.curve
times what a fall leaves:

    P(passes | u) = (1 - lapse) * rise(log2 u) * (1 - depth * fall(log2 u))

Most curves do not fall (prior `PRIOR`). Those that do may fall anywhere within the
widths tried, by three tenths to nine tenths, within a few units or over a doubling, and
for good or for a doubling of the width. All of this is summed on a coarse grid, for
each lag by itself.

Counts are said to fall if the posterior of a fall reaches `ALARM`. As its prior is
`PRIOR`, this takes counts that are 36 times as likely under a fall as without one. Of
simulated curves that do not fall, with 4 to 16 seeds per width, fewer than 1 in 100
were said to fall, even if seeds are alike (an intraclass correlation of .2; `pytest -m
slow -k false_alarms tests/thresholds/test_falls.py`).

A less certain fall may still be too likely to trust a curve that cannot fall:
`width_to_take` then goes by the counts of the widths themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from memcap.thresholds.curve import CORRELATIONS, Counts, Fall, Floats, log_probability
from memcap.thresholds.logistic import logistic

Floats32 = NDArray[np.float32]

# of a fall; the posterior from which counts are said to fall
PRIOR = 0.2
ALARM = 0.9
# of the rise
SLOPES = np.array([3, 6, 12, 25, 60, 150.0])
SLOPE_PRIOR = np.array([0.5, 1, 1, 1, 0.6, 0.3])
LAPSES = np.array([0.01, 0.04, 0.08, 0.15, 0.3, 0.5])
LAPSE_PRIOR = np.array([0.3, 0.3, 0.2, 0.1, 0.06, 0.04])
# of a fall; lengths: doublings
DEPTHS = (0.3, 0.5, 0.7, 0.9)
STEEPNESS = (6.0, 30.0)
LENGTHS = (1.0, np.inf)
# Of the rise's grid: doublings beyond the widths; values between two; step.
AROUND = 1.5
BETWEEN = 4
COARSEST = 1 / 8
LEAST_DROP = 6.0  # twice the log likelihood ratio of a drop: below this counts are not said to fall
# The same ratio below which a curve that cannot fall is trusted; the posterior of a
# fall from which it is not; then the least probability that a width reaches the share,
# and by how much its own seeds may miss it.
SMALL_DROP = 2.0
DOUBT = 0.1
CERTAINTY = 0.8
SLACK = 0.1
LEVELS = 1000  # values of P(passes) at which counts have their likelihood


@dataclass(frozen=True, eq=False)
class Curves:
    """The posterior over curves that may fall: weights (N, F) of rises and falls; the
    first fall is none."""

    mu: Floats
    slope: Floats
    falls: Floats  # (F, 4): place, steepness, depth, length
    weights: Floats32

    @property
    def fall(self) -> float:
        """The probability that the curve falls."""
        return float(1 - self.weights[:, 0].sum())

    def reached(self, share: float, units: Iterable[int]) -> Floats:
        """Compute the probability that nets of `units` reach a share of the seeds that
        train at all."""
        return np.array(
            [self.weights[self._rates(np.log2(u)) >= share].sum() for u in units]
        )

    def _rates(self, x: float) -> Floats32:
        return _rise(x, self.mu, self.slope)[:, None] * _remainder(x, self.falls)


def _rise(x: float, mu: Floats, slope: Floats) -> Floats32:
    return logistic(slope * (x - mu)).astype(np.float32)


def _remainder(x: float, falls: Floats) -> Floats32:
    where, steep, depth, length = falls.T
    within = logistic(steep * (x - where)) * logistic(steep * (where + length - x))
    return (1 - depth * within).astype(np.float32)


def _between(widths: Floats, beyond: float, values: int) -> tuple[Floats, Floats]:
    """Return values around the logarithms of widths, and the distance of each from the next."""
    ends = [widths[0] - beyond, *widths, widths[-1] + beyond]
    parts = []
    steps = []
    for low, high in pairwise(ends):
        number = max(values, int(np.ceil((high - low) / COARSEST)))
        parts.append(np.linspace(low, high, number, endpoint=False))
        steps.append(np.full(number, (high - low) / number))
    gaps = np.concatenate(steps)
    return np.concatenate(parts) + gaps / 2, gaps


@lru_cache(maxsize=1024)
def _table(solved: int, runs: int) -> Floats32:
    """Compute log P of counts, (correlations, LEVELS), given P(passes)."""
    p = np.linspace(0, 1, LEVELS + 2)[1:-1]
    return log_probability(
        solved, runs, p, 1 - p, np.array([[each] for each, _ in CORRELATIONS])
    )


def curves(counts: Counts) -> Curves:
    """Compute the posterior over curves that may fall, given the counts of one study."""
    x = np.log2(counts.widths)
    mus, steps = _between(x, AROUND, BETWEEN)
    mu = np.repeat(mus, len(SLOPES))
    slope = np.tile(SLOPES, len(mus))
    prior = np.outer(steps / steps.sum(), SLOPE_PRIOR / SLOPE_PRIOR.sum()).ravel()
    nus, gaps = _between(x, COARSEST, 2)
    shapes = [
        (steep, depth, length)
        for steep in STEEPNESS
        for depth in DEPTHS
        for length in LENGTHS
    ]
    falls = np.array(
        [(0.0, 1.0, 0.0, 1.0), *((nu, *shape) for nu in nus for shape in shapes)]
    )
    odds = np.concatenate(
        [[1 - PRIOR], np.repeat(PRIOR * gaps / gaps.sum() / len(shapes), len(shapes))]
    )
    rates = [
        _rise(at, mu, slope)[:, None] * _remainder(at, falls) * np.float32(LEVELS)
        for at in x
    ]
    log_p = np.zeros((len(LAPSES), len(CORRELATIONS), len(mu), len(falls)), np.float32)
    for own, solved, runs in zip(rates, counts.solved, counts.runs, strict=True):
        table = _table(int(solved), int(runs))
        for each, lapse in zip(log_p, LAPSES, strict=True):
            rows = np.minimum(own * np.float32(1 - lapse), LEVELS - 1).astype(np.int16)
            for part, values in zip(each, table, strict=True):
                part += values.take(rows)
    shares = np.outer(LAPSE_PRIOR, [share for _, share in CORRELATIONS]).astype(
        np.float32
    )
    likelihood = np.exp(log_p - np.max(log_p), out=log_p)
    weights = np.tensordot(shares, likelihood, 2)
    weights = weights * prior[:, None].astype(np.float32) * odds.astype(np.float32)
    return Curves(mu, slope, falls, weights / weights.sum(dtype=float))


def find_fall(counts: Counts) -> Fall | None:
    """Return the fall of one study's counts with the width; None if chance may explain it."""
    place, drop = _deepest(counts)
    return None if drop < LEAST_DROP or curves(counts).fall < ALARM else place


def possible_fall(counts: Counts) -> Fall | None:
    """Return the fall that counts may well have, so that no rising curve is a guide;
    None if one is."""
    return None if _doubtful(counts) is None else _deepest(counts)[0]


def before(counts: Counts, fall: Fall | None) -> Counts:
    """Return the counts of the widths before a fall; all counts if there is none."""
    narrow = counts.widths <= (np.inf if fall is None else fall.last)
    return Counts(counts.widths[narrow], counts.solved[narrow], counts.runs[narrow])


def width_to_take(counts: Counts, share: float, units: int | None) -> int | None:
    """Return the width to take so that a share of the seeds that train at all passes;
    None if none is known to be enough. `units` is the one to take if the curve cannot
    fall.

    It is `units` if the counts hardly fall and reach that far. Otherwise it is the
    narrowest width tried that is enough both by the posterior over curves that may fall
    and by its own counts. If counts do not fall and `units` is wider than any width
    tried, it is the widest one, if that is enough as surely as `units` would be.
    """
    doubtful = _doubtful(counts)
    beyond = units is not None and units > counts.widths[-1]
    if doubtful is None and not beyond:
        return units
    own = counts.solved >= (share - SLACK) * counts.runs
    reached = (doubtful or curves(counts)).reached(share, counts.widths)
    if doubtful is not None:
        enough = counts.widths[own & (reached >= CERTAINTY)]
        return int(enough[0]) if enough.size else None
    return int(counts.widths[-1]) if reached[-1] >= ALARM else units


def _doubtful(counts: Counts) -> Curves | None:
    """Return the posterior over curves that may fall; None where the counts hardly do."""
    if _deepest(counts)[1] < SMALL_DROP:
        return None
    posterior = curves(counts)
    return posterior if posterior.fall >= DOUBT else None


@lru_cache(maxsize=64)
def _blocks(widths: int) -> NDArray[np.int64]:
    """Return the first, last and widest place of all pairs of adjacent blocks of widths, (3, B)."""
    blocks = [
        (a, j, k)
        for a in range(widths)
        for j in range(a, widths - 1)
        for k in range(j + 1, widths)
    ]
    return np.array(blocks, np.int64).reshape(-1, 3).T


def _deepest(counts: Counts) -> tuple[Fall | None, float]:
    """Return the two adjacent blocks of widths that differ most, with the wider one
    failing more, and twice the log likelihood ratio of their difference."""
    first, last, widest = _blocks(len(counts.widths))
    if not first.size:
        return None, 0.0
    solved, runs = (
        np.concatenate([[0], np.cumsum(each)]) for each in (counts.solved, counts.runs)
    )
    passed = solved[last + 1] - solved[first]
    trained = runs[last + 1] - runs[first]
    wide_passed = solved[widest + 1] - solved[last + 1]
    wide_trained = runs[widest + 1] - runs[last + 1]
    drop = 2 * (
        _log_likelihood(passed, trained)
        + _log_likelihood(wide_passed, wide_trained)
        - _log_likelihood(passed + wide_passed, trained + wide_trained)
    )
    drop = np.where(passed * wide_trained > wide_passed * trained, drop, 0)
    best = int(np.argmax(np.round(drop, 6)))
    places = (
        counts.widths[first[best]],
        counts.widths[last[best]],
        passed[best],
        trained[best],
    )
    behind = (
        counts.widths[last[best] + 1],
        counts.widths[widest[best]],
        wide_passed[best],
        wide_trained[best],
    )
    return Fall(*map(int, (*places, *behind))), float(drop[best])


def _log_likelihood(passed: NDArray[np.int64], runs: NDArray[np.int64]) -> Floats:
    """Compute the log likelihood of a block's counts at the block's own share."""
    some = np.maximum(passed, 1)
    failed = np.maximum(runs - passed, 1)
    return passed * np.log(some / runs) + (runs - passed) * np.log(failed / runs)

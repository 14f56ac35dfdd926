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
were said to fall, even if seeds are alike (an intraclass correlation of 0.2; `pytest -m
slow -k false_alarms tests/thresholds/test_falls.py`).

A less certain fall may still be too likely to trust a curve that cannot fall:
`width_to_take` then goes by the counts of the widths themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memcap.thresholds.curve import (
    CORRELATIONS,
    Counts,
    Fall,
    Fit,
    Floats,
    Floats32,
    Integers,
    Posterior,
    counts,
    fit_of,
    log_probability,
    logistic,
    posterior,
)

PRIOR = 0.2  # of a fall
ALARM = 0.9  # posterior of a fall from which counts are said to fall
SLOPES = np.array([1.5, 3, 6, 12, 25, 60, 150])  # of the rise
SLOPE_PRIOR = np.array([0.4, 0.5, 1, 1, 1, 0.6, 0.3])
LAPSES = np.array([0.01, 0.04, 0.08, 0.15, 0.3, 0.5])
LAPSE_PRIOR = np.array([0.3, 0.3, 0.2, 0.1, 0.06, 0.04])
DEPTHS = (0.3, 0.5, 0.7, 0.9)  # of a fall
STEEPNESS = (6.0, 30.0)
LENGTHS = (1.0, np.inf)  # doublings
NO_FALL = (0.0, 1.0, 0.0, 1.0)  # place, steepness, depth, length
AROUND = 1.5  # doublings of the rise's grid beyond the widths
BETWEEN = 4  # values of the rise between two widths, at least
COARSEST = 1 / 8  # doublings between values
LEAST_DROP = 6.0  # twice the log likelihood ratio of a drop from which counts may fall
SMALL_DROP = 1.0  # the same below which a curve that cannot fall is trusted
DOUBT = 0.1  # posterior of a fall from which it is not
# then: the probability that a width reaches the share, from which the narrowest is
# taken, and the least of the likeliest width
CERTAINTY = 0.92
LEAST_CERTAINTY = 0.82
LEAST_PEAK = 0.3  # probability that any width reaches it, from which one is sought
SLACK = 0.1  # and by how much the width's own seeds may miss it
LEVELS = 1000  # values of P(passes) at which counts have their likelihood
Whole = tuple[int, ...]  # numbers of each width


@dataclass(frozen=True, eq=False)
class Curves:
    """The posterior over curves that may fall."""

    mu: Floats  # (N,) of the rise
    slope: Floats  # (N,)
    falls: Floats  # (F, 4): place, steepness, depth, length; the first is none
    weights: Floats32  # (N, F), summing to 1

    @property
    def fall(self) -> float:
        """The probability that the curve falls."""
        rising = self.weights[:, 0]
        return float(1 - rising.sum())

    def reached(self, share: float, units: ArrayLike) -> Floats:
        """Compute the probability that nets of `units` reach a share of the seeds that
        train at all."""
        chances = [self.weights[enough].sum() for enough in self._enough(share, units)]
        return np.array(chances, float)

    def reached_if_any(self, share: float, units: ArrayLike) -> Floats:
        """Compute the same, given that some width does: seeds that pass at no width are
        seeds that do not train. Up to four times the widest counts. If it is unlikely
        that any does, compute what `reached` does."""
        widths = np.asarray(units)
        further = widths.max() * np.array([2, 4])
        enough = [*self._enough(share, np.append(widths, further))]
        chances = np.array(
            [self.weights[k].sum() for k in enough[: len(widths)]], float
        )
        somewhere = self.weights[np.logical_or.reduce(enough)].sum()
        return chances / somewhere if somewhere >= LEAST_PEAK else chances

    def _enough(self, share: float, units: ArrayLike) -> Iterator[NDArray[np.bool_]]:
        """Yield for each width the curves that reach a share there, (N, F)."""
        for log_units in np.log2(units):
            yield _rates(log_units, self.mu, self.slope, self.falls) >= share


def _rates(x: float, mu: Floats, slope: Floats, falls: Floats) -> Floats32:
    """Compute the share that passes at a width, but for the lapse, (N, F)."""
    where, steep, depth, length = falls.T
    rise = logistic(slope * (x - mu)).astype(np.float32)
    begun = logistic(steep * (x - where))
    not_over = logistic(steep * (where + length - x))
    left = 1 - depth * (begun * not_over)
    return rise[:, None] * left.astype(np.float32)


def _between(widths: Floats, beyond: float, values: int) -> tuple[Floats, Floats]:
    """Return values around the logarithms of widths, and the distance of each from the next."""
    parts = []
    gaps = []
    least = widths[0] - beyond
    most = widths[-1] + beyond
    for low, high in pairwise([least, *widths, most]):
        distance = high - low
        needed = int(np.ceil(distance / COARSEST))
        number = max(values, needed)
        part = np.linspace(low, high, number, endpoint=False)
        parts.append(part)
        gaps.append(np.full(number, distance / number))
    steps = np.concatenate(gaps)
    return np.concatenate(parts) + steps / 2, steps


@lru_cache(maxsize=1024)
def _table(solved: int, runs: int) -> Floats32:
    """Compute log P of counts, (correlations, LEVELS), given P(passes)."""
    p = np.linspace(0, 1, LEVELS + 2)[1:-1]
    pairs = np.array(CORRELATIONS)
    correlations = pairs[:, :1]
    return log_probability(solved, runs, p, 1 - p, correlations)


def curves(data: Counts) -> Curves:
    """Compute the posterior over curves that may fall, given the counts of one study."""
    return _curves(
        tuple(data.widths.tolist()),
        tuple(data.solved.tolist()),
        tuple(data.runs.tolist()),
    )


@lru_cache(maxsize=16)
def _curves(units: Whole, solved: Whole, runs: Whole) -> Curves:
    x = np.log2(units)
    mus, steps = _between(x, AROUND, BETWEEN)
    mu = np.repeat(mus, len(SLOPES))
    slope = np.tile(SLOPES, len(mus))
    mu_prior = steps / steps.sum()
    slope_prior = SLOPE_PRIOR / SLOPE_PRIOR.sum()
    prior = np.outer(mu_prior, slope_prior).ravel()
    places, gaps = _between(x, COARSEST, 2)
    shapes = list(product(STEEPNESS, DEPTHS, LENGTHS))
    some = [(place, *shape) for place in places for shape in shapes]
    falls = np.array([NO_FALL, *some])
    by_place = PRIOR * gaps / gaps.sum()
    chances = np.repeat(by_place / len(shapes), len(shapes))
    odds = np.concatenate([[1 - PRIOR], chances])
    shape = (len(LAPSES), len(CORRELATIONS), len(mu), len(falls))
    log_p = np.zeros(shape, np.float32)
    for log_units, passed, trained in zip(x, solved, runs, strict=True):
        rates = _rates(log_units, mu, slope, falls)
        levels = rates * np.float32(LEVELS)
        table = _table(passed, trained)
        for part, lapse in zip(log_p, LAPSES, strict=True):
            trained = np.float32(1 - lapse)
            passes = np.minimum(levels * trained, LEVELS - 1)
            rows = passes.astype(np.int16)
            for sums, values in zip(part, table, strict=True):
                sums += values.take(rows)
    correlations = [share for _, share in CORRELATIONS]
    shares = np.outer(LAPSE_PRIOR, correlations).astype(np.float32)
    log_p -= np.max(log_p)
    likelihood = np.exp(log_p, out=log_p)
    weights = np.tensordot(shares, likelihood, 2)
    weights = weights * prior[:, None].astype(np.float32)
    weights = weights * odds.astype(np.float32)
    total = weights.sum(dtype=float)
    return Curves(mu, slope, falls, weights / total)


@lru_cache(maxsize=4096)
def fit_counts(
    units: Whole, solved: Whole, runs: Whole, confidence: float = 0.95
) -> Fit:
    """Fit counts by `memcap.thresholds.curve.fit_of`, those before a fall if they fall."""
    rising = fit_of(rising_posterior(units, solved, runs), confidence)
    fall = find_fall(counts(units, solved, runs))
    return replace(rising, fall=fall)


@lru_cache(maxsize=64)  # of half a megabyte
def rising_posterior(units: Whole, solved: Whole, runs: Whole) -> Posterior:
    """Compute the posterior of counts, of those before a fall if they fall."""
    data = counts(units, solved, runs)
    rise = before(data, find_fall(data))
    return posterior(rise.widths, rise.solved, rise.runs)


def find_fall(data: Counts) -> Fall | None:
    """Return the fall of one study's counts with the width; None if chance may explain it."""
    fall, drop = _deepest(data)
    if drop < LEAST_DROP:
        return None
    return fall if curves(data).fall >= ALARM else None


def possible_fall(data: Counts) -> Fall | None:
    """Return the fall that counts may well have, so that no rising curve is a guide;
    None if one is."""
    if _doubtful(data) is None:
        return None
    fall, _ = _deepest(data)
    return fall


def before(data: Counts, fall: Fall | None) -> Counts:
    """Return the counts of the widths before a fall; all counts if there is none."""
    if fall is None:
        return data
    narrow = data.widths <= fall.last
    return Counts(data.widths[narrow], data.solved[narrow], data.runs[narrow])


def width_to_take(data: Counts, share: float, units: int | None) -> int | None:
    """Return the width to take so that a share of the seeds that train at all passes;
    None if none is known to be enough. `units` is the one to take if the curve cannot
    fall.

    It is `units` if the counts hardly fall and reach that far. Otherwise it is a width
    tried that is enough both by its own counts and by the posterior over curves that
    may fall: the narrowest that surely is, or else the likeliest. If counts do not fall
    and `units` is wider than any width tried, it is the widest one, if that is likely
    enough: beyond it a fall would not be seen.
    """
    widest = int(data.widths[-1])
    is_tried = units is not None and units <= widest
    doubtful = _doubtful(data, SMALL_DROP if is_tried else 0)
    if doubtful is not None:
        by_counts = data.solved >= (share - SLACK) * data.runs
        reached = by_counts * doubtful.reached_if_any(share, data.widths)
        likeliest = reached.max()
        if likeliest < LEAST_CERTAINTY:
            return None
        first = np.argmax(reached >= min(likeliest, CERTAINTY))
        return int(data.widths[first])
    if units is None or is_tried:
        return units
    (reached,) = curves(data).reached(share, [widest])
    return widest if reached >= LEAST_CERTAINTY else units


def _doubtful(data: Counts, least: float = SMALL_DROP) -> Curves | None:
    """Return the posterior over curves that may fall; None where the counts hardly do,
    or drop by less than `least`."""
    _, drop = _deepest(data)
    if drop < least:
        return None
    posterior = curves(data)
    return posterior if posterior.fall >= DOUBT else None


@lru_cache(maxsize=64)
def _blocks(widths: int) -> Integers:
    """Return where a block of widths begins, where the next one does, and where that
    ends, for all pairs of adjacent blocks, (3, B)."""
    ends = combinations(range(widths + 1), 3)
    return np.array(list(ends), np.int64).T


def _sums(counts: Integers, blocks: Integers) -> Integers:
    """Add up counts over both blocks of each pair, (2, B)."""
    up_to = np.concatenate([[0], np.cumsum(counts)])
    return np.diff(up_to[blocks], axis=0)


def _deepest(data: Counts) -> tuple[Fall | None, float]:
    """Return the two adjacent blocks of widths that differ most, with the wider one
    failing more, and twice the log likelihood ratio of their difference."""
    if len(data.widths) < 2:
        return None, 0.0
    blocks = _blocks(len(data.widths))
    passed, wide_passed = _sums(data.solved, blocks)
    trained, wide_trained = _sums(data.runs, blocks)
    apart = _log_likelihood(passed, trained)
    apart = apart + _log_likelihood(wide_passed, wide_trained)
    alike = _log_likelihood(passed + wide_passed, trained + wide_trained)
    falls = passed * wide_trained > wide_passed * trained
    ratio = 2 * (apart - alike)
    drop = np.where(falls, ratio, 0)
    rounded = np.round(drop, 6)
    best = int(np.argmax(rounded))
    first, wider, end = blocks[:, best].tolist()
    widths = data.widths.tolist()
    fall = Fall(
        first=widths[first],
        last=widths[wider - 1],
        passed=int(passed[best]),
        runs=int(trained[best]),
        wider=widths[wider],
        widest=widths[end - 1],
        wider_passed=int(wide_passed[best]),
        wider_runs=int(wide_trained[best]),
    )
    return fall, float(drop[best])


def _log_likelihood(passed: Integers, runs: Integers) -> Floats:
    """Compute the log likelihood of a block's counts at the block's own share."""
    failed = runs - passed
    share_passed = np.maximum(passed, 1) / runs
    share_failed = np.maximum(failed, 1) / runs
    log_passed = passed * np.log(share_passed)
    log_failed = failed * np.log(share_failed)
    return log_passed + log_failed

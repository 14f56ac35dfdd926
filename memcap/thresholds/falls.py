"""Counts that fall again with the width, because wider nets fail more often.

Of all pairs of adjacent blocks of widths in which the wider block passes less often, take
the one with the largest likelihood ratio: that of two shares of passes, one per block,
against one share. A block has at least two widths, and the seeds of a width count for
fewer, as they may be alike (`ALIKE`).

Counts fall if twice the logarithm of this ratio reaches `ALARM`. Of 1,200 simulated
studies of a curve that does not fall, with 4 to 16 seeds per width, 4 in 1,000 were said to
fall; of seeds that are alike (an intraclass correlation of 0.2), 3 in 100, and 6 in 100 if
the curve is shallow (`pytest -s -m slow -k false_alarms tests/thresholds/test_falls.py`).

The thresholds of counts that fall are those of the widths before the fall, and no width is
advised: more seeds must tell. Counts that only may fall do not change the thresholds, but a
width is advised only if it passes by its own counts, too (`width_to_take`).
"""

from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memcap.thresholds.curve import (
    SMALLEST,
    Counts,
    Fall,
    Fit,
    Floats,
    Integers,
    Posterior,
    counts,
    fit_of,
    posterior,
)

ALIKE = 0.2  # intraclass correlation of the seeds of a width
# twice the log likelihood ratio from which counts fall, and from which they may fall
ALARM = 5.0
DOUBT = 1.5
SLACK = 0.1  # by how much the seeds of a width to take may miss the share
Whole = tuple[int, ...]  # numbers of each width


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


def find_fall(data: Counts, least: float = ALARM) -> Fall | None:
    """Return the fall of one study's counts with the width; None if chance may explain it:
    if it is below `least`."""
    fall, drop = _deepest(data)
    return fall if drop >= least else None


def possible_fall(data: Counts) -> Fall | None:
    """Return the fall that counts may have, so that more seeds should tell before wider
    nets are tried; None if they hardly fall."""
    return find_fall(data, DOUBT)


def before(data: Counts, fall: Fall | None) -> Counts:
    """Return the counts of the widths before a fall; all counts if there is none."""
    if fall is None:
        return data
    narrow = data.widths <= fall.last
    return Counts(data.widths[narrow], data.solved[narrow], data.runs[narrow])


def width_to_take(data: Counts, share: float, units: int | None) -> int | None:
    """Return the width to take so that a share of the seeds that train at all passes;
    None if none is known to be enough. `units` is the one that a rising curve gives.

    None if counts fall, or if the share is missed by the next width tried that is not
    narrower, by more than `SLACK`. If `units` is wider than any width tried, it is the
    widest one: beyond it a fall would not be seen.
    """
    if units is None or find_fall(data) is not None:
        return None
    last = len(data.widths) - 1
    place = min(int(np.searchsorted(data.widths, units)), last)
    passes = data.solved[place] >= (share - SLACK) * data.runs[place]
    return min(units, int(data.widths[place])) if passes else None


@lru_cache(maxsize=64)
def _blocks(widths: int) -> Integers:
    """Return where a block of widths begins, where the next one does, and where that
    ends, for all pairs of adjacent blocks, (3, B)."""
    pairs = [
        (first, wider, end)
        for first, wider, end in combinations(range(widths + 1), 3)
        if wider - first > 1 and end - wider > 1
    ]
    return np.array(pairs, np.int64).reshape(-1, 3).T


def _sums(counts: NDArray[Any], blocks: Integers) -> NDArray[Any]:
    """Add up counts over both blocks of each pair, (2, B)."""
    up_to = np.concatenate([[0], np.cumsum(counts)])
    return np.diff(up_to[blocks], axis=0)


def _deepest(data: Counts) -> tuple[Fall | None, float]:
    """Return the two adjacent blocks of widths that differ most, with the wider one
    failing more, and twice the log likelihood ratio of their difference."""
    blocks = _blocks(len(data.widths))
    if not blocks.size:
        return None, 0.0
    weights = 1 / (1 + ALIKE * (data.runs - 1))
    passed, wide_passed = _sums(data.solved * weights, blocks)
    runs, wide_runs = _sums(data.runs * weights, blocks)
    apart = _log_likelihood(passed, runs) + _log_likelihood(wide_passed, wide_runs)
    alike = _log_likelihood(passed + wide_passed, runs + wide_runs)
    falls = passed / runs > wide_passed / wide_runs
    drop = np.where(falls, 2 * (apart - alike), 0)
    best = int(np.argmax(np.round(drop, 6)))
    first, wider, end = blocks[:, best].tolist()
    widths = data.widths.tolist()
    (passed, wide_passed), (runs, wide_runs) = (
        _sums(counts, blocks)[:, best].tolist() for counts in (data.solved, data.runs)
    )
    fall = Fall(
        first=widths[first],
        last=widths[wider - 1],
        passed=passed,
        runs=runs,
        wider=widths[wider],
        widest=widths[end - 1],
        wider_passed=wide_passed,
        wider_runs=wide_runs,
    )
    return fall, float(drop[best])


def _log_likelihood(passed: Floats, runs: Floats) -> Floats:
    """Compute the log likelihood of a block's counts at the block's own share."""
    share = passed / runs
    log_passed = np.log(np.maximum(share, SMALLEST))
    log_failed = np.log(np.maximum(1 - share, SMALLEST))
    return passed * log_passed + (runs - passed) * log_failed

"""Counts that fall again with the width, because wider nets fail more often.

Two adjacent blocks of widths are compared by the likelihood ratio of two shares of
passes against one; alike seeds count for fewer (`ALIKE`). Counts fall if twice its
logarithm reaches `ALARM`: of simulated studies without a fall 4 in 1,000 do, of alike
seeds 3 to 6 in 100 (`pytest -s -m slow -k false_alarms
tests/thresholds/test_falls.py`). Thresholds are then those of the widths before, and no
width is advised.
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
    """Fit counts by `memcap.thresholds.curve.fit_of`, those before a fall if they
    fall."""
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
    """Return the fall of counts with the width; None if it is below `least`."""
    fall, drop = _deepest(data)
    return fall if drop >= least else None


def possible_fall(data: Counts) -> Fall | None:
    """Return the fall that counts may have; None if they hardly fall."""
    return find_fall(data, DOUBT)


def before(data: Counts, fall: Fall | None) -> Counts:
    """Return the counts of the widths before a fall; all if there is none."""
    if fall is None:
        return data
    narrow = data.widths <= fall.last
    return Counts(data.widths[narrow], data.solved[narrow], data.runs[narrow])


def width_to_take(data: Counts, share: float, units: int | None) -> int | None:
    """Return the width to take so that a share of the trainable seeds passes, at most
    the widest one tried; `units` is the one that a rising curve gives. None if counts
    fall, or if the next width tried misses the share by more than `SLACK`."""
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
    """Return the two adjacent blocks that differ most, the wider one failing more, and
    twice their log likelihood ratio."""
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

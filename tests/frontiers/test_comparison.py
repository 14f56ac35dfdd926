"""The ratio of two studies' thresholds: against draws of the posteriors, against the
truth, and where they are censored."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from memcap.frontiers.comparison import Shift, shift
from memcap.thresholds.curve import posterior, threshold

WIDTHS = list(range(1, 17))
SHARP = posterior(WIDTHS, [0] * 5 + [2, 6] + [8] * 9, [8] * 16)
WIDER = posterior(WIDTHS, [0] * 8 + [1, 4, 7] + [8] * 5, [8] * 16)
NONE = posterior([1, 2, 4], [0, 0, 0], [8, 8, 8])
ALL = posterior([4, 6, 8], [8, 8, 8], [8, 8, 8])
ONE = posterior([1, 2, 4], [8, 8, 8], [8, 8, 8])


def close(value):
    return pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_it_is_what_independent_draws_of_the_two_posteriors_give(p):
    rng = np.random.default_rng(1)
    size = 200_000
    drawn = []
    for post in (SHARP, WIDER):
        which = rng.choice(post.mu.size, size, p=post.weights.sum(axis=-1))
        drawn.append(post.mu[which] + logit(p) / post.slope[which])
    low, high = 2 ** np.quantile(drawn[1] - drawn[0], [0.025, 0.975])
    found = shift(SHARP, WIDER, p)
    assert found == Shift(
        threshold(WIDER, p).units / threshold(SHARP, p).units,
        close(low),
        close(high),
        "no",
    )
    assert 1 < found.low < found.ratio < found.high


def test_intervals_of_the_inverse_of_a_twin_and_of_less_confidence():
    found = shift(SHARP, WIDER, 0.5)
    back = shift(WIDER, SHARP, 0.5)
    assert back.ratio == close(1 / found.ratio)
    assert (back.low, back.high) == (close(1 / found.high), close(1 / found.low))
    twin = shift(SHARP, SHARP, 0.9)
    assert (twin.ratio, twin.bound, twin.low * twin.high) == (1, "no", close(1))
    assert twin.low < 1 < twin.high


@pytest.mark.parametrize(
    ("first", "second", "bound", "ratio"),
    [
        (SHARP, NONE, "above", 4),
        (NONE, SHARP, "below", 4),
        (SHARP, ALL, "below", 4),
        (ALL, SHARP, "above", 4),
        (ALL, NONE, "above", None),
        (NONE, ALL, "below", None),
        (NONE, NONE, "open", None),
        (ALL, ALL, "open", None),
    ],
)
def test_a_bound_is_said_to_be_one(first, second, bound, ratio):
    found = shift(first, second, 0.5)
    assert found.bound == bound
    if bound == "open":
        assert found.ratio is None
        assert found.low < 0.5 < 2 < found.high
    elif ratio:
        known = threshold(SHARP, 0.5).units
        assert found.ratio == (ratio / known if first is SHARP else known / ratio)
    if second is NONE:
        assert found.high == math.inf
    if first is NONE:
        assert found.low == 0


def test_one_unit_is_a_number_as_there_is_no_smaller_net():
    assert shift(ONE, ONE, 0.5) == Shift(1, 1, 1, "no")
    found = shift(ONE, SHARP, 0.5)
    assert (found.bound, found.ratio) == ("no", threshold(SHARP, 0.5).units)
    assert found.low == close(threshold(SHARP, 0.5).low)


@pytest.mark.breadth
def test_coverage():
    """95 % intervals hold the true ratio of two simulated studies in about 95 % of
    cases, or more."""
    rng = np.random.default_rng(2)
    widths = np.arange(1, 17)
    studies = 40
    mus = np.log2([5.3, 7.1])
    truth = 2 ** (mus[1] - mus[0])
    held = 0
    for _ in range(studies):
        shares = expit(12 * (np.log2(widths) - mus[:, None]))
        first, second = (
            posterior(widths, solved, [8] * 16) for solved in rng.binomial(8, shares)
        )
        found = shift(first, second, 0.5)
        held += found.low <= truth <= found.high
    assert held / studies >= 0.88

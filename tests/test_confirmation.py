"""The sequential test of each lag, on sequences whose errors are known: counts that are drawn
from them, in place of a net."""

import math
import re

import numpy as np
import pytest
from breadth import leave

from memcap import confirmation
from memcap.confirmation import LagTest, SequentialTest, Tally, anywhere_words
from memcap.rule import CHUNKS_BETWEEN_TESTS, MOST_SEQUENCES, Criterion

ACCURACY = Criterion("accuracy", 0.99)
ERROR = Criterion("mse", 0.05)
BLOCK = 256
LONGEST = 52  # steps, up to lag 50: a first step, and a last one
LOOKS = 40  # of a training


def bits(rng, number, error):
    """One answer per sequence."""
    wrong = rng.binomial(number, error)
    return number, number, wrong, wrong


def lists(rng, number, error):
    """Sixteen answers per sequence, wrong by themselves."""
    wrong = rng.binomial(16, error, number)
    return number, 16 * number, wrong.sum(), (wrong**2).sum()


def whole_lists(rng, number, error):
    """Sixteen answers per sequence, wrong together."""
    wrong = 16 * rng.binomial(1, error, number)
    return number, 16 * number, wrong.sum(), (wrong**2).sum()


def values(rng, number, error):
    """Squares of Gaussian errors, as often the allowed 0.05 as `error` is of 0.01."""
    squares = 5 * error * rng.normal(size=number) ** 2
    return number, number, squares.sum(), (squares**2).sum()


def outliers(rng, number, error):
    """Few squared errors, and large ones."""
    squares = 5.0 * rng.binomial(1, error, number)
    return number, number, squares.sum(), (squares**2).sum()


KINDS = {
    bits: ACCURACY,
    lists: ACCURACY,
    whole_lists: ACCURACY,
    values: ERROR,
    outliers: ERROR,
}


def score(kind, lag, error, rng):
    """Score a net with these errors by the number of steps before what counts."""

    def draw(first, last, blocks):
        lengths = range(first, last + 1)
        sums = [
            kind(rng, blocks * BLOCK, error(length - lag - 2)) for length in lengths
        ]
        return Tally(*np.array(sums, float).T)

    return LagTest(KINDS[kind], draw, BLOCK).score(lag + 2, LONGEST)


def passes(kind, error, rng):
    """Return whether a training passes, which looks at a net of 50 lags again and again."""
    return any(
        all(score(kind, lag, error, rng).passes for lag in range(1, 51))
        for _ in range(LOOKS)
    )


@pytest.mark.parametrize(
    "kind", leave([bits, lists, whole_lists, values], lambda kind: kind is bits)
)
def test_a_net_with_half_of_the_allowed_error_at_every_lag_passes(kind):
    rng = np.random.default_rng(0)
    trainings = [passes(kind, lambda place: 0.005, rng) for _ in range(20)]
    assert sum(trainings) >= 19


@pytest.mark.parametrize("kind", leave(KINDS, lambda kind: kind is bits))
@pytest.mark.parametrize(
    ("lag", "weak"),
    [
        (40, lambda place: place == 0),
        (40, lambda place: place > 0),
        (49, lambda place: place > 0),
    ],
    ids=["first", "later", "one later place"],
)
def test_a_net_that_is_wrong_too_often_fails_in_nineteen_of_twenty_trainings(
    kind, lag, weak
):
    """In 1.5 % at one lag; the others are right, so that no other lag refuses it."""
    rng = np.random.default_rng(1)
    looks = 2_000

    def error(place):
        return 0.015 if weak(place) else 0.001

    rate = np.mean([score(kind, lag, error, rng).passes for _ in range(looks)])
    assert 1 - (1 - rate) ** LOOKS < 0.05


@pytest.mark.parametrize("kind", [bits, whole_lists, values])
def test_no_place_hides_among_the_others(kind):
    """At three times the allowed error; the mean over all later places is half of it."""
    rng = np.random.default_rng(2)

    def error(place):
        return 0.03 if place == 7 else 0.004

    scores = [score(kind, 25, error, rng) for _ in range(200)]
    assert np.mean([each.passes for each in scores]) <= 0.02
    assert all(KINDS[kind].passes(each.first) for each in scores)
    assert np.mean([KINDS[kind].passes(each.later) for each in scores]) > 0.99


def test_a_net_that_fails_is_told_early_and_one_without_errors_takes_the_fewest():
    drawn = []

    def draw(first, last, blocks, error=0.0):
        count = blocks * BLOCK
        drawn.append((first, last, blocks))
        return Tally(
            *np.full((4, last + 1 - first), count) * [[1], [1], [error], [error]]
        )

    assert LagTest(ACCURACY, draw, BLOCK).score(3, 52).passes
    # A first step takes 684 sequences; of 49 later places each takes 228.
    assert drawn == [(3, 3, 3), (4, 52, 1)]
    drawn.clear()
    wrong = LagTest(ACCURACY, lambda *sizes: draw(*sizes, error=0.5), BLOCK)
    assert not wrong.score(3, 52).passes
    assert drawn == [(3, 3, 3), (4, 52, 1)]


def test_counted_sequences_leave_no_doubt():
    """Exactly the allowed error passes, and twice as much at one later place."""

    def score_of(errors):
        def draw(first, last, blocks):
            wrong = np.array(errors[first - 3 : last - 2])
            number = np.full(len(wrong), 100.0)
            return Tally(number, number, wrong, wrong)

        return LagTest(ACCURACY, draw, BLOCK, is_exact=True).score(3, 6)

    exact = score_of([1, 2, 0, 1])
    assert exact == (0.99, 0.99, 0.98, 0.99, True, True)
    assert score_of([2, 0, 0, 0])[3:] == (0.98, True, False)
    assert score_of([0, 2, 1, 1])[3:] == (1 - 4 / 300, True, False)
    assert score_of([0, 3, 0, 0])[3:] == (0.97, True, False)


def test_the_evidence_is_that_of_two_distributions():
    """Of Bernoulli's, and for squares of Gaussian errors of the Gamma distribution with
    a shape of a half."""
    test = SequentialTest(0.01, 1000, squared=False)
    tally = Tally(*np.array([[1000.0], [1000.0], [8.0], [8.0]]))
    expected = 8 * math.log(3) + 992 * math.log(0.985 / 0.995)
    assert test.evidence(tally) == pytest.approx([expected])
    # All squared errors are multiplied by the allowed one; their variance is twice the
    # square of their mean.
    squared = SequentialTest(0.05, 1000, squared=True)
    tally = Tally(*np.array([[1000.0], [1000.0], [30.0], [3 * 0.03**2 * 1000]]))
    of_gamma = 1000 * 0.5 * (0.03 / 0.05 * (2 - 2 / 3) - math.log(3))
    assert squared.evidence(tally) == pytest.approx([of_gamma])


def test_a_criterion_that_allows_most_answers_to_be_wrong_has_places_too():
    def draw(first, last, blocks):
        number = np.full(last + 1 - first, blocks * 256.0)
        return Tally(number, number, number, number)

    assert not LagTest(Criterion("accuracy", 0.2), draw, BLOCK).score(3, 6).passes


def test_the_rule_in_words_holds_the_numbers_of_the_code():
    numbers = [
        float(number.replace(",", ""))
        for number in re.findall(r"\d[\d,]*", anywhere_words(37))
    ]
    assert numbers == [
        MOST_SEQUENCES,
        confirmation.ODDS,
        1,
        confirmation.PLACE_ODDS,
        1,
        confirmation.MOST_DRAWS,
        CHUNKS_BETWEEN_TESTS * 37,
    ]

import random
from itertools import pairwise

import pytest

from memcap.store.curves import MOST_HELD, MOST_POINTS, add_point, thin


def test_few_points_stay_as_they_are_in_the_order_of_their_steps():
    assert list(thin({3: {"a": 0.3}, 1: {"a": 0.1}}).items()) == [
        (1, {"a": 0.1}),
        (3, {"a": 0.3}),
    ]


@pytest.mark.parametrize("count", [99, 100, 101, 199, 1000, 12_345])
def test_thinning_keeps_first_and_last_and_spreads_evenly(count):
    steps = list(thin({10 * i: {"a": i} for i in range(count)}))
    assert len(steps) == min(count, MOST_POINTS)
    assert (steps[0], steps[-1]) == (0, 10 * (count - 1))
    gaps = [b - a for a, b in pairwise(steps)]
    assert max(gaps) <= min(gaps) + 10


@pytest.mark.parametrize("seed", range(20))
def test_no_spacing_of_the_steps_breaks_the_bound(seed):
    dice = random.Random(seed)
    steps = {
        dice.randrange(10 ** dice.randint(1, 6)) for _ in range(dice.randint(1, 3000))
    }
    points = {
        step: {name: 0.0 for name in "abc" if dice.random() < 0.5} for step in steps
    }
    kept = list(thin(points))
    assert len(kept) <= MOST_POINTS
    assert kept == sorted(kept)
    assert {min(steps), max(steps)} <= set(kept) <= steps


def test_a_metric_that_is_seldom_logged_is_not_starved():
    points = {step: {"train/loss": 0.0} for step in range(10_000)}
    for step in range(7, 10_000, 500):
        points[step]["eval/accuracy"] = 1.0
    assert sum("eval/accuracy" in values for values in thin(points).values()) == 20


def test_a_running_curve_stays_bounded_and_even():
    points = {}
    most = 0
    for step in range(100_000):
        add_point(points, step, {"a": step})
        most = max(most, len(points))
    assert most == MOST_HELD < 400
    steps = list(thin(points))
    assert (steps[0], steps[-1]) == (0, 99_999)
    assert len(steps) > 0.8 * MOST_POINTS
    assert max(b - a for a, b in pairwise(steps)) < 2.5 * 100_000 / MOST_POINTS


def test_evaluations_stay_in_a_running_curve():
    """As training hands them in: ten points a chunk, a score with the last, an
    evaluation now and then."""
    points = {}
    for step in range(10, 80_001, 10):
        values = {"train/loss": 0.1}
        values |= {"train/accuracy": 0.9} if step % 100 == 0 else {}
        values |= {"eval/accuracy": 0.9} if step % 4000 == 0 else {}
        add_point(points, step, values)
    steps = [step for step, values in thin(points).items() if "eval/accuracy" in values]
    assert steps == list(range(4000, 80_001, 4000))


def test_calls_for_one_step_share_a_point():
    points = {}
    add_point(points, 5, {"train/loss": 0.5})
    add_point(points, 5, {"eval/accuracy": 0.9})
    assert points == {5: {"train/loss": 0.5, "eval/accuracy": 0.9}}

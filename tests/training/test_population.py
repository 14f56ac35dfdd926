"""A seat's verdict: near enough to ask, passes in a row, the budget's end, divergence; and what a chunk says of a curve."""

import numpy as np
import pytest
from training_checks import member

from memcap.training.population import Chunk, Lane

ONE = member("latch", 3, evaluation={"every": 10, "successive": 2}, recipe={"budget": 25})
REAL = member("delay_line", 2, reals=True, evaluation={"every": 10}, recipe={"budget": 25})  # low scores are good: .05
PASS, FAIL = 0.995, 0.985


def test_one_pass_is_not_enough():
    seat = Lane(ONE)
    seat.judge(10, PASS)
    assert (seat.status, seat.passed, seat.evaluations) == ("running", 1, 1)
    seat.judge(20, PASS)
    assert (seat.status, seat.evaluations) == ("solved", 2)


@pytest.mark.parametrize("between", [FAIL, None])
def test_passes_must_be_successive(between):
    seat = Lane(ONE)
    for step, score in ((5, PASS), (10, between), (15, PASS)):
        seat.judge(step, score)
    assert (seat.status, seat.passed) == ("running", 1)


def test_exactly_the_threshold_passes():
    seat, real = Lane(ONE, passed=1), Lane(REAL, passed=1)
    seat.judge(10, 0.99)
    real.judge(10, 0.05)
    assert seat.status == real.status == "solved"


def test_an_evaluation_is_asked_for_near_the_threshold_and_at_the_end():
    assert [Lane(ONE).wants_evaluation(10, score) for score in (0.97, 0.985, 1.0)] == [False, True, True]
    assert [Lane(REAL).wants_evaluation(10, score) for score in (0.08, 0.07, 0.0)] == [False, True, True]
    assert Lane(ONE).wants_evaluation(25, 0.5)
    assert not Lane(ONE, status="diverged").wants_evaluation(25, 1.0)
    assert not Lane(ONE).wants_evaluation(10, np.nan)


def test_at_the_budgets_end_a_pass_is_asked_again():
    for last, status in ((PASS, "solved"), (FAIL, "unsolved")):
        seat = Lane(ONE)
        seat.judge(25, PASS)
        assert seat.status == "running"
        seat.judge(25, last)
        assert seat.status == status
    seat = Lane(ONE)
    seat.judge(25, FAIL)
    assert seat.status == "unsolved"


@pytest.mark.parametrize(("judged", "scores", "best"), [(ONE, [0.5, 0.9, 0.7], 0.9), (REAL, [0.5, 0.2, 0.3], 0.2)])
def test_the_best_score_is_kept(judged, scores, best):
    seat = Lane(judged)
    for score in scores:
        seat.judge(10, score)
    assert (seat.best, seat.score) == (best, scores[-1])


def test_a_diverged_member_is_not_judged():
    seat = Lane(ONE, before=10)
    seat.advanced(12, False, np.array([1.0, 2.0, np.inf] + [0.0] * 7, np.float32))
    seat.judge(12, PASS)
    assert (seat.status, seat.evaluations, seat.loss) == ("diverged", 0, np.inf)


def test_the_loss_is_the_mean_of_the_steps_taken():
    seat = Lane(ONE, before=20)
    losses = np.array([1.0, 2.0, 3.0, 4.0, 5.0] + [0.0] * 5, np.float32)
    seat.advanced(25, True, losses)
    assert seat.loss == 3.0
    seat.before = 25
    seat.advanced(25, True, np.zeros(10, np.float32))  # asked again at the budget's end: no step taken
    assert seat.loss == 3.0


def test_points_of_a_chunk():
    losses = np.array([0.5, 0.25], np.float32)
    assert list(Chunk(ONE, 8, losses, 0.75, None).points()) == [
        (9, {"train/loss": 0.5}),
        (10, {"train/loss": 0.25, "train/accuracy": 0.75}),
    ]
    assert list(Chunk(REAL, 8, losses, 0.75, 0.5).points())[-1] == (
        10,
        {"train/loss": 0.25, "train/mse": 0.75, "eval/mse": 0.5},
    )
    assert list(Chunk(REAL, 8, losses[:0], 0.75, 0.5).points()) == [(8, {"eval/mse": 0.5})]

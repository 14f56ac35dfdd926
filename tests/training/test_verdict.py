"""The verdict: near enough to ask, passes in a row, the budget's end; and that the rule in words is what the code does."""

import re

import numpy as np
import pytest
from training_checks import member

from memcap.config import Evaluation
from memcap.training.verdict import NEAR, NEAR_ERROR, Verdict, criterion, near, rule

ONE = member("latch", 3, evaluation={"every": 10, "successive": 2}, recipe={"budget": 25})
REAL = member("delay_line", 2, reals=True, evaluation={"every": 10}, recipe={"budget": 25})  # low scores are good: .05
PASS, FAIL = 0.995, 0.985


def test_one_pass_is_not_enough():
    verdict = Verdict(ONE)
    verdict.judge(10, PASS)
    assert (verdict.status, verdict.passed, verdict.evaluations) == ("running", 1, 1)
    verdict.judge(20, PASS)
    assert (verdict.status, verdict.evaluations) == ("solved", 2)


@pytest.mark.parametrize("between", [FAIL, None])
def test_passes_must_be_successive(between):
    """A failure starts the count anew, and so does a chunk without an evaluation."""
    verdict = Verdict(ONE)
    for step, score in ((5, PASS), (10, between), (15, PASS)):
        verdict.judge(step, score)
    assert (verdict.status, verdict.passed) == ("running", 1)
    verdict.judge(20, PASS)
    assert verdict.status == "solved"


def test_exactly_the_threshold_passes():
    one, real = Verdict(ONE, passed=1), Verdict(REAL, passed=1)
    one.judge(10, 0.99)
    real.judge(10, 0.05)
    assert one.status == real.status == "solved"


def test_an_evaluation_is_asked_for_near_the_threshold_and_at_the_end():
    assert [Verdict(ONE).wants_evaluation(10, score) for score in (0.97, 0.985, 1.0)] == [False, True, True]
    assert [Verdict(REAL).wants_evaluation(10, score) for score in (0.08, 0.07, 0.0)] == [False, True, True]
    assert Verdict(ONE).wants_evaluation(25, 0.5)
    assert not Verdict(ONE, status="diverged").wants_evaluation(25, 1.0)
    assert not Verdict(ONE).wants_evaluation(10, np.nan)


@pytest.mark.parametrize(("judged", "edge", "inside"), [(ONE, 0.99 - NEAR, 1), (REAL, 0.05 * NEAR_ERROR, -1)])
def test_near_is_as_near_as_the_rule_says(judged, edge, inside):
    threshold = judged.facts.threshold
    for off, is_near in ((1e-6, True), (-1e-6, False)):
        assert near(judged.task, edge + inside * off, threshold) == is_near
        assert Verdict(judged).wants_evaluation(10, edge + inside * off) == is_near


def test_at_the_budgets_end_a_pass_is_asked_again():
    for last, status in ((PASS, "solved"), (FAIL, "unsolved")):
        verdict = Verdict(ONE)
        verdict.judge(25, PASS)
        assert verdict.status == "running"
        assert verdict.wants_evaluation(25, 0.0)
        verdict.judge(25, last)
        assert verdict.status == status
    verdict = Verdict(ONE)
    verdict.judge(25, FAIL)
    assert verdict.status == "unsolved"


def test_at_the_budgets_end_it_is_asked_until_the_verdict_is_in():
    thrice = member("latch", 3, evaluation={"every": 10, "successive": 4}, recipe={"budget": 25})
    for scores, status in (([PASS] * 4, "solved"), ([PASS, PASS, PASS, FAIL], "unsolved")):
        verdict = Verdict(thrice)
        for score in scores:
            assert verdict.running
            assert verdict.wants_evaluation(25, np.nan)
            verdict.judge(25, score)
        assert (verdict.status, verdict.evaluations) == (status, 4)
        assert not verdict.wants_evaluation(25, 1.0)


@pytest.mark.parametrize(("judged", "scores", "best"), [(ONE, [0.5, 0.9, 0.7], 0.9), (REAL, [0.5, 0.2, 0.3], 0.2)])
def test_the_best_score_is_kept(judged, scores, best):
    verdict = Verdict(judged)
    for score in scores:
        verdict.judge(10, score)
    assert (verdict.best, verdict.score) == (best, scores[-1])


def test_a_verdict_that_is_in_stays():
    verdict = Verdict(ONE)
    for step in (10, 20, 30):
        verdict.judge(step, PASS if step < 30 else FAIL)
    assert (verdict.status, verdict.evaluations, verdict.score) == ("solved", 2, PASS)


@pytest.mark.parametrize("evaluation", [Evaluation(), Evaluation(every=37, sequences=12_345, successive=5)])
def test_the_rule_in_words_holds_the_numbers_of_the_evaluation(evaluation):
    words = rule(criterion("accuracy", 0.99), evaluation)
    assert words.startswith("Solved: accuracy at least 0.99 on ")
    said = [float(number.replace(",", "")) for number in re.findall(r"[\d,]*\.?\d+", words)]
    every, sequences, successive = evaluation.every, evaluation.sequences, evaluation.successive
    assert said == [0.99, sequences, successive, every, NEAR, NEAR_ERROR, every]


def test_the_criterion_in_words():
    assert criterion("accuracy", 0.99) == "accuracy at least 0.99"
    assert criterion("mse", 0.05) == "mse at most 0.05"

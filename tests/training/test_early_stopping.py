"""The verdict: near enough to ask, passes in a row, the budget's end; and that the rule in words is what the
code does."""

import re
from dataclasses import replace

import numpy as np
import pytest
from training_checks import member

from memcap.config import Evaluation
from memcap.training.early_stopping import (
    NEAR,
    NEAR_ERROR,
    RARELY,
    Verdict,
    criterion,
    near,
    rule,
    steady_rule,
)

ONE = member("latch", 3, evaluation={"every": 10, "successive": 2}, recipe={"budget": 25})
# Low scores are good: .05.
REAL = member("delay_line", 2, reals=True, evaluation={"every": 10, "until": "solved"}, recipe={"budget": 25})
STREAM = member("delay_line", 2, evaluation={"every": 10, "successive": 2}, recipe={"budget": 117})
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


@pytest.mark.parametrize(
    ("judged", "scores", "best"), [(ONE, [0.5, 0.9, 0.7], 0.9), (REAL, [0.5, 0.2, 0.3], 0.2)]
)
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


# Steady


def judged(member, scores, stretched):
    """The verdict, and the steps at which held-out and at which stretched sequences were asked for: by step,
    what they score.

    A step without a score at the member's own lag scores like one far from the criterion.
    """
    verdict, asked, longer = Verdict(member), [], []
    every, budget = member.evaluation.every, member.recipe.budget
    for step in [*range(every, budget, every), *[budget] * 3]:  # asked again at the budget's end, if need be
        if not verdict.running:
            break
        score = scores.get(step, FAIL)
        if wanted := verdict.wants_evaluation(step, score if step in scores else 0.5):
            asked.append(step)
        verdict.judge(step, score if wanted else None)
        if verdict.wants_stretched():
            longer.append(step)
            verdict.judge_stretched(step, stretched.get(step, FAIL))
    return verdict, asked, longer


ALWAYS = dict.fromkeys(range(20, 118), PASS)  # from step 20 on


def said(verdict):
    return verdict.status, verdict.solved, verdict.steady


def test_a_stream_that_is_steady_when_it_is_solved_ends_at_once():
    verdict, asked, longer = judged(STREAM, ALWAYS, ALWAYS)
    assert (said(verdict), asked, longer) == (("solved", 30, 30), [20, 30], [30])


def test_a_solved_stream_goes_on_and_is_asked_rarely_until_it_is_steady():
    """At once, at multiples of 5 * every, and at the end of the budget, which is none."""
    verdict, asked, longer = judged(STREAM, ALWAYS, {100: PASS})
    assert (said(verdict), asked, longer) == (("solved", 30, 100), [20, 30, 50, 100], [30, 50, 100])
    verdict, asked, longer = judged(STREAM, ALWAYS, {117: PASS})
    assert (said(verdict), asked, longer) == (("solved", 30, 117), [20, 30, 50, 100, 117], [30, 50, 100, 117])


def test_a_stream_that_is_never_steady_is_solved_when_the_budget_ends():
    verdict, asked, longer = judged(STREAM, ALWAYS, {})
    assert (said(verdict), asked, longer) == (
        ("solved", 30, None),
        [20, 30, 50, 100, 117],
        [30, 50, 100, 117],
    )
    assert verdict.stretched == FAIL


def test_the_same_weights_must_pass_at_both_lengths():
    """Who fails at the lag itself is not asked at the stretched length, but at the end, where it does not
    count."""
    verdict, asked, longer = judged(STREAM, ALWAYS | {50: FAIL}, {50: PASS})
    assert (said(verdict), asked, longer) == (("solved", 30, None), [20, 30, 50, 100, 117], [30, 100, 117])
    verdict, _, longer = judged(STREAM, ALWAYS | {117: FAIL}, {117: PASS})
    assert (said(verdict), longer) == (("solved", 30, None), [30, 50, 100, 117])


def test_a_stream_that_is_solved_as_the_budget_ends_is_asked_once():
    for stretched, steady in ((PASS, 117), (FAIL, None)):
        verdict, asked, longer = judged(STREAM, {117: PASS}, {117: stretched})
        assert (said(verdict), asked, longer) == (("solved", 117, steady), [117, 117], [117])


def test_a_stream_that_is_not_solved_is_not_steady():
    verdict, asked, longer = judged(STREAM, {20: PASS, 40: PASS}, ALWAYS)
    assert (said(verdict), asked, longer) == (("unsolved", None, None), [20, 40, 117], [117])
    assert verdict.stretched == PASS


@pytest.mark.parametrize(("stretched", "steady"), [(PASS, 30), (FAIL, None)])
def test_until_solved_ends_at_once_and_says_whether_it_is_steady(stretched, steady):
    alone = member("delay_line", 2, evaluation={"every": 10, "until": "solved"}, recipe={"budget": 117})
    verdict, asked, longer = judged(alone, ALWAYS, {30: stretched})
    assert (said(verdict), asked, longer) == (("solved", 30, steady), [20, 30], [30])


def test_errors_are_steady_below_the_criterion():
    for score, steady in ((0.05, 20), (0.06, None)):
        verdict = Verdict(replace(REAL, evaluation=replace(REAL.evaluation, until="steady")), passed=1)
        verdict.judge(20, 0.05)
        assert (verdict.running, verdict.solved) == (True, 20)
        verdict.judge_stretched(20, score)
        assert (verdict.running, verdict.steady) == (steady is None, steady)


def test_one_that_diverged_after_it_was_solved_stays_solved():
    verdict = Verdict(STREAM, status="diverged", solved=30, passed=1)
    verdict.judge(50, PASS)
    verdict.judge_stretched(50, PASS)
    assert said(verdict) == ("diverged", 30, None)
    assert verdict.stretched == PASS


def test_the_steady_rule_in_words_holds_the_numbers_of_the_code():
    said = [int(number) for number in re.findall(r"\d+", steady_rule(20, 30))]
    assert said == [20, 30 * RARELY]

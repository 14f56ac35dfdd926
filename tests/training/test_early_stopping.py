"""The verdict: near enough to ask, passes in a row, the budget's end; and that the rule
in words is what the code does."""

import re
from dataclasses import replace

import numpy as np
import pytest
from training_checks import member

from memcap.config.member import Evaluation
from memcap.training.early_stopping import (
    NEAR,
    NEAR_ERROR,
    RARELY,
    EarlyStopping,
    criterion,
    near,
    rule,
    steady_rule,
    up_to_rule,
)

ONE = member(
    "latch", 3, evaluation={"every": 10, "successive": 2}, recipe={"budget": 25}
)
# Low scores are good: .05.
REAL = member(
    "delay_line",
    2,
    reals=True,
    evaluation={"every": 10, "until": "solved"},
    recipe={"budget": 25},
)
STREAM = member(
    "delay_line", 2, evaluation={"every": 10, "successive": 2}, recipe={"budget": 117}
)
PASS = 0.995
FAIL = 0.985


@pytest.mark.parametrize("between", [FAIL, None])
def test_passes_must_be_successive(between):
    """A failure starts the count anew, and so does a chunk without an evaluation."""
    stopping = EarlyStopping(ONE)
    for step, score in ((5, PASS), (10, between), (15, PASS)):
        stopping.update(step, score)
    assert (stopping.status, stopping.passed) == ("running", 1)
    stopping.update(20, PASS)
    assert stopping.status == "solved"


def test_exactly_the_threshold_passes():
    one = EarlyStopping(ONE, passed=1)
    real = EarlyStopping(REAL, passed=1)
    one.update(10, 0.99)
    real.update(10, 0.05)
    assert one.status == real.status == "solved"


def test_an_evaluation_is_asked_for_at_the_end_and_never_of_one_that_diverged():
    assert EarlyStopping(ONE).wants_evaluation(25, 0.5)
    assert not EarlyStopping(ONE, status="diverged").wants_evaluation(25, 1.0)
    assert not EarlyStopping(ONE).wants_evaluation(10, np.nan)


@pytest.mark.parametrize(
    ("judged", "edge", "inside"), [(ONE, 0.99 - NEAR, 1), (REAL, 0.05 * NEAR_ERROR, -1)]
)
def test_near_is_as_near_as_the_rule_says(judged, edge, inside):
    threshold = judged.facts.threshold
    for off, is_near in ((1e-6, True), (-1e-6, False)):
        assert near(judged.task, edge + inside * off, threshold) == is_near
        assert (
            EarlyStopping(judged).wants_evaluation(10, edge + inside * off) == is_near
        )


def test_at_the_budgets_end_it_is_asked_until_the_verdict_is_in():
    thrice = member(
        "latch", 3, evaluation={"every": 10, "successive": 4}, recipe={"budget": 25}
    )
    for scores, status in (
        ([PASS] * 4, "solved"),
        ([PASS] * 3 + [FAIL], "unsolved"),
        ([FAIL], "unsolved"),
    ):
        stopping = EarlyStopping(thrice)
        for score in scores:
            assert stopping.running
            assert stopping.wants_evaluation(25, np.nan)
            stopping.update(25, score)
        assert (stopping.status, stopping.evaluations) == (status, len(scores))
        assert not stopping.wants_evaluation(25, 1.0)


@pytest.mark.parametrize(
    ("judged", "scores", "best"),
    [(ONE, [0.5, 0.9, 0.7], 0.9), (REAL, [0.5, 0.2, 0.3], 0.2)],
)
def test_the_best_score_is_kept(judged, scores, best):
    stopping = EarlyStopping(judged)
    for score in scores:
        stopping.update(10, score)
    assert (stopping.best, stopping.score) == (best, scores[-1])


def test_a_decision_stays():
    stopping = EarlyStopping(ONE)
    for step in (10, 20, 30):
        stopping.update(step, PASS if step < 30 else FAIL)
    assert (stopping.status, stopping.evaluations, stopping.score) == (
        "solved",
        2,
        PASS,
    )


@pytest.mark.parametrize(
    "evaluation", [Evaluation(), Evaluation(every=37, sequences=12_345, successive=5)]
)
def test_the_rule_in_words_holds_the_numbers_of_the_evaluation(evaluation):
    words = rule(criterion("accuracy", 0.99), evaluation)
    assert words.startswith("Solved: accuracy at least 0.99 on ")
    said = [
        float(number.replace(",", "")) for number in re.findall(r"[\d,]*\.?\d+", words)
    ]
    every = evaluation.every
    sequences = evaluation.sequences
    successive = evaluation.successive
    assert said == [0.99, sequences, successive, every, NEAR, NEAR_ERROR]


def test_the_criterion_in_words():
    assert criterion("accuracy", 0.99) == "accuracy at least 0.99"
    assert criterion("mse", 0.05) == "mse at most 0.05"


# Steady


def judged(member, scores, stretched):
    """What became of a member whose evaluations score so, by step; and the steps at
    which held-out and at which stretched sequences were asked for.

    A step without a score at the member's own lag scores like one far from the criterion.
    """
    stopping = EarlyStopping(member)
    asked = []
    longer = []
    every = member.evaluation.every
    budget = member.recipe.budget
    for step in [
        *range(every, budget, every),
        *[budget] * 3,
    ]:  # asked again at the budget's end, if need be
        if not stopping.running:
            break
        score = scores.get(step, FAIL)
        if wanted := stopping.wants_evaluation(step, score if step in scores else 0.5):
            asked.append(step)
        stopping.update(step, score if wanted else None)
        if stopping.wants_stretched():
            longer.append(step)
            stopping.update_stretched(step, stretched.get(step, FAIL))
    return stopping, asked, longer


ALWAYS = dict.fromkeys(range(20, 118), PASS)  # from step 20 on


def result(stopping):
    return stopping.status, stopping.solved, stopping.steady


def test_a_stream_that_is_steady_when_it_is_solved_ends_at_once():
    stopping, asked, longer = judged(STREAM, ALWAYS, ALWAYS)
    assert (result(stopping), asked, longer) == (("solved", 30, 30), [20, 30], [30])


def test_a_solved_stream_goes_on_and_is_asked_rarely_until_it_is_steady():
    """At once, at multiples of 5 * every, and at the end of the budget, which is none."""
    stopping, asked, longer = judged(STREAM, ALWAYS, {100: PASS})
    assert (result(stopping), asked, longer) == (
        ("solved", 30, 100),
        [20, 30, 50, 100],
        [30, 50, 100],
    )
    stopping, asked, longer = judged(STREAM, ALWAYS, {117: PASS})
    assert result(stopping) == ("solved", 30, 117)
    assert (asked, longer) == ([20, 30, 50, 100, 117], [30, 50, 100, 117])


def test_a_stream_that_is_never_steady_is_solved_when_the_budget_ends():
    stopping, asked, longer = judged(STREAM, ALWAYS, {})
    assert result(stopping) == ("solved", 30, None)
    assert (asked, longer) == ([20, 30, 50, 100, 117], [30, 50, 100, 117])
    assert stopping.stretched == FAIL


def test_the_same_weights_must_pass_at_both_lengths():
    """Who fails at the lag itself is not asked at the stretched length, but at the end,
    where it does not count."""
    stopping, asked, longer = judged(STREAM, ALWAYS | {50: FAIL}, {50: PASS})
    assert (result(stopping), asked, longer) == (
        ("solved", 30, None),
        [20, 30, 50, 100, 117],
        [30, 100, 117],
    )
    stopping, _, longer = judged(STREAM, ALWAYS | {117: FAIL}, {117: PASS})
    assert (result(stopping), longer) == (("solved", 30, None), [30, 50, 100, 117])


def test_a_stream_that_is_solved_as_the_budget_ends_is_asked_once():
    for stretched, steady in ((PASS, 117), (FAIL, None)):
        stopping, asked, longer = judged(STREAM, {117: PASS}, {117: stretched})
        assert (result(stopping), asked, longer) == (
            ("solved", 117, steady),
            [117, 117],
            [117],
        )


def test_a_stream_that_is_not_solved_is_not_steady():
    stopping, asked, longer = judged(STREAM, {20: PASS, 40: PASS}, ALWAYS)
    assert (result(stopping), asked, longer) == (
        ("unsolved", None, None),
        [20, 40, 117],
        [117],
    )
    assert stopping.stretched == PASS


@pytest.mark.parametrize(("stretched", "steady"), [(PASS, 30), (FAIL, None)])
def test_until_solved_ends_at_once_and_says_whether_it_is_steady(stretched, steady):
    alone = member(
        "delay_line",
        2,
        evaluation={"every": 10, "until": "solved"},
        recipe={"budget": 117},
    )
    stopping, asked, longer = judged(alone, ALWAYS, {30: stretched})
    assert (result(stopping), asked, longer) == (("solved", 30, steady), [20, 30], [30])


def test_errors_are_steady_below_the_criterion():
    for score, steady in ((0.05, 20), (0.06, None)):
        stopping = EarlyStopping(
            replace(REAL, evaluation=replace(REAL.evaluation, until="steady")), passed=1
        )
        stopping.update(20, 0.05)
        assert (stopping.running, stopping.solved) == (True, 20)
        stopping.update_stretched(20, score)
        assert (stopping.running, stopping.steady) == (steady is None, steady)


def test_the_steady_rule_in_words_holds_the_numbers_of_the_code():
    said = [int(number) for number in re.findall(r"\d+", steady_rule(20, 30))]
    assert said == [20, 30 * RARELY]


# Every lag up to its own

UP_TO = member(
    "latch",
    20,
    evaluation={"every": 10, "sequences": 256, "successive": 1, "until": "up_to"},
    recipe={"budget": 117},
)
LAGS = [lag for lag, _ in UP_TO.lags_up_to]
LEAST = (
    0.99 - 3 * (0.99 * 0.01 / 256) ** 0.5
)  # .971: three standard deviations of 256 sequences
REAL_UP_TO = member(
    "adding",
    20,
    evaluation={"sequences": 256, "until": "up_to"},
    recipe={"budget": 117},
)


def asked_at_lags(scores, step=10, score=PASS, of=UP_TO):
    stopping = EarlyStopping(of)
    stopping.update(step, score)
    if stopping.wants_lags():
        stopping.update_lags(step, scores)
    return stopping


@pytest.mark.parametrize(
    ("worst", "others", "passes"),
    [
        (1.0, 1.0, True),
        (LEAST + 1e-6, 1.0, True),
        (LEAST - 1e-6, 1.0, False),
        (0.98, 0.9895, False),
    ],
)
def test_the_mean_over_all_lags_must_pass_and_none_may_be_worse_than_chance_makes_it(
    worst, others, passes
):
    scores = [others] * len(LAGS)
    scores[LAGS.index(15)] = worst
    stopping = asked_at_lags(scores)
    assert (stopping.solved, stopping.up_to) == (10, 10 if passes else None)
    assert stopping.status == ("solved" if passes else "running")
    assert (stopping.worst, stopping.mean) == (worst, pytest.approx(np.mean(scores)))
    assert stopping.worst_lag == (15 if worst < others else 1)


def test_of_errors_the_largest_is_the_worst():
    threshold = REAL_UP_TO.facts.threshold
    count = len(REAL_UP_TO.lags_up_to)
    most = REAL_UP_TO.task.allowed(threshold, 256)
    assert most == pytest.approx(threshold * (1 + 3 * (2 / 256) ** 0.5))
    for worst, passes in ((0.999 * most, True), (1.001 * most, False)):
        stopping = EarlyStopping(REAL_UP_TO, passed=1, solved=5)
        stopping.update_lags(10, [0.5 * threshold] * (count - 1) + [worst])
        assert (stopping.up_to == 10, stopping.worst, stopping.worst_lag) == (
            passes,
            worst,
            20,
        )


def test_lags_are_asked_of_solved_members_that_have_just_passed_and_at_the_end():
    assert not asked_at_lags([], score=FAIL).wants_lags()
    low = [0.5] * len(LAGS)
    stopping = asked_at_lags(low)
    assert not stopping.wants_stretched()  # which decides nothing here, and is long
    assert [stopping.wants_evaluation(step, 1.0) for step in (20, 50, 60)] == [
        False,
        True,
        False,
    ]
    stopping.update(117, PASS)
    stopping.update_lags(117, low)
    assert (stopping.status, stopping.up_to, stopping.wants_stretched()) == (
        "solved",
        None,
        True,
    )
    failed = EarlyStopping(UP_TO)
    failed.update(117, FAIL)
    assert (failed.status, failed.wants_lags()) == ("unsolved", True)
    assert not EarlyStopping(ONE, status="solved").wants_lags()


def test_the_rule_in_words_names_its_numbers():
    words = up_to_rule(10)
    assert f"then every {RARELY * 10} training steps" in words
    assert "256 sequences each" in words
    assert "3 standard deviations" in words

"""The rule: when a net is tested, what its scores make of it, and that the words say
what the code does."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from memcap import rule
from memcap.knobs import UserError
from memcap.rule import (
    Criterion,
    Evaluation,
    LagScore,
    LossRule,
    ScoreRule,
    Split,
    Stream,
)

ACCURACY = Criterion("accuracy", 0.99)
ERROR = Criterion("mse", 0.05)
PASS = 0.995
FAIL = 0.985
SOLVED = Evaluation(every=10, successive=2, until="solved")
STEADY = replace(SOLVED, until="steady")
UP_TO = replace(SOLVED, until="up_to", successive=1, sequences=256)


def new(evaluation=SOLVED, budget=25, criterion=ACCURACY, **state):
    return ScoreRule(criterion, evaluation, budget, **state)


def evaluate(score, step, value):
    score.update(Stream.EVALUATE, step, {} if value is None else {3: value})


@pytest.mark.parametrize("between", [FAIL, None])
def test_passes_must_be_successive(between):
    """A failure starts the count anew, and so does a chunk without an evaluation."""
    score = new()
    for step, value in ((5, PASS), (10, between), (15, PASS)):
        evaluate(score, step, value)
    assert (score.status, score.passes_in_a_row) == ("running", 1)
    evaluate(score, 20, PASS)
    assert score.status == "solved"


def test_exactly_the_criterion_passes():
    score = new(passes_in_a_row=1)
    evaluate(score, 10, 0.99)
    assert score.status == "solved"


@pytest.mark.parametrize(
    ("criterion", "edge", "inside"),
    [(ACCURACY, 0.99 - rule.NEAR_ACCURACY, 1), (ERROR, 0.05 * rule.NEAR_ERROR, -1)],
)
def test_a_net_is_evaluated_near_the_criterion(criterion, edge, inside):
    score = new(criterion=criterion)
    assert score.is_due(Stream.EVALUATE, 10, edge + inside * 1e-6)
    assert not score.is_due(Stream.EVALUATE, 10, edge - inside * 1e-6)
    assert not new().is_due(Stream.EVALUATE, 10, math.nan)


def test_a_net_is_evaluated_at_the_end_and_never_once_it_diverged():
    assert new().is_due(Stream.EVALUATE, 25, 0.5)
    assert not new(status="diverged").is_due(Stream.EVALUATE, 25, 1.0)


@pytest.mark.parametrize(
    ("values", "status"),
    [([PASS] * 4, "solved"), ([PASS] * 3 + [FAIL], "unsolved"), ([FAIL], "unsolved")],
)
def test_at_the_end_it_is_evaluated_until_the_verdict_is_in(values, status):
    score = new(replace(SOLVED, successive=4))
    for value in values:
        assert score.running
        assert score.is_due(Stream.EVALUATE, 25, math.nan)
        evaluate(score, 25, value)
    assert (score.status, score.evaluations) == (status, len(values))
    assert not score.is_due(Stream.EVALUATE, 25, 1.0)


@pytest.mark.parametrize(
    ("criterion", "values", "best"),
    [(ACCURACY, [0.5, 0.9, 0.7], 0.9), (ERROR, [0.5, 0.2, 0.3], 0.2)],
)
def test_the_best_score_stays(criterion, values, best):
    score = new(criterion=criterion)
    for value in values:
        evaluate(score, 10, value)
    assert (score.best, score.score) == (best, values[-1])


def test_a_decision_stays():
    score = new()
    for step in (10, 20, 30):
        evaluate(score, step, PASS if step < 30 else FAIL)
    assert (score.status, score.evaluations, score.score) == ("solved", 2, PASS)


ALWAYS = dict.fromkeys(range(20, 118), PASS)  # from step 20 on
# at once, at multiples of 5 * every, at the end
DUE = [20, 30, 50, 100, 117]
# evaluation; scores, and stretched scores, by step; the step at which it is solved, and
# steady; the steps at which it is evaluated, and tested on stretched sequences
STREAMS = {
    "is_steady_at_the_end": (STEADY, ALWAYS, {117: PASS}, 30, 117, DUE, DUE[1:]),
    "is_never_steady": (STEADY, ALWAYS, {}, 30, None, DUE, DUE[1:]),
    "fails_at_its_own_lag_where_it_is_steady": (
        STEADY,
        ALWAYS | {50: FAIL},
        {50: PASS},
        30,
        None,
        DUE,
        [30, 100, 117],
    ),
    "is_solved_as_the_budget_ends": (
        STEADY,
        {117: PASS},
        {117: PASS},
        117,
        117,
        [117, 117],
        [117],
    ),
    "is_not_solved": (
        STEADY,
        {20: PASS, 40: PASS},
        ALWAYS,
        None,
        None,
        [20, 40, 117],
        [117],
    ),
    "until_solved_not_steady": (SOLVED, ALWAYS, {}, 30, None, DUE[:2], [30]),
}


@pytest.mark.parametrize("case", STREAMS)
def test_a_net_is_steady_if_the_same_weights_pass_at_both_lengths(case):
    """A step without a score at the net's own lag scores like one far from the
    criterion."""
    evaluation, values, stretched, solved, steady, *steps = STREAMS[case]
    score = new(evaluation, 117)
    evaluated = []
    tested = []
    for step in [*range(10, 117, 10), *[117] * 3]:
        if not score.running:
            break
        training = values.get(step, 0.5)
        is_due = score.is_due(Stream.EVALUATE, step, training)
        if is_due:
            evaluated.append(step)
        evaluate(score, step, values.get(step, FAIL) if is_due else None)
        if score.is_due(Stream.STRETCH, step, training):
            tested.append(step)
            score.update(Stream.STRETCH, step, {60: stretched.get(step, FAIL)})
    assert score.status == ("unsolved" if solved is None else "solved")
    assert (score.solved, score.steady) == (solved, steady)
    assert [evaluated, tested] == steps


def test_errors_are_steady_below_the_criterion():
    for value, steady in ((0.05, 20), (0.06, None)):
        score = new(STEADY, criterion=ERROR, passes_in_a_row=1)
        evaluate(score, 20, 0.05)
        assert (score.running, score.solved) == (True, 20)
        score.update(Stream.STRETCH, 20, {60: value})
        assert (score.running, score.steady) == (steady is None, steady)


def test_a_net_that_diverges_after_it_was_solved_stays_solved():
    score = new(STEADY, 60, solved=20, passes_in_a_row=1, status="diverged")
    evaluate(score, 32, None)
    score.update(Stream.STRETCH, 32, {60: 1.0})
    assert (score.status, score.solved, score.steady) == ("diverged", 20, None)
    assert score.stretched == 1.0


LAGS = range(1, 9)
# three standard deviations of 256 sequences
LEAST = 0.99 - 3 * (0.99 * 0.01 / 256) ** 0.5


@pytest.mark.parametrize(
    ("worst", "others", "passes"),
    [
        (1.0, 1.0, True),
        (LEAST + 1e-6, 1.0, True),
        (LEAST - 1e-6, 1.0, False),
        (0.98, 0.9895, False),
    ],
)
def test_at_all_lags_the_mean_must_pass_and_none_may_be_worse_than_chance_makes_it(
    worst, others, passes
):
    score = new(UP_TO, 117)
    evaluate(score, 10, PASS)
    assert score.is_due(Stream.UP_TO, 10, PASS)
    scores = dict.fromkeys(LAGS, others) | {5: worst}
    score.update(Stream.UP_TO, 10, scores)
    assert (score.solved, score.up_to) == (10, 10 if passes else None)
    assert score.status == ("solved" if passes else "running")
    assert score.mean == pytest.approx(np.mean([*scores.values()]))
    assert (score.worst, score.worst_lag) == (worst, 5 if worst < others else 1)


def test_of_errors_the_largest_is_the_worst():
    most = 0.05 * (1 + 3 * (2 / 256) ** 0.5)
    assert ERROR.with_margin(256).value == pytest.approx(most)
    for worst, passes in ((0.999 * most, True), (1.001 * most, False)):
        score = new(UP_TO, 117, ERROR, passes_in_a_row=1, solved=5)
        score.update(Stream.UP_TO, 10, dict.fromkeys(LAGS, 0.025) | {5: worst})
        assert (score.up_to == 10, score.worst, score.worst_lag) == (passes, worst, 5)


def test_lags_are_tested_if_a_solved_net_has_just_passed_and_at_the_end():
    score = new(UP_TO, 117)
    evaluate(score, 10, FAIL)
    assert not score.is_due(Stream.UP_TO, 10, 1.0)
    evaluate(score, 20, PASS)
    low = dict.fromkeys(LAGS, 0.5)
    score.update(Stream.UP_TO, 20, low)
    assert not score.is_due(Stream.STRETCH, 20, 1.0)  # which decides nothing here
    due = [score.is_due(Stream.EVALUATE, step, 1.0) for step in (30, 50, 60)]
    assert due == [False, True, False]
    evaluate(score, 117, PASS)
    score.update(Stream.UP_TO, 117, low)
    assert (score.status, score.up_to) == ("solved", None)
    assert score.is_due(Stream.STRETCH, 117, 1.0)
    failed = new(UP_TO, 117)
    evaluate(failed, 117, FAIL)
    assert failed.status == "unsolved"
    assert failed.is_due(Stream.UP_TO, 117, 0.0)
    assert not new(status="solved").is_due(Stream.UP_TO, 10, 1.0)


def looked(scores=None, **state):
    score = new(replace(UP_TO, until="anywhere"), 117, **state)
    evaluate(score, 20, PASS)
    score.update(Stream.LOOK, 20, scores or dict.fromkeys(LAGS, PASS))
    return score


def at_lag(worst=PASS, passes=True, is_exact=False):
    return LagScore(PASS, PASS, PASS, worst, is_exact, passes)


def test_a_look_that_passes_is_confirmed_at_each_lag_by_itself():
    score = looked()
    assert (score.looks_right, score.running, score.anywhere) == (True, True, None)
    score.confirm(20, dict.fromkeys(LAGS, at_lag()) | {7: at_lag(0.99, is_exact=True)})
    assert (score.status, score.anywhere, score.exact_lags) == ("solved", 20, 1)
    assert (score.worst, score.worst_lag, score.looks_right) == (0.99, 7, False)


def test_a_look_that_is_not_confirmed_trains_on():
    score = looked()
    mean = score.mean
    fails = at_lag(0.95, passes=False)
    score.confirm(20, {3: at_lag(), 4: fails})
    assert (score.status, score.anywhere, score.looks_right) == ("running", None, False)
    assert (score.worst, score.worst_lag, score.mean) == (0.95, 4, mean)
    evaluate(score, 117, PASS)
    score.update(Stream.LOOK, 117, dict.fromkeys(LAGS, PASS))
    score.confirm(117, {4: fails})
    assert (score.status, score.anywhere) == ("solved", None)


def test_a_look_that_fails_is_not_confirmed_nor_is_that_of_a_net_that_ended():
    assert not looked(dict.fromkeys(LAGS, FAIL)).looks_right
    assert not looked(solved=5, status="solved").looks_right


@pytest.mark.parametrize("every", [20, 200])
def test_the_lowest_loss_counts_and_patience_ends_it(every):
    lowest = LossRule(ACCURACY, replace(SOLVED, every=every), 3000)
    step = 0
    for loss, falls in ((0.7, True), (0.5, True), (0.6, False)):
        step += every
        assert lowest.is_due(Split.VALIDATION, step, math.nan)
        lowest.update(Split.VALIDATION, step, {3: 0.5}, loss)
        assert lowest.is_due(Split.HELD_OUT, step, math.nan) == falls
        lowest.update(Split.HELD_OUT, step, {3: 0.9} if falls else {}, loss + 1)
    losses = lowest.validation_loss, lowest.held_out_loss, lowest.lowest_step
    assert losses == (0.5, 1.5, 2 * every)
    while lowest.running:
        step += every
        lowest.update(Split.VALIDATION, step, {3: 0.5}, 0.5)
    # ten evaluations after the lowest, and 1,000 steps
    assert step == 2 * every + max(10 * every, 1000)


@pytest.mark.parametrize("kind", [ScoreRule, LossRule])
def test_a_rule_goes_on_from_its_state(kind):
    one = kind(ACCURACY, SOLVED, 25, passes_in_a_row=1, validation_loss=0.5)
    other = kind(ACCURACY, SOLVED, 25, **one.state())
    assert repr(other) == repr(one)  # NaN is not NaN


@pytest.mark.parametrize("lengths", ["", "2 1", "1 x", "0 3", "3 3"])
def test_lengths_must_rise(lengths):
    with pytest.raises(UserError, match="must be rising whole numbers"):
        Evaluation(lengths=lengths)


# Words


def numbers(words):
    found = re.findall(r"[\d,]*\.?\d+", words)
    return [float(number.replace(",", "")) for number in found]


def test_the_criterion_in_words():
    assert f"{ACCURACY}, {ERROR}" == "accuracy at least 0.99, mse at most 0.05"


def test_the_rules_in_words_hold_the_numbers_of_the_code():
    evaluation = Evaluation(every=37, sequences=12_345, successive=5)
    words = rule.solved_words(str(ACCURACY), evaluation)
    assert words.startswith("Solved: accuracy at least 0.99 on ")
    every = evaluation.every
    counts = evaluation.sequences, evaluation.successive, every
    assert numbers(words) == [0.99, *counts, rule.NEAR_ACCURACY, rule.NEAR_ERROR]
    assert numbers(rule.steady_words(20, every)) == [
        20,
        rule.CHUNKS_BETWEEN_TESTS * every,
    ]
    assert numbers(rule.up_to_words(every)) == [
        8,
        256,
        3,
        rule.CHUNKS_BETWEEN_TESTS * every,
    ]

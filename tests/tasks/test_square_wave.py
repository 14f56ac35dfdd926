import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import draw, evenly, few, seeds

from memcap.rule import Criterion
from memcap.tasks.chance import score, sequences
from memcap.tasks.square_wave import SquareWave

LONG = 64


def countdown(row: np.ndarray, ones: int, lag: int) -> np.ndarray:
    """A one that comes after a zero sets a counter, which says when to answer: (T,)
    inputs, (T,) answers."""
    guess = np.zeros(len(row), int)
    left = 0
    before = 0
    for t, x in enumerate(row):
        left = 2 * ones + lag if x > before else max(left - 1, 0)
        guess[t] = 1 <= left <= ones
        before = x
    return guess


@pytest.mark.parametrize("ones", [1, 5])
@few
@given(lag=st.integers(1, 20), extra=st.integers(0, 9), seed=seeds)
def test_a_counter_solves_it(ones, lag, extra, seed):
    task = SquareWave(ones=ones)
    length = task.shortest(lag) + extra
    inputs, targets, mask = sequences(
        task, draw(task, lag, length, seed=seed, steps=LONG), length
    )
    guess = np.array([countdown(row, ones, lag) for row in inputs])
    assert np.array_equal(guess, targets)
    assert mask.all()
    assert (inputs.sum(1) == ones).all()
    falls = np.array([np.flatnonzero(row)[-1] + 1 for row in inputs])
    assert np.array_equal(targets.argmax(1), falls + lag)


def test_the_example_of_the_docstring():
    inputs, targets, _ = sequences(
        SquareWave(2), draw(SquareWave(2), 2, 10, batch=256), 10
    )
    same, *_ = np.flatnonzero((inputs == [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]).all(1))
    assert targets[same].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]


def test_every_start_that_leaves_room_is_as_frequent():
    task = SquareWave(ones=2)
    lag = 4
    length = 14
    batch = 8192
    inputs, targets, _ = sequences(task, draw(task, lag, length, batch=batch), length)
    counts = np.bincount(inputs.argmax(1))
    starts = length - 2 * 2 - lag + 1
    assert evenly(counts, starts)
    assert targets[:, -1].any(), "the answer to the last start ends with the sequence"


@pytest.mark.parametrize(
    ("ones", "lag", "longer"), [(1, 1, 0), (5, 1, 0), (2, 6, 0), (3, 5, 9)]
)
def test_states_that_differ_in_what_is_due_though_nothing_more_comes(ones, lag, longer):
    """From every sequence: at each step, how many answers are still possible once the
    run is over."""
    task = SquareWave(ones=ones)
    length = task.shortest(lag) + longer
    inputs, targets, _ = sequences(
        task, draw(task, lag, length, batch=2048, steps=LONG), length
    )
    most = 0
    for t in range(length - 1):
        over = ~inputs[:, t + 1 :].any(1)
        if over.any():
            most = max(most, len(np.unique(targets[over, t + 1 :], axis=0)))
    assert 2 ** task.facts(lag, length).bits == pytest.approx(most)
    if not longer:
        shorter, due, _ = sequences(
            task, draw(task, lag, length - 1, batch=2048, steps=LONG), length - 1
        )
        fewer = [
            len(np.unique(due[~shorter[:, t:].any(1), t:], axis=0))
            for t in range(1, length - 1)
        ]
        assert max(fewer) < most, "a shorter sequence asks for less"


@pytest.mark.parametrize(("ones", "lag"), [(1, 1), (5, 1), (5, 50), (5, 1000)])
def test_neither_silence_nor_a_clock_solves_it(ones, lag):
    """The best answer of a clock without input: of each step the likelier one, by all starts."""
    task = SquareWave(ones=ones)
    length = task.length(lag)
    starts = length - 2 * ones - lag + 1
    due = np.zeros(length)
    for start in range(starts):
        due[start + ones + lag : start + 2 * ones + lag] += 1 / starts
    facts = task.facts(lag, length)
    silence = 1 - due.mean()
    clock = np.maximum(due, 1 - due).mean()
    assert facts.chance == pytest.approx(silence)
    assert task.is_chance(silence, lag, length)
    assert not Criterion(task.metric, facts.threshold).passes(clock)


@pytest.mark.parametrize(("wrong", "passes"), [(5, True), (6, False)])
def test_solved_is_one_error_for_a_hundred_ones(wrong, passes):
    task = SquareWave()
    lag = 5
    batch = 100
    length = task.length(lag)
    _, targets, mask = sequences(task, draw(task, lag, length, batch=batch), length)
    guess = targets.copy()
    guess[:wrong, 3] ^= 1
    criterion = Criterion(task.metric, task.facts(lag, length).threshold)
    assert criterion.passes(score(task, guess, targets, mask).mean) == passes


def test_facts_and_lengths():
    task = SquareWave()
    assert [task.length(lag) for lag in (1, 50)] == [17, 115]
    facts = task.facts(50, 115)
    assert (facts.held, facts.bits) == (1, np.log2(56))
    assert task.stretched(50, 20) == (50, 2300)
    assert not task.has_other_lags(50), "no batch says which lag it has"

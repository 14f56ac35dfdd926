import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, evenly, few, recall, seeds

from memcap.config.recipes import recommended
from memcap.tasks.chance import score, sequences
from memcap.tasks.copy import Copy
from memcap.tasks.selective_copy import SelectiveCopy

KINDS = [
    SelectiveCopy(),
    SelectiveCopy(items=3, symbols=5, distractors=2, cue="throughout"),
    SelectiveCopy(items=1),
]


@pytest.mark.parametrize("task", KINDS, ids=str)
@few
@given(lag=st.integers(1, 20), extra=st.integers(0, 10), seed=seeds)
def test_a_queue_of_what_is_a_symbol_solves_it(task, lag, extra, seed):
    length = min(task.shortest(lag) + extra, STEPS)
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    guess = np.array([recall(task, row) for row in inputs])
    assert score(task, guess, targets, mask).mean == 1
    assert np.all(mask == [0] * (length - task.items) + [1] * task.items)
    symbols = inputs < task.symbols
    assert np.all(symbols.sum(1) == task.items)
    assert not symbols[:, : length - task.shortest(lag)].any(), (
        "what is longer than need be begins with filler"
    )
    assert not symbols[:, -task.items - 1 :].any()


def test_the_layout_of_the_docstring():
    task = SelectiveCopy(items=3)
    inputs, _, mask = sequences(task, draw(task, 3), 9)
    assert np.all((inputs[:, :5] < 2).sum(1) == 3)
    assert np.all(inputs[:, :5] <= 2)
    assert np.all(inputs[:, 5:] == [3, 2, 2, 2])
    assert np.all(mask == [0] * 6 + [1] * 3)
    throughout = SelectiveCopy(items=3, cue="throughout")
    assert np.all(sequences(throughout, draw(throughout, 3), 9)[0][:, 5:] == 3)


def test_each_choice_of_places_is_as_frequent():
    """Of 2 symbols in the 5 steps before the cue: ten choices. And all pairs of symbols
    are drawn alike."""
    batch = 8192
    task = SelectiveCopy(items=2)
    inputs, _, _ = sequences(task, draw(task, 4, batch=batch), 8)
    places = (inputs[:, :5] < 2) @ [16, 8, 4, 2, 1]
    symbols = inputs[inputs < 2].reshape(batch, 2) @ [2, 1]
    for counts, kinds in (
        (np.unique(places, return_counts=True)[1], 10),
        (np.bincount(symbols), 4),
    ):
        assert evenly(counts, kinds)


@pytest.mark.parametrize(
    "knobs",
    [{}, {"items": 3, "symbols": 5, "distractors": 3, "cue": "throughout"}],
    ids=str,
)
def test_it_is_the_copy_task_but_for_the_places(knobs):
    """At every lag as long, with as many of each kind of symbol, the same facts, and
    with no blank left the same sequences."""
    spread = SelectiveCopy(**knobs)
    row = Copy(**knobs)
    for lag in (1, 7):
        length = row.length(lag)
        assert spread.length(lag) == length
        assert spread.facts(lag, length) == row.facts(lag, length)
        (seen, _, due), (plain, _, due_there) = (
            sequences(task, draw(task, lag), length) for task in (spread, row)
        )
        kinds = [
            np.where(x < row.symbols, 0, np.where(x < row.vocabulary - 1, 1, 2))
            for x in (seen, plain)
        ]
        assert np.array_equal(np.sort(kinds[0], axis=1), np.sort(kinds[1], axis=1))
        assert np.array_equal(kinds[0], kinds[1]) == (lag == 1)
        assert np.array_equal(due, due_there)


def test_what_came_a_fixed_number_of_steps_ago_is_no_answer():
    """Plain copy says what came K + lag steps ago; here that is a symbol 4 times of 11
    only, and no other distance is better."""
    task = SelectiveCopy(symbols=4)
    lag = 8
    inputs, targets, mask = sequences(
        task, draw(task, lag, batch=8192), task.length(lag)
    )
    first = np.argmax(mask[0])
    right = [
        np.mean(inputs[:, first - back] == targets[:, first])
        for back in range(1, task.items + lag + 1)
    ]
    assert right[-1] == pytest.approx(4 / 11, abs=0.02)
    assert max(right) == right[-1]


def test_recipe():
    assert [
        recommended(SelectiveCopy(items=items), lag)
        for items in (1, 4, 16)
        for lag in (1, 50)
    ] == ["curriculum_from_one"] * 6

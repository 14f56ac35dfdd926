import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import draw, evenly, few, seeds

from memcap.tasks.chance import score, sequences
from memcap.tasks.dyck import Dyck


def close(task: Dyck, row: np.ndarray) -> np.ndarray:
    """Push what opens, pop what closes; the top of the stack is the answer at every step."""
    stack = []
    guess = np.zeros(len(row), int)
    for t, x in enumerate(row):
        if x < task.types:
            stack.append(x)
            assert len(stack) <= task.depth
        elif x < 2 * task.types:
            assert stack.pop() == x - task.types
        guess[t] = stack[-1] if stack else 0
    assert len(stack) == 1
    return guess


@pytest.mark.parametrize("task", [Dyck(), Dyck(types=5, depth=2)], ids=str)
@few
@given(lag=st.integers(1, 20), extra=st.integers(0, 10), seed=seeds)
def test_a_stack_solves_it(task, lag, extra, seed):
    length = task.shortest(lag) + extra
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    guess = np.array([close(task, row) for row in inputs])
    assert score(task, guess, targets, mask).mean == 1
    closes = (inputs >= task.types) & (inputs < 2 * task.types)
    assert np.all(mask[:, :-1] == (closes[:, 1:] & closes[:, :-1]))
    first = inputs[:, length - 1 - lag]
    assert np.all(targets[:, -1] == first)
    blanks = np.arange(length) < length - 1 - lag
    blanks[length - lag] |= lag % 2 == 1
    assert np.all((inputs == 2 * task.types) == blanks)


def shapes(pairs: int, depth: int) -> list[tuple[bool, ...]]:
    """All words of one bracket type, by trying all sequences: true where a bracket opens."""
    found = []
    for word in itertools.product((True, False), repeat=2 * pairs):
        level = np.cumsum(np.where(word, 1, -1))
        if pairs == 0 or (level[-1] == 0 and level.min() >= 0 and level.max() <= depth):
            found.append(word)
    return found


def test_the_example_of_the_docstring():
    inputs, targets, mask = sequences(Dyck(), draw(Dyck(), 6, 7, batch=4096), 7)
    same, *_ = np.flatnonzero((inputs == [0, 1, 0, 2, 3, 0, 2]).all(1))
    assert targets[same].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert mask[same].tolist() == [False, False, False, True, False, False, True]


def test_all_words_within_the_first_bracket_are_drawn_alike():
    task = Dyck(depth=4)
    pairs = 4
    inputs, _, _ = sequences(task, draw(task, 2 * pairs, batch=8192), 2 * pairs + 1)
    words = shapes(pairs, 3)
    drawn, counts = np.unique(inputs[:, 1:] < 2, axis=0, return_counts=True)
    assert sorted(map(tuple, drawn)) == sorted(words)
    assert evenly(counts, len(words))

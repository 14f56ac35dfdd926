"""The sequences of a task, numbered: each is there once, and `sample` draws no others."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from task_checks import draw, evenly, every_task

from memcap.tasks.adding import Adding
from memcap.tasks.chance import sequences
from memcap.tasks.latch import Latch

MOST = 700  # sequences of a task that is tried


def lag_of(task):
    return task.smallest_lag + 1


def count(task, extra=0):
    return task.sequences_in_all(lag_of(task), task.shortest(lag_of(task)) + extra)


def rows(task, batch, length):
    """All that is seen and asked, a row per sequence."""
    inputs, targets, due = sequences(task, batch, length)
    parts = inputs, np.where(due, targets, 0), due
    return np.concatenate([part.reshape(len(due), -1) for part in parts], axis=1)


NUMBERED = [*every_task(), Latch(symbols=5, distractors=0)]
NUMBERED = [task for task in NUMBERED if count(task) is not None]


def test_the_tasks_whose_sequences_are_numbered():
    letters = ["cycle_navigation", "even_pairs", "parity"]
    others = ["copy", "count", "counter_language", "latch", "pattern"]
    assert {task.name for task in NUMBERED} == {
        *letters,
        *others,
        "random_labels",
        "windows",
    }
    assert Adding().sequences_in_all(5, 6) is None
    with pytest.raises(NotImplementedError, match="adding: its sequences cannot"):
        Adding().enumerated(jnp.arange(2), 5, 6, 6)


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize("extra", [0, 3])
@pytest.mark.parametrize(
    "task",
    leave(
        [task for task in NUMBERED if count(task, 3) <= MOST],
        but=lambda task: task in (type(task)(), Latch(symbols=5, distractors=0)),
    ),
    ids=str,
)
def test_each_sequence_is_there_once_and_is_drawn_as_often(task, extra):
    lag = lag_of(task)
    length = task.shortest(lag) + extra
    number = count(task, extra)
    steps = length + 2
    lay_out = jax.jit(partial(task.enumerated, steps=steps))
    batch = jax.tree.map(np.asarray, lay_out(jnp.arange(number), lag, length))
    listed = np.unique(rows(task, batch, length), axis=0)
    assert len(listed) == number
    drawn = rows(task, draw(task, lag, length, steps=steps, batch=8192), length)
    kinds, counts = np.unique(drawn, axis=0, return_counts=True)
    np.testing.assert_array_equal(kinds, listed)
    assert number == 1 or evenly(counts, number, errors=5)

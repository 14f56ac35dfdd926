import numpy as np
import pytest
from task_checks import draw

from memcap.tasks.chance import sequences
from memcap.tasks.copy import Copy
from memcap.tasks.selective_copy import SelectiveCopy


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

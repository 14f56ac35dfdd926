import numpy as np
import pytest
from task_checks import draw

from memcap.rule import Criterion
from memcap.tasks.chance import score, sequences
from memcap.tasks.square_wave import SquareWave

LONG = 64


@pytest.mark.parametrize(
    ("ones", "lag", "longer"), [(1, 1, 0), (5, 1, 0), (2, 6, 0), (3, 5, 9)]
)
def test_states_that_differ_in_what_is_due_though_nothing_more_comes(ones, lag, longer):
    """From every sequence: at each step, how many answers are still possible once the
    run is over."""
    task = SquareWave(ones=ones)
    length = task.shortest(lag) + longer

    def most_answers(length):
        batch = draw(task, lag, length, batch=2048, steps=LONG)
        inputs, targets, _ = sequences(task, batch, length)
        return max(
            len(np.unique(targets[~inputs[:, t:].any(1), t:], axis=0))
            for t in range(1, length)
        )

    most = most_answers(length)
    assert 2 ** task.facts(lag, length).bits == pytest.approx(most)
    if not longer:
        assert most_answers(length - 1) < most, "a shorter sequence asks for less"


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

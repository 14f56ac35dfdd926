import numpy as np
import pytest
from task_checks import draw

from memcap.tasks.chance import score, sequences
from memcap.tasks.windows import Windows


def test_each_window_starts_with_a_cut():
    starts = draw(Windows(window=4), 9, 12).window_starts[:12]
    assert np.flatnonzero(starts).tolist() == [2, 6, 10]


def windows_alone(task: Windows, lag: int) -> float:
    """Accuracy of the best answers when each window forgets the ones before: 1 if it
    holds a 1, else 0."""
    length = task.length(lag)
    batch = draw(task, lag, length, batch=8192)
    inputs, targets, mask = sequences(task, batch, length)
    guess = np.zeros_like(inputs)
    for t in range(length):
        guess[:, t] = (
            inputs[:, t]
            if batch.window_starts[t]
            else np.maximum(guess[:, t - 1], inputs[:, t])
        )
    return score(task, guess, targets, mask).mean


@pytest.mark.parametrize(("lag", "windows"), [(11, 3), (12, 4), (15, 4)])
def test_a_reset_carry_can_do_no_better_than_this(lag, windows):
    every, last = (
        Windows(window=4, label=label, carry="reset") for label in ("every", "last")
    )
    assert every.reset_carry
    assert not Windows().reset_carry
    assert windows_alone(every, lag) == pytest.approx(0.5 + 0.5 / windows, abs=0.02)
    assert windows_alone(last, lag) == pytest.approx(0.5, abs=0.02)

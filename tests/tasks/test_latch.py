import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.latch import Latch


@pytest.mark.parametrize("task", [Latch(), Latch(symbols=6, distractors=0)], ids=str)
@few
@given(lag=st.integers(1, 20), extra=st.integers(0, 20), seed=seeds)
def test_the_one_symbol_of_the_alphabet_is_the_answer(task, lag, extra, seed):
    length = min(task.shortest(lag) + extra, STEPS)
    batch = draw(task, lag, length, seed=seed)
    shown = batch.inputs[:length] < task.symbols
    assert np.all(shown.sum(0) == 1)
    assert np.all(
        shown[length - 2 - lag]
    )  # exactly `lag` distractors before the trigger
    assert np.array_equal(batch.inputs[:length].T[shown.T], batch.targets)
    assert np.array_equal(
        batch.inputs[:length] == task.vocabulary - 1,
        np.arange(length)[:, None] == [length - 1] * 32,
    )


def test_a_blank_lag_has_one_filler_and_distractors_have_all():
    assert set(np.unique(draw(Latch(distractors=0), 9, 11).inputs[1:10])) == {2}
    assert set(np.unique(draw(Latch(distractors=3), 9, 11).inputs[1:10])) == {2, 3, 4}


def test_under_noise_the_first_number_tells_the_symbol():
    batch = draw(Latch(symbols=3, noise=0.1), 9, 12)
    assert batch.inputs.shape == (STEPS, 32, 1)
    assert np.array_equal(
        np.rint(batch.inputs[2, :, 0]), batch.targets - 1
    )  # the first 2 steps are noise
    rest = batch.inputs[3:12]
    assert abs(rest.mean()) < 0.03
    assert 0.08 < rest.std() < 0.12

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.adding import Adding

TASK = Adding()


def chance(lag: int) -> float:
    return TASK.facts(lag, TASK.length(lag)).chance


@few
@given(lag=st.integers(1, 30), extra=st.integers(0, 10), seed=seeds)
def test_adding_the_marked_numbers_solves_it(lag, extra, seed):
    length = min(TASK.shortest(lag) + extra, STEPS)
    batch = draw(TASK, lag, length, seed=seed)
    value, marker = np.moveaxis(batch.inputs[:length], -1, 0)
    assert set(np.unique(marker)) <= {0, 1}
    np.testing.assert_allclose(
        np.where(marker, value, 0).sum(0, dtype=float), batch.targets, atol=1e-6
    )
    half = length - 1 - lag + (lag + 1) // 2
    assert np.all(marker[length - 1 - lag : half].sum(0) == 1)
    assert np.all(marker[half:length].sum(0) == 1)
    assert value.min() >= 0
    assert value.max() < 1


def test_the_baseline_that_papers_quote():
    targets = draw(TASK, 40, batch=16384).targets
    assert targets.var() == pytest.approx(1 / 6, abs=0.004)
    assert chance(1) == pytest.approx(1 / 12)
    assert chance(50) == pytest.approx(1 / 6 - 1 / 312)
    assert chance(10**6) == pytest.approx(1 / 6, abs=1e-6)


@pytest.mark.parametrize("lag", [6, 7])
def test_each_place_of_a_half_is_marked_alike(lag):
    marks = draw(TASK, lag, batch=16384).inputs[: lag + 1, :, 1].mean(1)
    half = (lag + 1) // 2
    np.testing.assert_allclose(
        marks, [1 / half] * half + [1 / (lag + 1 - half)] * (lag + 1 - half), atol=0.015
    )

"""The fading kernel: what is due, and how many exponentials per step it takes to keep it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import draw, few, seeds

from memcap.tasks.chance import sequences
from memcap.tasks.fading_kernel import FadingKernel


def weights(task: FadingKernel, lag: int) -> np.ndarray:
    """By age, from 0 to the lag."""
    return (1.0 + np.arange(lag + 1)) ** -task.power


@pytest.mark.parametrize("task", [FadingKernel(), FadingKernel(power=0.5)], ids=str)
@few
@given(lag=st.integers(1, 20), extra=st.integers(0, 6), seed=seeds)
def test_it_is_the_sum_of_what_came_up_to_a_lag_ago(task, lag, extra, seed):
    length = task.shortest(lag) + extra
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    for row, due in zip(inputs[..., 0], targets, strict=True):
        np.testing.assert_allclose(
            due, np.convolve(row, weights(task, lag))[:length], atol=1e-5
        )
    assert mask.all()


def test_the_example_of_the_docstring():
    by_age = weights(FadingKernel(), 3)
    assert np.convolve([6, 0, 0, -2], by_age)[:4].tolist() == [6, 3, 2, -0.5]


def error(decays: np.ndarray, lag: int) -> float:
    """The least squared error of a sum of exponentials with these decays per step, as a
    share of the criterion."""
    task = FadingKernel()
    steps = np.sqrt(
        (lag + 1 - np.arange(lag + 1)) / (lag + 1)
    )  # how many of them have this age
    basis = decays ** np.arange(lag + 1)[:, None] * steps[:, None]
    wanted = weights(task, lag) * steps
    _, (left,), *_ = np.linalg.lstsq(basis, wanted)
    return left / task.facts(lag, lag + 1).threshold


@pytest.mark.parametrize(("lag", "least"), [(1, 1), (3, 2), (16, 2), (50, 3)])
def test_the_linear_units_that_it_takes_grow_with_the_lag(lag, least):
    """By a search of all decays on a grid."""
    grid = 1 - 1 / np.geomspace(1.02, 4 * lag + 8, 24)
    found = {}
    for units in (1, 2, 3):
        each = np.array(np.meshgrid(*[grid] * units)).reshape(units, -1).T
        rising = each[(np.diff(each) > 0).all(1)]
        found[units] = min(error(decays, lag) for decays in rising) <= 1
        if found[units]:
            break
    assert min(units for units, enough in found.items() if enough) == least

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.count import Count


@pytest.mark.parametrize("kind", ["time", "tokens"])
@few
@given(
    lag=st.integers(3, 40),
    extra=st.integers(0, 20),
    scale=st.sampled_from([None, 50]),
    seed=seeds,
)
def test_a_counter_solves_it(kind, lag, extra, scale, seed):
    length = min(lag + extra, STEPS)
    batch = draw(Count(kind=kind, scale=scale), lag, length, seed=seed)
    count = np.zeros(batch.inputs.shape[1])
    for t in range(length):
        count += 1 if kind == "time" else batch.inputs[t] == 1
        np.testing.assert_allclose(batch.targets[t] * (scale or lag), count, rtol=1e-5)
    assert np.array_equal(
        batch.mask,
        np.broadcast_to(np.arange(STEPS)[:, None] < length, batch.mask.shape),
    )


@pytest.mark.parametrize("lag", [3, 4, 10, 50])
def test_chance_for_tokens_by_enumeration(lag):
    """All (t, count) pairs with their probabilities, apart for each value of the current bit."""
    error = 0.0
    for bit in (0, 1):
        weight = []
        count = []
        for t in range(1, lag + 1):
            for before in range(t):
                weight.append(math.comb(t - 1, before) * 0.5 ** (t - 1) / lag)
                count.append((before + bit) / lag)
        mean = np.average(count, weights=weight)
        error += 0.5 * np.average((np.array(count) - mean) ** 2, weights=weight)
    assert Count(kind="tokens", scale=None).facts(lag, lag).chance == pytest.approx(
        error, rel=1e-9
    )


@pytest.mark.parametrize("kind", ["time", "tokens"])
def test_smallest_lag_and_precision(kind):
    task = Count(kind=kind)
    two, three, fifty = (task.facts(lag, lag) for lag in (2, 3, 50))
    assert two.chance <= two.threshold
    assert three.chance > three.threshold
    assert fifty.threshold == pytest.approx(1e-4)
    assert math.log2(50) - 2 < fifty.bits < math.log2(50)


def test_a_stretched_count_keeps_its_scale():
    lag, length = Count(scale=None).stretched(8, 4)
    assert (lag, length) == (8, 32)
    assert draw(Count(scale=None), lag, length).targets[31, 0] == 4
    assert Count(scale=8).stretched(8, 4) == (32, 32)
    assert draw(Count(scale=8), 32, 32).targets[31, 0] == 4

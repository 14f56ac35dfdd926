"""minGRU, minLSTM and two LRUs at the ends of their ranges."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from lstm_reference import quick_jit
from scipy.special import expit
from scipy.stats import kstest

from memcap.cells import cell_class
from memcap.cells.lru import LRU
from memcap.loops.associative import diagonal_scan


def test_float32_holds_over_a_thousand_steps_whether_the_gates_are_shut_or_open():
    """Where decays multiply to 0 long before the end, and where they hardly decay at all."""
    rng = np.random.default_rng(1)
    steps = 1000
    decay = expit(rng.choice([-30.0, -3.0, 3.0, 9.0], (steps, 2, 6))).astype(np.float32)
    decay[:, :, :2] = expit([-30.0, 14.0])  # one unit always shut, one always open
    added = ((1 - decay) * rng.standard_normal(decay.shape)).astype(np.float32)
    scan = quick_jit(partial(diagonal_scan, False))
    found = scan(decay, added, np.zeros((2, 6), np.float32), np.ones(steps, np.float32))
    state = np.zeros((2, 6))
    right = []
    for a, b in zip(decay.astype(np.float64), added.astype(np.float64), strict=True):
        state = a * state + b
        right.append(state)
    assert np.prod(decay[:, 0, 0], dtype=np.float32) == 0
    assert np.abs(found - np.array(right)).max() < 1e-6


@pytest.mark.breadth
def test_shut_gates_of_a_min_lstm_still_share_one_whole():
    cell = cell_class("minLSTM")(1, 1, rngs=nnx.Rngs(0))
    for f, i in [(-500.0, -500.0), (-500.0, 500.0), (500.0, -500.0), (-200.0, -201.0)]:
        cell.kernel[...] = jnp.zeros((1, 3))
        cell.bias[...] = jnp.array([f, i, 1.0])
        keeps, added = cell.coefficients(jnp.ones((1, 1)))
        expected = expit(min(f, 0.0) - min(i, 0.0))  # log sigmoid(x) is x far below 0
        assert keeps.item() == pytest.approx(expected, abs=1e-6)
        assert added.item() == pytest.approx(1 - expected, abs=1e-6)


@pytest.mark.breadth
def test_an_lru_starts_in_its_ring_with_the_variance_of_its_input():
    cell = LRU(3, 4000, rngs=nnx.Rngs(0))
    decay, added = cell.coefficients(jnp.eye(3))
    assert (
        kstest(np.abs(decay) ** 2, "uniform", (0.4**2, 0.99**2 - 0.4**2)).pvalue > 0.01
    )
    assert kstest(np.angle(decay), "uniform", (0, np.pi)).pvalue > 0.01
    stationary = (np.abs(added) ** 2).sum(0) / (
        1 - np.abs(decay) ** 2
    )  # of white inputs of variance 1
    assert stationary.mean() == pytest.approx(1, abs=0.05)

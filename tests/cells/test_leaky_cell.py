"""The leaky cell against its equation in NumPy, and against Elman's where nothing leaks."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop

from memcap.cells.flax_cells import Elman
from memcap.cells.leaky import Leaky


class Tight(Leaky):
    leak = 1.0


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((9, 2, 3)).astype(np.float32)


def drawn(cls):
    cell = cls(3, 4, rngs=nnx.Rngs(0))
    cell.bias[...] = jnp.linspace(-1, 1, 4)
    return cell


@pytest.mark.breadth
def test_it_is_half_of_what_was_and_half_a_rate(x):
    cell = drawn(Leaky)
    kernel, recurrent, bias = (
        np.asarray(p[...]) for p in (cell.kernel, cell.recurrent, cell.bias)
    )
    hidden = np.zeros((2, 4))
    for step in x:
        hidden = hidden / 2 + np.tanh(step @ kernel + hidden @ recurrent + bias) / 2
    carry, _ = run_loop("while", cell, x, jnp.zeros((2, 4)), every=False)
    np.testing.assert_allclose(carry, hidden, atol=1e-6)


def test_with_a_leak_of_one_it_is_flax_elman_cell(x):
    cell = drawn(Tight)
    elman = Elman(3, 4, rngs=nnx.Rngs(1))
    elman.dense_i.kernel[...], elman.dense_i.bias[...] = (
        cell.kernel[...],
        cell.bias[...],
    )
    elman.dense_h.kernel[...] = cell.recurrent[...]
    theirs, ours = (
        run_loop("while", c, x, jnp.zeros((2, 4)))[1] for c in (elman, cell)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)

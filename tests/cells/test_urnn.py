"""The unitary RNN: its equations in NumPy, and a state that is turned without loss."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop

from memcap.cells.urnn import URNN

F = 3
U = 6
B = 4
T = 5
EACH = np.eye(U)


def material():
    rng = np.random.default_rng(0)
    cell = URNN(F, U, rngs=nnx.Rngs(0))
    cell.bias[...] = jnp.asarray(rng.uniform(-1.2, 0.1, U), jnp.float32)
    return cell, rng.standard_normal((T, B, F)).astype(np.float32)


def matrix(cell):
    """W, so that W h is the product with a column, put together from dense float64 matrices."""
    wave = np.exp(-2j * np.pi * np.outer(np.arange(U), np.arange(U)) / U) / np.sqrt(U)
    d1, d2, d3 = (
        np.diag(np.exp(1j * np.asarray(phase, np.float64)))
        for phase in cell.phases[...]
    )
    r1, r2 = (
        EACH - 2 * np.outer(v, v.conj()) / np.vdot(v, v)
        for v in np.asarray(cell.mirrors[...], np.complex128)
    )
    order = np.random.default_rng(U).permutation(U)
    return d3 @ r2 @ wave.conj().T @ d2 @ EACH[order] @ r1 @ wave @ d1


@pytest.mark.breadth
def test_it_is_the_published_recurrence():
    cell, x = material()
    turn = matrix(cell)
    kernel = np.asarray(cell.kernel[...])
    bias = np.asarray(cell.bias[...])
    np.testing.assert_allclose(turn @ turn.conj().T, EACH, atol=1e-6)
    state = np.zeros((B, U), np.complex128)
    shown = []
    for inputs in x:
        z = state @ turn.T + inputs @ kernel
        state = np.maximum(np.abs(z) + bias, 0) * z / np.abs(z)
        shown.append(np.stack([state.real, state.imag], -1).reshape(B, 2 * U))
    assert (np.abs(state) == 0).any()  # of some units nothing is left
    last, hidden = run_loop("while", cell, x, jnp.zeros((B, U), jnp.complex64))
    np.testing.assert_allclose(np.swapaxes(hidden, 1, 2), shown, atol=1e-5)
    np.testing.assert_allclose(last, state, atol=1e-5)


def test_without_a_bias_a_state_is_turned_for_500_steps_and_loses_nothing():
    cell, _ = material()
    cell.bias[...] = jnp.zeros(U)
    start = jnp.asarray(np.random.default_rng(1).standard_normal((1, U)), jnp.complex64)
    last, _ = run_loop("while", cell, np.zeros((500, 1, F), np.float32), start)
    np.testing.assert_allclose(np.linalg.norm(last), np.linalg.norm(start), rtol=1e-3)

"""minGRU, minLSTM and two LRUs: the published equations. tests/loops/test_loops.py has
their loop."""

from functools import cache, partial

import jax
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

B = 3
F = 4
U = 5
CELLS = ("minGRU", "minLSTM", "LRU", "selective_LRU")
TURNING = ("LRU", "selective_LRU")


@cache
def material(name):
    """The cell's graph, and weights, carry and inputs in double precision."""
    rng = np.random.default_rng(0)
    graph, weights = nnx.split(
        nnx.eval_shape(lambda: cell_class(name)(F, U, rngs=nnx.Rngs(0)))
    )

    def draw(shape, wide):
        return rng.standard_normal(shape) + (
            1j * rng.standard_normal(shape) if wide else 0
        )

    weights = jax.tree.map(
        lambda leaf: draw(leaf.shape, jnp.iscomplexobj(leaf)), weights
    )
    return graph, weights, draw((B, U), name in TURNING), draw((B, F), False)


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


def test_a_step_is_what_the_papers_say():
    for name in CELLS:
        graph, weights, carry, inputs = material(name)
        with jax.enable_x64(True):
            after, hidden = nnx.merge(graph, jax.tree.map(jnp.asarray, weights))(
                carry, inputs
            )
        w = nnx.to_pure_dict(weights)
        if name in TURNING:
            step = (
                np.log1p(np.exp(inputs @ w["step_kernel"] + w["step_bias"]))
                if name == "selective_LRU"
                else 1.0
            )
            decay = np.exp(step * (-np.exp(w["nu"]) + 1j * np.exp(w["theta"])))
            right = decay * carry + step * np.exp(w["gamma"]) * (inputs @ w["kernel"])
            np.testing.assert_allclose(
                hidden,
                np.stack([right.real, right.imag], -1).reshape(B, 2 * U),
                rtol=1e-12,
            )
        else:
            roles = cell_class(name).gates.roles
            products = np.split(inputs @ w["kernel"] + w["bias"], len(roles), -1)
            z = dict(zip(roles, products, strict=True))
            f = expit(z["forget"])
            keeps = f if name == "minGRU" else f / (f + expit(z["input"]))
            right = keeps * carry + (1 - keeps) * z["candidate"]
            np.testing.assert_allclose(hidden, right, rtol=1e-12)
        np.testing.assert_allclose(after, right, rtol=1e-12)


@pytest.mark.breadth
def test_shut_gates_of_a_min_lstm_still_share_one_whole():
    cell = cell_class("minLSTM")(1, 1, rngs=nnx.Rngs(0))
    for f, i in [(-500.0, -500.0), (-500.0, 500.0), (500.0, -500.0), (-200.0, -201.0)]:
        cell.kernel[...], cell.bias[...] = jnp.zeros((1, 3)), jnp.array([f, i, 1.0])
        keeps, added = cell.coefficients(jnp.ones((1, 1)))
        expected = expit(min(f, 0.0) - min(i, 0.0))  # log sigmoid(x) is x far below 0
        np.testing.assert_allclose(
            [keeps.item(), added.item()], [expected, 1 - expected], atol=1e-6
        )


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


@pytest.mark.breadth
def test_a_selective_lru_is_the_lru_where_its_step_is_1_and_stands_still_where_it_is_0():
    graph, weights, carry, inputs = material("selective_LRU")
    w = nnx.to_pure_dict(weights)
    with jax.enable_x64(True):
        plain = cell_class("LRU")(F, U, rngs=nnx.Rngs(0))
        cell = nnx.merge(graph, jax.tree.map(jnp.asarray, weights))
        for name in ("nu", "theta", "gamma", "kernel"):
            getattr(plain, name).set_value(jnp.asarray(w[name]))
        cell.step_kernel.set_value(jnp.zeros((F, U)))
        for bias, right in [
            (np.log(np.e - 1), plain(carry, inputs)[0]),
            (-800.0, carry),
        ]:
            cell.step_bias.set_value(jnp.full(U, bias))
            np.testing.assert_allclose(cell(carry, inputs)[0], right, rtol=1e-12)

"""Cells whose units see each other: how they start, and what they hold by weights set
by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop

import memcap
from memcap.cells import Init, cell_class
from memcap.cells.flax_cells import Elman
from memcap.cells.leaky import Leaky
from memcap.models.architecture import Architecture
from memcap.models.model import Model

pytestmark = pytest.mark.usefixtures("quick_file")

LAG = 3


class Tight(Leaky):
    leak = 1.0


@pytest.mark.parametrize(
    ("cell", "init", "gram"),
    [
        ("irnn", None, 1),
        ("irnn", Init(), 1),
        ("irnn", Init(gain=0.5), 0.25),
        ("linear", None, 1),
        ("linear", Init(), 1),
    ],
)
def test_it_starts_orthogonal_by_itself_and_by_name(cell, init, gram):
    net = Architecture(Model(cell, 6), 2, 2)
    weights = net.init(init, [1])["cell"]
    recurrent = weights["recurrent"]
    np.testing.assert_allclose(recurrent @ recurrent.T, gram * np.eye(6), atol=1e-5)
    if cell == "irnn":
        np.testing.assert_array_equal(recurrent, recurrent[0, 0] * np.eye(6))
    assert not np.any(weights["bias"])
    assert net.carry_numbers() == 6


def shown(cell, x, carry):
    """The last carry, and hidden states (T, U, B)."""
    return run_loop("while", cell, x, carry)


def test_the_start_of_an_irnn_adds_up_what_it_sees_over_300_steps():
    cell = cell_class("irnn")(1, 2, rngs=nnx.Rngs(0))
    cell.kernel[...] = jnp.asarray([[1.0, -1.0]])
    x = np.zeros((300, 1, 1), np.float32)
    x[:3, 0, 0] = 1, 2, -0.5
    _, hidden = shown(cell, x, jnp.zeros((1, 2)))
    np.testing.assert_array_equal(hidden[-1, :, 0], [2.5, 0.5])


def test_a_leaky_cell_with_a_leak_of_one_is_flax_elman_cell():
    x = np.random.default_rng(0).standard_normal((9, 2, 3)).astype(np.float32)
    cell = Tight(3, 4, rngs=nnx.Rngs(0))
    cell.bias[...] = jnp.linspace(-1, 1, 4)
    elman = Elman(3, 4, rngs=nnx.Rngs(1))
    elman.dense_i.kernel[...] = cell.kernel[...]
    elman.dense_i.bias[...] = cell.bias[...]
    elman.dense_h.kernel[...] = cell.recurrent[...]
    ours, flax = (shown(c, x, jnp.zeros((2, 4)))[1] for c in (cell, elman))
    np.testing.assert_allclose(ours, flax, atol=1e-6)


def test_a_shift_register_of_a_linear_cell_says_everything_again_after_its_lag():
    cell = cell_class("linear")(1, LAG + 1, rngs=nnx.Rngs(0))
    cell.kernel[...] = jnp.eye(1, LAG + 1)
    cell.recurrent[...] = jnp.eye(LAG + 1, k=1)
    x = np.random.default_rng(0).standard_normal((12, 2, 1)).astype(np.float32)
    _, hidden = shown(cell, x, jnp.zeros((2, LAG + 1)))
    np.testing.assert_array_equal(hidden[LAG:, -1], x[:-LAG, :, 0])


def test_a_unitary_state_without_a_bias_is_turned_for_500_steps_and_loses_nothing():
    cell = cell_class("urnn")(3, 6, rngs=nnx.Rngs(0))
    cell.bias[...] = jnp.zeros(6)
    start = jnp.asarray(np.random.default_rng(1).standard_normal((1, 6)), jnp.complex64)
    last, _ = shown(cell, np.zeros((500, 1, 3), np.float32), start)
    np.testing.assert_allclose(np.linalg.norm(last), np.linalg.norm(start), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "enough"), [("linear", 3), ("LRU", 2)])
def test_training_needs_exactly_what_the_theorem_says_at_lag_2(cell, enough):
    """lag + 1 carry numbers, in whole units: one a linear unit, two an LRU's."""
    runs = memcap.members(
        task="delay_line",
        lag=2,
        cell=cell,
        units=[enough - 1, enough],
        recipe="own_start",
        budget=1000,
        seed=2,
    )
    rows = memcap.train(runs, engine=memcap.Engine(workers=1), progress=False)
    assert rows.filter(rows["units"] < enough)["solved"].to_list() == [False, False]
    assert rows.filter(rows["units"] == enough)["steady"].to_list() == [True, True]

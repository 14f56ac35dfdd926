"""The linear cell: a shift register of lag + 1 units is a delay line, and training
finds one at that width and at none below."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop

import memcap
from memcap.cells.linear import Linear
from memcap.models.architecture import Architecture
from memcap.models.model import Model

pytestmark = pytest.mark.usefixtures("quick_file")

LAG = 3


def test_a_shift_register_says_everything_again_after_its_lag():
    cell = Linear(1, LAG + 1, rngs=nnx.Rngs(0))
    cell.kernel[...], cell.recurrent[...] = jnp.eye(1, LAG + 1), jnp.eye(LAG + 1, k=1)
    x = np.random.default_rng(0).standard_normal((12, 2, 1)).astype(np.float32)
    _, hidden = run_loop("while", cell, x, jnp.zeros((2, LAG + 1)))
    np.testing.assert_array_equal(hidden[LAG:, -1], x[:-LAG, :, 0])


def test_it_starts_orthogonal_by_itself_and_by_name():
    net = Architecture(Model("linear", 6), 2, 2)
    for init in (None, memcap.cells.Init()):
        recurrent = net.init(init, [1])["cell"]["recurrent"]
        np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(6), atol=1e-5)
    assert net.carry_numbers() == 6


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

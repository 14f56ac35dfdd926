"""The IRNN starts as the identity, by itself and by name, and so adds up what it sees
for as long as one likes."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop

from memcap.cells import Init
from memcap.cells.irnn import IRNN
from memcap.models.architecture import Architecture
from memcap.models.model import Model


@pytest.mark.parametrize(
    ("init", "gain"), [(None, 1), (Init(), 1), (Init(gain=0.5), 0.5)]
)
def test_it_starts_as_the_identity(init, gain):
    net = Architecture(Model("irnn", 6), 2, 2)
    weights = net.init(init, [1])["cell"]
    np.testing.assert_array_equal(weights["recurrent"], gain * np.eye(6))
    assert not np.any(weights["bias"])
    assert net.carry_numbers() == 6


def test_its_start_adds_up_what_it_sees_over_300_steps():
    cell = IRNN(1, 2, rngs=nnx.Rngs(0))
    cell.kernel[...] = jnp.asarray([[1.0, -1.0]])
    x = np.zeros((300, 1, 1), np.float32)
    x[:3, 0, 0] = 1, 2, -0.5
    _, hidden = run_loop("while", cell, x, jnp.zeros((1, 2)))
    np.testing.assert_array_equal(hidden[-1, :, 0], [2.5, 0.5])

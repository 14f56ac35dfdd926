"""mLSTM and sLSTM: how they start, and what they recall."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from lstm_reference import quick_jit

from memcap.cells import cell_class
from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 4
U = 5
NAMES = ("mlstm", "slstm")


def shown(graph, weights, x):
    """Hidden states (T, B, U), step by step."""
    cell = nnx.merge(graph, weights)
    return jax.lax.scan(cell, cell.initialize_carry(x.shape[1:]), x)[1]


@pytest.mark.usefixtures("quick_compile")
def test_a_net_starts_as_the_authors_start_theirs():
    weights = {
        name: Architecture(Model(name, U), F, 2).init(None, [1])["cell"]
        for name in NAMES
    }
    assert not np.any(weights["mlstm"]["gate"])
    write, keep = weights["mlstm"]["bias"]
    bias = np.split(weights["slstm"]["bias"], 4)
    assert keep == 3
    assert 0 < abs(write) < 0.5  # five standard deviations
    assert not np.any(weights["slstm"]["recurrent"])
    np.testing.assert_allclose(bias[1], [3, 3.75, 4.5, 5.25, 6])
    assert not np.any([bias[0], bias[2], bias[3]])


@pytest.mark.breadth
def test_an_mlstm_recalls_as_many_orthogonal_keys_as_a_key_has_numbers():
    """An input is a key, a value, and whether to write; a key alone is a question."""
    keys = cell_class("mlstm").keys
    cell = cell_class("mlstm")(keys + U + 1, U, rngs=nnx.Rngs(0))
    seen = np.eye(2 * cell.in_features)
    cell.query[...] = jnp.asarray(seen[:, :keys])
    cell.key[...] = jnp.asarray(seen[:, :keys] * np.sqrt(keys))
    cell.value[...] = jnp.asarray(seen[:, keys : keys + U])
    cell.gate[...] = jnp.asarray(np.outer(seen[keys + U], [100, 0]))
    cell.bias[...] = jnp.asarray([-100.0, 50.0])
    values = np.random.default_rng(2).standard_normal((keys, U)).astype(np.float32)
    pairs = np.concatenate([np.eye(keys), values, np.ones((keys, 1))], 1)
    inputs = np.concatenate([pairs, np.eye(keys, cell.in_features)])[:, None].astype(
        np.float32
    )
    hidden = quick_jit(shown, static_argnums=0)(*nnx.split(cell), inputs)
    np.testing.assert_allclose(hidden[keys:, 0], values, atol=1e-5)


def test_an_slstm_of_one_unit_writes_a_late_value_over_all_before_it():
    """What an LSTM's sigmoid cannot: an input gate e^10 times as strong makes the
    average the last value. And an input gate that is stronger at all steps changes
    nothing, which is why no width pads another.
    """
    cell = cell_class("slstm")(2, 1, rngs=nnx.Rngs(0))
    cell.kernel[...] = jnp.asarray([[0.0, 0, 1, 0], [10, 0, 0, 0]])
    cell.bias[...] = jnp.asarray([0.0, 50, 0, 50])
    inputs = jnp.asarray([[1.0, 0], [1, 0], [-1, 1], [0, -1]])[:, None]
    run = quick_jit(shown, static_argnums=0)
    hidden = run(*nnx.split(cell), inputs)
    np.testing.assert_allclose(hidden[:, 0, 0], np.tanh([1, 1, -1, -1]), atol=3e-4)
    cell.bias[...] += jnp.asarray([3.0, 0, 0, 0])  # all weights of an average times e^3
    np.testing.assert_allclose(run(*nnx.split(cell), inputs), hidden, atol=1e-6)

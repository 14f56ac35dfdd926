"""Weights as one vector, counts of numbers and bits, and training, for cells of complex
numbers and of other float types."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lstm_reference import quick_jit
from model_checks import OUT, B, F, T, U, architecture, random_weights

from memcap.cells.registry import count

DIAGONAL = "odd_cells:Diagonal"
CLOCKED = "odd_cells:Clocked"
BF16 = jnp.dtype(jnp.bfloat16)


DTYPES = {
    "lstm": {np.dtype(np.float32)},
    DIAGONAL: {np.dtype(np.complex64), np.dtype(np.float32)},
    CLOCKED: {BF16, np.dtype(np.float32)},
}


@pytest.mark.parametrize("cell", DTYPES)
def test_weights_come_back_from_their_vector_as_they_were(cell):
    net = architecture(cell, "lstm")
    weights = random_weights(net)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == DTYPES[cell]
    vector = net.flatten(weights)
    assert vector.dtype == np.float32
    assert vector.shape == (net.parameters(),)
    # no part is there twice, and none is lost
    assert len(np.unique(vector)) > 0.9 * len(vector)
    for back in (net.unflatten(vector), jax.jit(net.unflatten)(vector)):
        jax.tree.map(partial(np.testing.assert_array_equal, strict=True), back, weights)


@pytest.mark.parametrize(
    ("cell", "parameters", "carry", "numbers_per_unit", "bits_per_unit"),
    [
        ("lstm", 4 * U * (F + U + 1), 2 * U, 2, 64),
        ("GRUCell", 3 * U * (F + U + 1), U, 1, 32),
        ("urnn", (3 + 4 + 1 + 2 * F) * U, 2 * U, 2, 64),
        ("slstm", 4 * U * (F + U + 1), 4 * U, 4, 128),
        ("selective_LRU", 3 * F * U + 4 * U, 2 * U, 2, 64),
        # a complex number is two real ones
        (DIAGONAL, 2 * (F * U + U + U), 2 * U, 2, 64),
        # the clock is one number, however many units read it
        (CLOCKED, F * U + U * U + U, U + 1, 1, 32),
        ("odd_cells:HalfLSTM", 4 * U * (F + U + 1), 2 * U, 2, 32),
    ],
)
def test_what_is_counted(cell, parameters, carry, numbers_per_unit, bits_per_unit):
    net = architecture(cell)
    parameters += OUT * (net.model.hidden + 1)
    assert net.parameters() == parameters == net.flatten(random_weights(net)).size
    assert net.carry_numbers() == carry
    assert count(cell, F)[:2] == (numbers_per_unit, bits_per_unit)


def test_the_gradient_through_complex_weights_is_that_of_their_two_parts():
    """Central differences in every real and every imaginary part; float32 leaves them
    about 1e-4 of the largest slope."""
    net = architecture(DIAGONAL)
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((T, B, F)).astype(np.float32)
    wanted = rng.standard_normal((OUT, T, B)).astype(np.float32)

    def mean_error(vector):
        outputs = net.build(net.unflatten(vector))(inputs, seq_lengths=T - 1)
        return jnp.mean((outputs - wanted) ** 2)

    vector = net.flatten(random_weights(net))
    loss = quick_jit(mean_error)
    found = np.asarray(quick_jit(jax.grad(mean_error))(vector))
    assert found.dtype == np.float32
    steps = 0.01 * np.eye(len(vector), dtype=np.float32)
    differences = np.array(
        [(loss(vector + step) - loss(vector - step)) / 0.02 for step in steps]
    )
    np.testing.assert_allclose(
        found, differences, atol=1e-3 * np.abs(differences).max()
    )
    assert np.all(np.abs(found) > 0)

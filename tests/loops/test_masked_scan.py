"""What GPUs run in place of `lax.scan` gives the same bits, and reads no row that it did not write."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from loop_checks import pass_over
from lstm_reference import quick_jit

from memcap import loops
from memcap.cells import cell_class

T, B, F, U, OUT = 9, 3, 4, 5, 2
LENGTHS = np.array([7, T, 1])


def members(name, windows, real):
    """What three members train, inputs, which go on past the length, lengths and starts of windows."""
    rng = np.random.default_rng(0)
    graph, weights = nnx.split(nnx.eval_shape(lambda: cell_class(name)(F, U, rngs=nnx.Rngs(0))))
    carry = jax.eval_shape(
        lambda weights: nnx.merge(graph, weights).initialize_carry((B, F), nnx.Rngs(0)), weights
    )

    def draw(leaf):
        return rng.standard_normal((len(LENGTHS), *leaf.shape)).astype(np.float32)

    shape = len(LENGTHS), T, B
    inputs = draw(jax.ShapeDtypeStruct((T, B, F), "float32")) if real else rng.integers(0, F, shape, np.int32)
    starts = np.arange(T) % 4 == np.arange(len(LENGTHS))[:, None] if windows else None
    trained = jax.tree.map(draw, (weights, carry, jax.ShapeDtypeStruct((U, OUT), "float32")))
    return graph, trained, inputs, LENGTHS, starts


def value_and_gradient(name, every, windows, real):
    graph, trained, inputs, lengths, starts = members(name, windows, real)
    loop = loops.resolve("masked", loops.Request(cell_class(name), "gpu", windows))

    def loss(trained, inputs, length, starts):
        weights, carry, readout = trained
        over = pass_over(inputs, length, starts, every=every, readout=readout)
        left, outputs = loop(nnx.merge(graph, weights), carry, over)
        values = jax.tree.leaves((left, outputs))
        return sum(
            jnp.sum(leaf * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape)) for leaf in values
        ), values

    gradient = jax.value_and_grad(loss, (0, 1) if real else 0, has_aux=True)
    return quick_jit(jax.vmap(gradient))(trained, inputs, lengths, starts)


@pytest.mark.parametrize(
    ("name", "every", "windows", "real"),
    [
        ("lstm", True, False, False),
        ("lstm", True, True, True),
        ("lstm", False, False, False),
        ("GRUCell", True, True, True),
        ("GRUCell", False, False, True),
    ],
)
def test_a_gpu_has_the_bits_of_the_scan_whatever_lay_in_its_buffers(name, every, windows, real, monkeypatch):
    scanned = value_and_gradient(name, every, windows, real)
    made = []

    def full_of_nan(shape, dtype):
        made.append(shape)
        return jnp.full(shape, jnp.nan, dtype)

    def on_a_gpu(*operands, cuda, default):
        return cuda(*operands)

    monkeypatch.setattr(lax, "platform_dependent", on_a_gpu)
    monkeypatch.setattr(lax, "empty", full_of_nan)
    written = value_and_gradient(name, every, windows, real)
    assert made
    jax.tree.map(partial(np.testing.assert_array_equal, strict=True), written, scanned)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(written))

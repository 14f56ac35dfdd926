"""`stepwise`, which runs any cell: its gradients are those of JAX; one program serves every length."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error

from memcap.loops.base import stepwise
from memcap.loops.while_loop import trip_count

T, LENGTH, B, F, U = 9, 7, 3, 4, 5
BOUNDARY = np.isin(np.arange(T), (3, 5))
CELLS = (nnx.GRUCell, nnx.SimpleCell, nnx.OptimizedLSTMCell, nnx.LSTMCell)


@cache
def pure(kind: type[nnx.RNNCellBase], dtype: str):
    """A cell as (step function, random weights, random carry)."""
    rng = np.random.default_rng(0)
    graph, weights = nnx.split(
        nnx.eval_shape(lambda: kind(F, U, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0)))
    )

    def draw(leaf):
        return (0.7 * rng.standard_normal(leaf.shape)).astype(dtype)

    carry = nnx.eval_shape(lambda: nnx.merge(graph, weights).initialize_carry((B, F), nnx.Rngs(0)))
    return lambda w, c, x: nnx.merge(graph, w)(c, x), jax.tree.map(draw, weights), jax.tree.map(draw, carry)


def weighed(outputs, carry):
    """A loss to which every output and every number of the carry adds with its own weight."""
    return sum(
        jnp.sum(leaf * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape))
        for leaf in jax.tree.leaves((outputs, carry))
    )


def ours(step, window, weights, carry, inputs):
    factors = None if window == "one" else jnp.where(BOUNDARY, 0.0, 1.0)
    over = pass_over(inputs, LENGTH, reset=window == "reset")
    carry, outputs = stepwise(trip_count, step, weights, carry, over, factors)
    return weighed(outputs[:LENGTH], carry), (outputs[:LENGTH], carry)


def automatic(step, window, weights, carry, inputs):
    """The same by `lax.scan`, with `stop_gradient` where a window begins."""

    def body(carry, row):
        x, starts = row
        past = jax.tree.map(jnp.zeros_like if window == "reset" else jax.lax.stop_gradient, carry)
        if window != "one":
            carry = jax.tree.map(partial(jnp.where, starts), past, carry)
        return step(weights, carry, x)

    carry, outputs = jax.lax.scan(body, carry, (inputs[:LENGTH], BOUNDARY[:LENGTH]))
    return weighed(outputs, carry), (outputs, carry)


@pytest.mark.parametrize(
    ("kind", "window", "dtype"),
    [
        *((kind, "cut", "float64") for kind in CELLS),
        (nnx.OptimizedLSTMCell, "reset", "float64"),
        (nnx.GRUCell, "one", "float32"),
    ],
)
def test_values_and_gradients_equal_automatic_ones(kind, window, dtype):
    inputs = np.random.default_rng(1).standard_normal((T, B, F)).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        step, weights, carry = pure(kind, dtype)

        @quick_jit
        def both(*arguments):
            return [
                jax.grad(partial(run, step, window), (0, 1, 2), has_aux=True)(*arguments)
                for run in (ours, automatic)
            ]

        got, expected = both(weights, carry, inputs)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(dtype)}
    errors = jax.tree.map(relative_error, got, expected)
    assert max(jax.tree.leaves(errors)) <= (1e-12 if dtype == "float64" else 1e-5), errors


TRACES = []


@jax.jit
def gradients(weights, inputs, length):
    """Outputs, carry and gradients of a GRU from the zero state."""
    TRACES.append(inputs.shape)
    step, _, carry = pure(nnx.GRUCell, "float32")
    carry = jax.tree.map(np.zeros_like, carry)

    def loss(weights, inputs):
        final, outputs = stepwise(trip_count, step, weights, carry, pass_over(inputs, length), None)
        return jnp.sum(outputs**2) + final.sum(), (outputs, final)

    grads, values = jax.grad(loss, argnums=(0, 1), has_aux=True)(weights, inputs)
    return values, grads


@pytest.fixture(scope="module")
def material():
    inputs = np.random.default_rng(2).standard_normal((T, B, F)).astype(np.float32)
    return pure(nnx.GRUCell, "float32")[1], inputs


def test_one_trace_serves_every_length(material):
    weights, inputs = material
    TRACES.clear()
    gradients.clear_cache()
    results = [gradients(weights, inputs, length) for length in range(1, T + 1)]
    assert TRACES == [(T, B, F)]
    norms = [float(jnp.sum(outputs**2)) for (outputs, _), _ in results]
    assert norms == sorted(set(norms))  # each step counts


@pytest.mark.parametrize("length", [1, 4])
def test_a_padded_buffer_gives_bitwise_what_an_exact_one_gives(material, length):
    weights, inputs = material
    padded = inputs.copy()
    padded[length:] = np.nan
    (outputs, carry), (d_weights, d_inputs) = gradients(weights, padded, length)
    assert not np.any(outputs[length:])
    assert not np.any(d_inputs[length:])
    exact = gradients(weights, inputs[:length], length)
    jax.tree.map(
        np.testing.assert_array_equal, ((outputs[:length], carry), (d_weights, d_inputs[:length])), exact
    )


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)], ids=["weights", "lengths", "both"])
def test_vmap_equals_a_loop(material, axes):
    first, inputs = material
    members = [(jax.tree.map(lambda leaf, k=k: leaf * k, first), n) for k, n in ((1, 2), (-1, T), (0.5, 5))]
    own = [
        tuple(member[k] if axis == 0 else members[0][k] for k, axis in enumerate(axes)) for member in members
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    weights, lengths = (stacked[k] if axis == 0 else members[0][k] for k, axis in enumerate(axes))
    mapped = jax.vmap(gradients, (axes[0], None, axes[1]))(weights, inputs, lengths)
    for n, (weights, length) in enumerate(own):
        looped = gradients(weights, inputs, length)
        errors = jax.tree.map(relative_error, jax.tree.map(lambda leaf, n=n: leaf[n], mapped), looped)
        assert max(jax.tree.leaves(errors)) <= 1e-6, errors

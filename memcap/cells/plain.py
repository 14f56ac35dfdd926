"""An LSTM to read: its step, and `jax.lax.scan` over time, differentiated by JAX. Read this first.

The equations, with gates in the order i, f, g, o as in Flax (Hochreiter & Schmidhuber, 1997; forget gate of
Gers et al., 2000):

    z = W_x x + W_h h + b        c' = sigmoid(f) c + sigmoid(i) tanh(g)        h' = sigmoid(o) tanh(c')

memcap/cells/lstm.py computes the same faster, with the gradient written out, and is tested against this file.
`engine.scan=plain` trains any cell this way: the same rows to float rounding.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function as one tanh: faster on CPUs, and within 2e-7 of it, which is 1e-4 of a gate that
    is shut to 1e-3."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def lstm_step(
    kernel: jax.Array,
    recurrent: jax.Array,
    bias: jax.Array,
    carry: tuple[jax.Array, jax.Array],
    inputs: jax.Array,
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """One step of an LSTM.

    Args:
        kernel: (F, 4U); recurrent: (U, 4U); bias: (4U,).
        carry: (c, h), each (B, U).
        inputs: (B, F).

    Returns:
        The next carry (c, h), and h again as the output.
    """
    c, h = carry
    z = inputs @ kernel + h @ recurrent + bias
    i, f, g, o = jnp.split(z, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
    h = sigmoid(o) * jnp.tanh(c)
    return (c, h), h


def plain_scan(
    step: Callable[[Any, Any, jax.Array], tuple[Any, jax.Array]],
    weights: Any,
    carry: Any,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
    *,
    every: bool,
    reset: bool,
) -> tuple[Any, jax.Array]:
    """Apply a cell's step to the first `length` of the T steps.

    Args:
        step: (weights, carry, (B, F) input) -> (carry, (B, U) output).
        weights: pytree of the cell's parameters.
        carry: pytree, the state before the first step.
        inputs: (T, B, F) floats.
        length: () int; may be traced.
        flows: (T,) floats, 0 at the first step of a window and 1 elsewhere; None: one window.
        every: return the output of every step, or of the last one only.
        reset: set the carry to zero at a window's first step; otherwise only its gradient is cut there.

    Returns:
        The carry after `length` steps, and the outputs (T, B, U), zero after `length`, or the last one (B,
        U).
    """

    def one_step(state: Any, row: Any) -> tuple[Any, Any]:
        carry, last = state
        t, x, flow = row
        entered = carry
        if flow is not None:  # a window begins: nothing flows in, or no gradient flows back
            cut = jax.tree.map(jnp.zeros_like if reset else lax.stop_gradient, carry)
            entered = jax.tree.map(lambda there, here: jnp.where(flow == 0, there, here), cut, carry)
        new, output = step(weights, entered, x)
        counts = t < length
        carry = jax.tree.map(lambda after, before: jnp.where(counts, after, before), new, carry)
        last = jnp.where(counts, output, last)
        return (carry, last), jnp.where(counts, output, 0) if every else None

    output = jax.eval_shape(step, weights, carry, inputs[0])[1]
    start = carry, jnp.zeros(output.shape, output.dtype)
    (carry, last), outputs = lax.scan(one_step, start, (jnp.arange(inputs.shape[0]), inputs, flows))
    return carry, last if outputs is None else outputs

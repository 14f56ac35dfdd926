"""Run any recurrent cell over time: one compiled program for every length, with exact gradients.

`jax.lax.scan` needs its length at compile time, and a `fori_loop` with a traced trip count has no reverse-mode gradient. Here
the trip count is an operand and the gradient is written out: the forward loop keeps each step's incoming carry, the backward
loop takes one step's vector-Jacobian product at a time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Carry = Any
Params = Any
Step = Callable[[Params, Carry, jax.Array], tuple[Carry, jax.Array]]


def at(buffer: jax.Array, t: jax.Array) -> jax.Array:
    """Row t of a buffer whose first axis is time."""
    return lax.dynamic_index_in_dim(buffer, t, 0, keepdims=False)


def put(buffer: jax.Array, value: jax.Array, t: jax.Array) -> jax.Array:
    """The buffer with row t replaced."""
    return lax.dynamic_update_index_in_dim(buffer, value, t, 0)


def _scaled(carry: Carry, factor: jax.Array | float) -> Carry:
    return jax.tree.map(lambda leaf: leaf * factor, carry)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def cell_scan(
    step: Step, reset: bool, params: Params, carry: Carry, inputs: jax.Array, length: jax.Array, flows: jax.Array | None
) -> tuple[Carry, jax.Array]:
    """Apply `step` to the first `length` rows of `inputs`.

    Args:
        step: (params, carry, (B, F) input) -> (carry, (B, U) output), pure.
        reset: whether the carry is set to zero where `flows` is 0; otherwise only its gradient is.
        params: pytree of the cell's parameters.
        carry: pytree, the state before the first step.
        inputs: (T, B, F) floats.
        length: () int, how many of the T rows count; may be traced.
        flows: (T,) floats, 0 at the first step of a window and 1 elsewhere; None: one window.

    Returns:
        The carry after `length` steps, and the outputs (T, B, U), zero after `length`.
    """
    carry, outputs, _ = _forward(step, reset, params, carry, inputs, length, flows, keep=False)
    return carry, outputs


def _forward(step: Step, reset: bool, params, carry, inputs, length, flows, keep: bool):
    steps = inputs.shape[0]
    _, output = jax.eval_shape(step, params, carry, inputs[0])
    outputs = jnp.zeros((steps, *output.shape), output.dtype)
    kept = jax.tree.map(lambda leaf: jnp.zeros((steps, *leaf.shape), leaf.dtype), carry) if keep else None

    def body(t, state):
        carry, outputs, kept = state
        if reset and flows is not None:
            carry = _scaled(carry, flows[t])
        if keep:
            kept = jax.tree.map(lambda buffer, leaf: put(buffer, leaf, t), kept, carry)
        carry, output = step(params, carry, at(inputs, t))
        return carry, put(outputs, output, t), kept

    return lax.fori_loop(0, length, body, (carry, outputs, kept))


def _cell_scan_fwd(step: Step, reset: bool, params, carry, inputs, length, flows):
    carry, outputs, kept = _forward(step, reset, params, carry, inputs, length, flows, keep=True)
    return (carry, outputs), (params, kept, inputs, length, flows)


def _cell_scan_bwd(step: Step, reset: bool, saved, cotangents):
    del reset  # a reset carry and a cut carry have the same gradient into the past: none
    params, kept, inputs, length, flows = saved
    d_carry, d_outputs = cotangents
    zero = (d_carry, jax.tree.map(jnp.zeros_like, params), jnp.zeros_like(inputs))

    def body(k, state):
        d_carry, d_params, d_inputs = state
        t = length - 1 - k
        _, pullback = jax.vjp(step, params, jax.tree.map(lambda buffer: at(buffer, t), kept), at(inputs, t))
        d_param, d_carry, d_input = pullback((d_carry, at(d_outputs, t)))
        if flows is not None:
            d_carry = _scaled(d_carry, flows[t])
        return d_carry, jax.tree.map(jnp.add, d_params, d_param), put(d_inputs, d_input, t)

    d_carry, d_params, d_inputs = lax.fori_loop(0, length, body, zero)
    return d_params, d_carry, d_inputs, None, None


cell_scan.defvjp(_cell_scan_fwd, _cell_scan_bwd)

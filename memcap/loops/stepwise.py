"""The gradient over time of any cell: the base of while_loop.py and masked_scan.py.

The forward pass stores the carry that enters each step; the backward pass computes each
step again, the last one first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells import Cell
from memcap.loops.base import Carry, Pass, zero_unless

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Params = Any
Step = Callable[[Params, Carry, jax.Array], tuple[Carry, jax.Array]]
Drive = Callable[..., tuple[Any, Any]]


@cache
def step_of(graph: nnx.GraphDef) -> Step:
    """Return a cell's step as a pure function; equal graphs share its trace."""
    return lambda params, carry, inputs: nnx.merge(graph, params)(carry, inputs)


def run_stepwise(
    drive: Drive, cell: Cell, carry: Carry, over: Pass
) -> tuple[Carry, Float[Array, "*T H B"]]:
    """Run any cell as `Loop.run` does; `drive` is that of `stepwise`."""
    factor = over.carry_factor
    core = over.core(over.vectors(cell.in_features))
    graph, params = nnx.split(cell)
    carry, outputs = stepwise(drive, step_of(graph), params, carry, core, factor)
    return carry, jnp.swapaxes(outputs, -1, -2)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def stepwise(
    drive: Drive,
    step: Step,
    params: Params,
    carry: Carry,
    over: Pass,
    factor: Float[Array, " T"] | None,
) -> tuple[Carry, Float[Array, "*T B H"]]:
    """Apply `step` to the first `over.length` inputs, with the gradient written out.

    Args:
        drive: a scan over time, (body, state, xs, ys, length, backwards) -> (state,
            ys). It calls `body(state, t, valid, row of xs) -> (state, row of ys)` for
            the first `length` rows, the last one first if `backwards`. Leaves of `xs`
            and `ys` are (T, ...), those of `ys` zeros to write rows into. A drive may
            also call `body` for later rows and keep the state; there `valid` is an
            array, false, and `zero_unless` zeroes rows. Otherwise `valid` is True.
        step: (params, carry, (B, F) input) -> (carry, (B, H) output), pure.
        params, carry: the cell's parameters, and the state before the first step.
        over, factor: the `core` of a pass over vectors, and its `carry_factor`.

    Returns:
        The carry after `length` steps, and the outputs (T, B, H), zero after `length`,
        or the last one (B, H).
    """
    carry, outputs, _ = _forward(drive, step, False, params, carry, over, factor)
    return carry, outputs


def _forward(
    drive: Drive,
    step: Step,
    with_entered: bool,
    params: Params,
    carry: Carry,
    over: Pass,
    factor: jax.Array | None,
) -> tuple[Carry, jax.Array, Any]:
    every = over.return_sequences
    _, output = jax.eval_shape(step, params, carry, over.inputs[0])
    last = jnp.zeros(output.shape, output.dtype)

    def body(state: Any, t: jax.Array, valid: Any, row: Any) -> tuple[Any, Any]:
        carry, _ = state
        x, factor = row
        if over.reset_carry and factor is not None:
            carry = _scaled(carry, factor)
        entered = carry
        carry, output = step(params, carry, x)
        row = zero_unless(valid, output) if every else ()
        return (carry, () if every else output), (row, entered if with_entered else ())

    rows = output if every else (), carry if with_entered else ()
    ys = jax.tree.map(
        lambda row: jnp.zeros((len(over.inputs), *row.shape), row.dtype), rows
    )
    state = carry, () if every else last
    (carry, last), (outputs, entered) = drive(
        body, state, (over.inputs, factor), ys, over.length, False
    )
    return carry, outputs if every else last, entered


def _stepwise_fwd(
    drive: Drive,
    step: Step,
    params: Params,
    carry: Carry,
    over: Pass,
    factor: jax.Array | None,
) -> tuple[tuple[Carry, jax.Array], Any]:
    carry, outputs, entered = _forward(drive, step, True, params, carry, over, factor)
    return (carry, outputs), (params, entered, over, factor)


def _stepwise_bwd(
    drive: Drive, step: Step, residuals: Any, cotangents: Any
) -> tuple[Any, ...]:
    params, entered, over, factor = residuals
    d_last, d_outputs = cotangents
    carry_shape = jax.tree.map(
        lambda buffer: jax.ShapeDtypeStruct(buffer.shape[1:], buffer.dtype), entered
    )
    d_carry = _differentiable_of(carry_shape, d_last)

    def body(state: Any, t: jax.Array, valid: Any, row: Any) -> tuple[Any, Any]:
        d_carry, d_params = state
        entered, x, factor, d_output = row
        if not over.return_sequences:  # only the last output was returned
            d_output = jnp.where(
                t == over.length - 1, d_outputs, jnp.zeros_like(d_outputs)
            )
        _, pullback = jax.vjp(step, params, entered, x)
        d_param, d_entered, d_input = pullback(
            (_cotangent(carry_shape, d_carry), d_output)
        )
        d_entered = _differentiable_of(carry_shape, d_entered)
        if factor is not None:
            d_entered = _scaled(d_entered, factor)
        added = jax.tree.map(jnp.add, d_params, _differentiable_of(params, d_param))
        return (d_entered, added), zero_unless(valid, d_input)

    state = d_carry, jax.tree.map(jnp.zeros_like, _differentiable_of(params, params))
    xs = entered, over.inputs, factor, d_outputs if over.return_sequences else ()
    (d_carry, d_params), d_inputs = drive(
        body, state, xs, jnp.zeros_like(over.inputs), over.length, True
    )
    return (
        _cotangent(params, d_params),
        _cotangent(carry_shape, d_carry),
        over.cotangent(d_inputs),
        None,
    )


stepwise.defvjp(_stepwise_fwd, _stepwise_bwd)


def _scaled(carry: Carry, factor: jax.Array) -> Carry:
    return jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), carry)


def _has_gradient(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _differentiable_of(like: Any, cotangents: Any) -> list[Any]:
    """Return the cotangents of the differentiable leaves; integers have none."""
    pairs = zip(jax.tree.leaves(cotangents), jax.tree.leaves(like), strict=True)
    return [cotangent for cotangent, leaf in pairs if _has_gradient(leaf)]


def _cotangent(like: Any, leaves: list[Any]) -> Any:
    """Make a cotangent of `like` from those of its differentiable leaves."""
    cotangents = iter(leaves)
    flat, tree = jax.tree.flatten(like)
    full = [
        next(cotangents)
        if _has_gradient(leaf)
        else np.zeros(leaf.shape, jax.dtypes.float0)
        for leaf in flat
    ]
    return jax.tree.unflatten(tree, full)

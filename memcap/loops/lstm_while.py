"""memcap's LSTM by a loop with a trip count, its gradient written out: CPUs, by XLA.

Weight gradients are accumulated in the backward loop: on a CPU, stacking the gates' gradients for one large
product afterwards is slower. Arrays are (U, B), so that the batch lies in the vector lanes; what the backward
loop needs of a step is kept in one buffer, as XLA would fill and copy several.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
from jax import lax

from memcap.cells import Cell
from memcap.cells.lstm import (
    LSTM,
    CarryCH,
    back_through_gates,
    has_lstm_step,
    stacked_weights,
    through_gates,
)
from memcap.loops.base import Request, Weights, read_row, run_feature_major, write_row
from memcap.loops.while_loop import WhileLoop

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


def _joined(x: jax.Array, h: jax.Array, features: int) -> jax.Array:
    """What a step's product takes: the input above the hidden state, (F + U, B). One-hot for symbols (B,),
    the numbers themselves for (B, F)."""
    if x.ndim == 1:
        column = (jnp.arange(features)[:, None] == x[None, :]).astype(h.dtype)
    else:
        column = x.T.astype(h.dtype)
    return jnp.concatenate([column, h], 0)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def lstm_while(
    return_sequences: bool,
    reset: bool,
    weights: Weights,
    carry: CarryCH,
    inputs: Int[Array, "T B"] | Float[Array, "T B F"],
    length: Int[Array, ""],
    flow: Float[Array, " T"] | None,
) -> tuple[CarryCH, Float[Array, "T H B"] | None]:
    """Run an LSTM over the first `length` steps.

    Args:
        return_sequences: whether something is returned for every step, the hidden state or what the read-out
            makes of it.
        reset: see `memcap.loops.base.Loop.run`.
        weights: kernel (F, 4U), recurrent (U, 4U), bias (4U,), and a read-out (U, O) of every step, or None.
            Rows of the recurrent product, the read-out costs next to nothing. It needs one window, `flow`
            None: at a window's start, what is read out is not what flows on.
        carry: (c, h), each (U, B), the state before the first step.
        inputs: symbols below F, or floats.
        length: how many of the T steps count.
        flow: 0 at the first step of a window and 1 elsewhere; None: one window.

    Returns:
        The carry (c, h) after `length` steps, and the hidden states (T, U, B), or read-outs (T, O, B), zero
        after `length`; or None.
    """
    carry, _, outputs = _forward(return_sequences, reset, False, weights, carry, inputs, length, flow)
    return carry, outputs


def _forward(
    return_sequences: bool,
    reset: bool,
    keep: bool,
    weights: Weights,
    carry: CarryCH,
    inputs: jax.Array,
    length: jax.Array,
    flow: jax.Array | None,
) -> tuple[CarryCH, jax.Array, jax.Array | None]:
    """The carry after the last step, each step's i, f, g, o, c, h as (T, 6U, B) if they are to be kept, and
    the outputs."""
    kernel, recurrent, bias, readout = weights
    assert readout is None or (return_sequences and flow is None)
    (features, _), units, dtype = kernel.shape, recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    matrix = stacked_weights(kernel, recurrent, bias, readout, real)
    steps, batch = inputs.shape[:2]
    rows = 0 if not return_sequences else units if readout is None else readout.shape[1]
    buffers = jnp.zeros((steps, 6 * units * keep, batch), dtype), jnp.zeros((steps, rows, batch), dtype)

    def step(t: jax.Array, state: Any) -> Any:
        (c, h), residuals, outputs = state
        x, flows = read_row(inputs, t), None if flow is None else flow[t]
        if reset and flows is not None:
            c, h = c * flows, h * flows
        z = matrix @ _joined(x, h, features)
        z, read = z[: 4 * units], z[4 * units :]
        if real:
            z = z + bias[:, None]
        gates, c_next, h_next = through_gates(z, c)
        row = jnp.concatenate([*gates, c, h], 0) if keep else jnp.zeros((0, batch), dtype)
        output = h_next[:rows] if readout is None else read
        if keep:
            residuals = write_row(residuals, row, t)
        if return_sequences:
            outputs = write_row(outputs, output, t if readout is None else jnp.maximum(t - 1, 0))
        return (c_next, h_next), residuals, outputs

    carry, residuals, outputs = lax.fori_loop(0, length, step, (carry, *buffers))
    if readout is not None:
        outputs = write_row(outputs, readout.T @ carry[1], length - 1)
    return carry, residuals, outputs if return_sequences else None


def _lstm_while_fwd(
    return_sequences: bool,
    reset: bool,
    weights: Weights,
    carry: CarryCH,
    inputs: jax.Array,
    length: jax.Array,
    flow: jax.Array | None,
) -> tuple[tuple[CarryCH, jax.Array | None], tuple[Any, ...]]:
    carry, residuals, outputs = _forward(return_sequences, reset, True, weights, carry, inputs, length, flow)
    return (carry, outputs), (weights, inputs, length, flow, residuals, carry[1])


def _lstm_while_bwd(
    return_sequences: bool, reset: bool, saved: tuple[Any, ...], cotangents: Any
) -> tuple[Any, ...]:
    """A reset carry and a cut carry have the same gradient into the past: none."""
    del reset
    (kernel, recurrent, _, readout), inputs, length, flow, residuals, last = saved
    (dc, dh), d_outputs = cotangents
    features, units, dtype = kernel.shape[0], recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    backward, d_readout = recurrent, None
    if readout is not None:  # as in the forward loop: step t's gates go with the read-out of step t - 1
        backward = jnp.concatenate([recurrent, readout], 1)
        dh = dh + readout @ read_row(d_outputs, length - 1)
        d_readout = last @ read_row(d_outputs, length - 1).T
    sums = jnp.zeros((features + units, backward.shape[1]), dtype), jnp.zeros(4 * units, dtype)

    def step(k: jax.Array, both: Any) -> Any:
        ((dc, dh), dw, db), d_inputs = both
        t = length - 1 - k
        d_output = d_read = None
        if readout is not None:
            d_read = jnp.where(t > 0, read_row(d_outputs, jnp.maximum(t - 1, 0)), 0)
        elif return_sequences:
            d_output = read_row(d_outputs, t)
        x, flows, row = read_row(inputs, t), None if flow is None else flow[t], read_row(residuals, t)
        *gates, c, h = jnp.split(row, 6, 0)
        if d_output is not None:
            dh = dh + d_output
        dz, dc, _ = back_through_gates(gates, c, dc, dh, d_read)
        dw = dw + _joined(x, h, features) @ dz.T
        dx: Any = ()
        if real:
            dx = (kernel @ dz[: 4 * units]).T
            db = db + dz[: 4 * units].sum(1)
        dh = backward @ dz
        if flows is not None:
            dc, dh = dc * flows, dh * flows
        return ((dc, dh), dw, db), write_row(d_inputs, dx, t) if real else d_inputs

    d_inputs = jnp.zeros_like(inputs) if real else ()
    (carry, dw, db), d_inputs = lax.fori_loop(0, length, step, (((dc, dh), *sums), d_inputs))
    d_kernel, d_recurrent = dw[:features, : 4 * units], dw[features:, : 4 * units]
    if readout is not None:
        d_readout = d_readout + dw[features:, 4 * units :]
    if not real:  # one symbol is on at a step, so the rows of the table's gradient add up to the bias's
        db = d_kernel.sum(0)
    return (d_kernel, d_recurrent, db, d_readout), carry, d_inputs if real else None, None, None


lstm_while.defvjp(_lstm_while_fwd, _lstm_while_bwd)


def run_with_windows(
    over_time: Callable[..., tuple[CarryCH, jax.Array | None]],
    cell: Cell,
    carry: Any,
    inputs: jax.Array,
    length: jax.Array,
    flow: jax.Array | None,
    reset: bool,
    return_sequences: bool,
    readout: jax.Array | None,
) -> tuple[Any, jax.Array]:
    """`Loop.run` of an LSTM, by `lstm_while` or a function with its arguments."""
    lstm = cast(LSTM, cell)
    flow = None if flow is None else flow.astype(lstm.kernel[...].dtype)

    def run(weights: Weights, carry: CarryCH, inputs: jax.Array) -> Any:
        return over_time(return_sequences, reset, weights, carry, inputs, length, flow)

    return run_feature_major(run, lstm.weights, carry, inputs, readout, return_sequences and flow is None)


class LSTMWhile(WhileLoop):
    """What `while` runs of memcap's LSTM."""

    rank = 1
    takes_symbols = fuses_readout = True

    def refuses(self, request: Request) -> str | None:
        """See `Loop.refuses`."""
        return None if has_lstm_step(request.cell) else "the cell is not memcap's LSTM"

    def run(
        self,
        cell: Cell,
        carry: Any,
        inputs: Int[Array, "T B"] | Float[Array, "T B F"],
        length: Int[Array, ""],
        *,
        flow: Float[Array, " T"] | None,
        reset: bool,
        return_sequences: bool,
        readout: Float[Array, "H O"] | None,
        num_units: Int[Array, ""] | None,
    ) -> tuple[Any, Float[Array, "*T H B"] | Float[Array, "*T O B"]]:
        """See `Loop.run`."""
        del num_units
        return run_with_windows(
            lstm_while, cell, carry, inputs, length, flow, reset, return_sequences, readout
        )


LOOP = LSTMWhile()

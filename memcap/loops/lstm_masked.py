"""memcap's LSTM by a masked `lax.scan`, its gradient written out: accelerators, members side by side.

Two things differ from memcap/loops/lstm_while.py. The backward pass is bound by memory here: h is not kept
but made again, so the gradient of the weights that step t + 1 used is due at step t. And of a one-hot array a
TPU's compiler would make a kernel, and turn h into its layout and back at every step: a symbol's 1 is written
element by element, which goes into the product itself.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from memcap.cells import Cell
from memcap.cells.lstm import (
    CarryCH,
    back_through_gates,
    has_lstm_step,
    stacked_weights,
    through_gates,
)
from memcap.loops.base import Request, Weights, read_row, zero_unless
from memcap.loops.lstm_while import run_with_windows
from memcap.loops.masked_scan import MaskedScan, masked

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


def _joined(x: jax.Array, h: jax.Array, features: int) -> jax.Array:
    """What a step's product takes: the input above the hidden state, (F + U, B), of symbols (B,) or numbers
    (B, F)."""
    if x.ndim > 1:
        return jnp.concatenate([x.T.astype(h.dtype), h], 0)
    below = jnp.pad(h, ((features, 0), (0, 0)))
    return jnp.where(jnp.arange(len(below))[:, None] == x, jnp.ones((), h.dtype), below)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def lstm_masked(
    return_sequences: bool,
    reset: bool,
    weights: Weights,
    carry: CarryCH,
    inputs: Int[Array, "T B"] | Float[Array, "T B F"],
    length: Int[Array, ""],
    flow: Float[Array, " T"] | None,
) -> tuple[CarryCH, Float[Array, "T H B"] | None]:
    """Run an LSTM over the first `length` steps; arguments and results as of
    `memcap.loops.lstm_while.lstm_while`."""
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
    """The carry after the last step, each step's i, f, g, o, c as (T, 5U, B) if they are to be kept, and the
    outputs."""
    kernel, recurrent, bias, readout = weights
    assert readout is None or (return_sequences and flow is None)
    (features, _), units, dtype = kernel.shape, recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    matrix = stacked_weights(kernel, recurrent, bias, readout, real)
    steps, batch = inputs.shape[:2]
    rows = 0 if not return_sequences else units if readout is None else readout.shape[1]
    buffers = jnp.zeros((steps, 5 * units * keep, batch), dtype), jnp.zeros((steps, rows, batch), dtype)

    def step(carry: CarryCH, _: Any, valid: Any, row: Any) -> tuple[CarryCH, tuple[jax.Array, jax.Array]]:
        (c, h), (x, flows) = carry, row
        if reset and flows is not None:
            c, h = c * flows, h * flows
        z = matrix @ _joined(x, h, features)
        z, read = z[: 4 * units], z[4 * units :]
        if real:
            z = z + bias[:, None]
        gates, c_next, h_next = through_gates(z, c)
        residuals = jnp.concatenate([*gates, c], 0) if keep else jnp.zeros((0, batch), dtype)
        return (c_next, h_next), (residuals, zero_unless(valid, h_next[:rows]) if readout is None else read)

    # zeros that a TPU's compiler knows of, it would select anew at every step
    carry = lax.optimization_barrier(carry)
    carry, (residuals, outputs) = masked(step, carry, (inputs, flow), buffers, length, False)
    if readout is not None:  # what was read a step late, a step earlier
        last, now = readout.T @ carry[1], jnp.arange(steps)[:, None, None]
        shifted = jnp.concatenate([outputs[1:], outputs[:1]], 0)
        outputs = jnp.where(now == length - 1, last, jnp.where(now < length, shifted, 0))
    return carry, residuals, outputs if return_sequences else None


def _lstm_masked_fwd(
    return_sequences: bool,
    reset: bool,
    weights: Weights,
    carry: CarryCH,
    inputs: jax.Array,
    length: jax.Array,
    flow: jax.Array | None,
) -> tuple[tuple[CarryCH, jax.Array | None], tuple[Any, ...]]:
    first = carry[1]
    carry, residuals, outputs = _forward(return_sequences, reset, True, weights, carry, inputs, length, flow)
    return (carry, outputs), (weights, inputs, length, flow, residuals, first, carry[1])


def _lstm_masked_bwd(
    return_sequences: bool, reset: bool, saved: tuple[Any, ...], cotangents: Any
) -> tuple[Any, ...]:
    """A reset carry and a cut carry have the same gradient into the past: none."""
    (kernel, recurrent, _, readout), inputs, length, flow, residuals, first, last = saved
    (dc, dh), d_outputs = cotangents
    features, units, dtype = kernel.shape[0], recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    backward, d_readout = recurrent, None
    if readout is not None:  # as in the forward loop: step t's gates go with the read-out of step t - 1
        backward = jnp.concatenate([recurrent, readout], 1)
        dh = dh + readout @ read_row(d_outputs, length - 1)
        d_readout = last @ read_row(d_outputs, length - 1).T
    sums = jnp.zeros((features + units, backward.shape[1]), dtype), jnp.zeros(4 * units, dtype)

    def step(state: Any, _: Any, valid: Any, row: Any) -> tuple[Any, Any]:
        """The h that enters step t + 1 is what step t made: its weights' gradient is due here."""
        (dc, dh), dw, db, dz_after = state
        (x_after, flow_after), flows, residuals, d_output = row
        *gates, c = jnp.split(residuals, 5, 0)
        d_read = d_output if readout is not None else None
        if return_sequences and readout is None:
            dh = dh + d_output
        dz, dc, h = back_through_gates(gates, c, dc, dh, d_read)
        entered = h * flow_after if reset and flow_after is not None else h
        dw = dw + _joined(x_after, entered, features) @ dz_after.T
        dx = ()
        if real:
            dx = zero_unless(valid, (kernel @ dz[: 4 * units]).T)
            db = db + dz[: 4 * units].sum(1)
        dh = backward @ dz
        if flows is not None:
            dc, dh = dc * flows, dh * flows
        return ((dc, dh), dw, db, dz), dx

    d_inputs = jnp.zeros_like(inputs) if real else ()
    if readout is not None:
        d_outputs = jnp.concatenate([jnp.zeros_like(d_outputs[:1]), d_outputs[:-1]], 0)
    after = jax.tree.map(lambda rows: jnp.roll(rows, -1, 0), (inputs, flow))
    rows = after, flow, residuals, d_outputs if return_sequences else ()
    state = (dc, dh), *sums, jnp.zeros((backward.shape[1], inputs.shape[1]), dtype)
    (carry, dw, db, dz), d_inputs = masked(step, state, rows, d_inputs, length, True)
    entered = first * flow[0] if reset and flow is not None else first
    dw = dw + _joined(inputs[0], entered, features) @ dz.T
    d_kernel, d_recurrent = dw[:features, : 4 * units], dw[features:, : 4 * units]
    if readout is not None:
        d_readout = d_readout + dw[features:, 4 * units :]
    if not real:  # one symbol is on at a step, so the rows of the table's gradient add up to the bias's
        db = d_kernel.sum(0)
    return (d_kernel, d_recurrent, db, d_readout), carry, d_inputs if real else None, None, None


lstm_masked.defvjp(_lstm_masked_fwd, _lstm_masked_bwd)


class LSTMMasked(MaskedScan):
    """What `masked` runs of memcap's LSTM."""

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
            lstm_masked, cell, carry, inputs, length, flow, reset, return_sequences, readout
        )


LOOP = LSTMMasked()

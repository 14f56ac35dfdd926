"""memcap's LSTM by a masked `lax.scan`, for accelerators, with the gradient written
out.

Unlike in lstm_while.py, h is computed again and not stored, as memory bounds the
backward pass. A symbol's 1 is written elementwise, which fuses into the product, where
a TPU's compiler would make a kernel of a one-hot array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from memcap.cells.lstm import CarryCH, back_through_gates
from memcap.loops.base import Pass, Weights, zero_unless
from memcap.loops.lstm_while import (
    LSTMLoop,
    start_backward,
    start_forward,
    step_forward,
    weight_gradients,
)
from memcap.loops.masked_scan import MaskedScan, masked

if TYPE_CHECKING:
    from jaxtyping import Array, Float


def _joined(x: jax.Array, h: jax.Array, features: int) -> jax.Array:
    if x.ndim > 1:
        return jnp.concatenate([x.T.astype(h.dtype), h], 0)
    below = jnp.pad(h, ((features, 0), (0, 0)))
    return jnp.where(jnp.arange(len(below))[:, None] == x, jnp.ones((), h.dtype), below)


@jax.custom_vjp
def lstm_masked(
    weights: Weights, carry: CarryCH, over: Pass, factor: Float[Array, " T"] | None
) -> tuple[CarryCH, Float[Array, "T H B"] | None]:
    """Run an LSTM; arguments and results are those of `lstm_while`."""
    carry, _, outputs = _forward(False, weights, carry, over, factor)
    return carry, outputs


def _forward(
    with_residuals: bool,
    weights: Weights,
    carry: CarryCH,
    over: Pass,
    factor: jax.Array | None,
) -> tuple[CarryCH, jax.Array, jax.Array | None]:
    """Return what `lstm_while._forward` does; residuals: i, f, g, o, c, (T, 5U, B)."""
    kernel, _, bias, readout = weights
    features = len(kernel)
    bias = None if over.inputs.ndim == 2 else bias
    matrix, rows, buffers = start_forward(
        weights, over, factor, 5 if with_residuals else 0
    )
    no_row = (0, over.inputs.shape[1]), kernel.dtype

    def step(
        carry: CarryCH, _: Any, valid: Any, row: Any
    ) -> tuple[CarryCH, tuple[jax.Array, jax.Array]]:
        c, h = carry
        x, here = row
        if over.reset_carry and here is not None:
            c = c * here
            h = h * here
        joined = _joined(x, h, features)
        gates, c_next, h_next, read = step_forward(matrix, joined, bias, c)
        residuals = jnp.zeros(*no_row)
        if with_residuals:
            residuals = jnp.concatenate([*gates, c], 0)
        output = zero_unless(valid, h_next[:rows]) if readout is None else read
        return (c_next, h_next), (residuals, output)

    # zeros that a TPU's compiler knows of would be selected again at every step
    carry = lax.optimization_barrier(carry)
    xs = over.inputs, factor
    carry, (residuals, outputs) = masked(step, carry, xs, buffers, over.length, False)
    if readout is not None:  # outputs were read a step late: move them a step earlier
        last = readout.T @ carry[1]
        now = jnp.arange(len(outputs))[:, None, None]
        shifted = jnp.concatenate([outputs[1:], outputs[:1]], 0)
        is_last = now == over.length - 1
        outputs = jnp.where(is_last, last, jnp.where(now < over.length, shifted, 0))
    return carry, residuals, outputs if over.return_sequences else None


def _lstm_masked_fwd(
    weights: Weights, carry: CarryCH, over: Pass, factor: jax.Array | None
) -> tuple[tuple[CarryCH, jax.Array | None], tuple[Any, ...]]:
    first = carry[1]
    carry, residuals, outputs = _forward(True, weights, carry, over, factor)
    return (carry, outputs), (weights, over, factor, residuals, first, carry[1])


def _lstm_masked_bwd(saved: tuple[Any, ...], cotangents: Any) -> tuple[Any, ...]:
    weights, over, factor, residuals, first, last = saved
    kernel, _, _, readout = weights
    features, columns = kernel.shape
    symbols = over.inputs.ndim == 2
    d_outputs = cotangents[1]
    start = start_backward(weights, over, last, cotangents)

    def step(state: Any, _: Any, valid: Any, row: Any) -> tuple[Any, Any]:
        """Go back through step t; the weights get their gradient of step t + 1."""
        (dc, dh), dw, db, dz_after = state
        (x_after, factor_after), here, residuals, d_output = row
        *gates, c = jnp.split(residuals, 5, 0)
        d_read = d_output if readout is not None else None
        if over.return_sequences and readout is None:
            dh = dh + d_output
        dz, dc, h = back_through_gates(gates, c, dc, dh, d_read)
        if over.reset_carry and factor_after is not None:
            h = h * factor_after
        dw = dw + _joined(x_after, h, features) @ dz_after.T
        dx = ()
        if not symbols:
            dx = zero_unless(valid, (kernel @ dz[:columns]).T)
            db = db + dz[:columns].sum(1)
        dh = start.matrix @ dz
        if here is not None:
            dc = dc * here
            dh = dh * here
        return ((dc, dh), dw, db, dz), dx

    d_inputs = () if symbols else jnp.zeros_like(over.inputs)
    if readout is not None:
        d_outputs = jnp.concatenate([jnp.zeros_like(d_outputs[:1]), d_outputs[:-1]], 0)
    after = jax.tree.map(lambda rows: jnp.roll(rows, -1, 0), (over.inputs, factor))
    rows = after, factor, residuals, d_outputs if over.return_sequences else ()
    no_dz = jnp.zeros((start.matrix.shape[1], over.inputs.shape[1]), kernel.dtype)
    state = (start.dc, start.dh), *start.sums, no_dz
    (carry, dw, db, dz), d_inputs = masked(
        step, state, rows, d_inputs, over.length, True
    )
    entered = first * factor[0] if over.reset_carry and factor is not None else first
    dw = dw + _joined(over.inputs[0], entered, features) @ dz.T
    d_weights = weight_gradients(weights, start.d_readout, dw, db, symbols)
    return d_weights, carry, over.cotangent(None if symbols else d_inputs), None


lstm_masked.defvjp(_lstm_masked_fwd, _lstm_masked_bwd)


class LSTMMasked(LSTMLoop, MaskedScan):
    """The loop `masked` for memcap's LSTM."""

    over_time = staticmethod(lstm_masked)


LOOP = LSTMMasked()

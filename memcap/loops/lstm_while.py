"""memcap's LSTM by XLA on CPUs: a loop with a trip count, the gradient written out.

Weight gradients are summed in the backward loop: stacking the gates' gradients for one
product is slower on a CPU. Arrays are (U, B), as the batch fills vector lanes; a step's
residuals share a buffer, as XLA would copy several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

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
from memcap.loops.base import (
    Loop,
    Pass,
    Request,
    Weights,
    read_row,
    run_feature_major,
    write_row,
)
from memcap.loops.while_loop import WhileLoop

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from memcap.loops.base import CarryAndOutputs

OverTime = Callable[
    [Weights, CarryCH, Pass, jax.Array | None], tuple[CarryCH, jax.Array | None]
]


def _joined(x: jax.Array, h: jax.Array, features: int) -> jax.Array:
    """Stack a step's input, (B,) or (B, F), above h: (F + U, B)."""
    if x.ndim == 1:
        column = (jnp.arange(features)[:, None] == x[None, :]).astype(h.dtype)
    else:
        column = x.T.astype(h.dtype)
    return jnp.concatenate([column, h], 0)


@jax.custom_vjp
def lstm_while(
    weights: Weights, carry: CarryCH, over: Pass, factor: Float[Array, " T"] | None
) -> tuple[CarryCH, Float[Array, "T H B"] | None]:
    """Run an LSTM over the first `over.length` steps.

    Args:
        weights: kernel (F, 4U), recurrent (U, 4U), bias (4U,), and a read-out (U, O) or
            None. The read-out, rows of the recurrent product, needs `factor` None: at a
            window's start, the h that is read out is not the h that flows on.
        carry: (c, h) before the first step, each (U, B).
        over, factor: the `core` of a pass, and its `carry_factor`.

    Returns:
        The carry (c, h) after `length` steps; and, of a pass that returns sequences,
        the hidden states (T, U, B), or read-outs (T, O, B), zero after `length`;
        otherwise None.
    """
    carry, _, outputs = _forward(False, weights, carry, over, factor)
    return carry, outputs


def start_forward(
    weights: Weights, over: Pass, factor: Any, saved: int
) -> tuple[jax.Array, int, tuple[jax.Array, jax.Array]]:
    """Return a step's matrix, its number of outputs, and buffers for `saved` (U, B)
    arrays per step and for the outputs."""
    kernel, recurrent, bias, readout = weights
    assert readout is None or (over.return_sequences and factor is None)
    matrix = stacked_weights(kernel, recurrent, bias, readout, over.inputs.ndim == 2)
    steps, batch = over.inputs.shape[:2]
    units = len(recurrent)
    rows = 0
    if over.return_sequences:
        rows = units if readout is None else readout.shape[1]
    residuals = jnp.zeros((steps, saved * units, batch), kernel.dtype)
    outputs = jnp.zeros((steps, rows, batch), kernel.dtype)
    return matrix, rows, (residuals, outputs)


def step_forward(
    matrix: jax.Array, joined: jax.Array, bias: jax.Array | None, c: jax.Array
) -> tuple[list[jax.Array], jax.Array, jax.Array, jax.Array]:
    """Return gates, next c, next h and outputs; `matrix` may include the bias."""
    product = matrix @ joined
    columns = 4 * len(c)
    z = product[:columns]
    read = product[columns:]
    if bias is not None:
        z = z + bias[:, None]
    return *through_gates(z, c), read


def _forward(
    with_residuals: bool,
    weights: Weights,
    carry: CarryCH,
    over: Pass,
    factor: jax.Array | None,
) -> tuple[CarryCH, jax.Array, jax.Array | None]:
    """Return the last carry, residuals (i, f, g, o, c, h: (T, 6U, B)) and outputs."""
    kernel, _, bias, readout = weights
    features = len(kernel)
    bias = None if over.inputs.ndim == 2 else bias
    matrix, rows, buffers = start_forward(
        weights, over, factor, 6 if with_residuals else 0
    )
    no_row = (0, over.inputs.shape[1]), kernel.dtype

    def step(t: jax.Array, state: Any) -> Any:
        (c, h), residuals, outputs = state
        x = read_row(over.inputs, t)
        here = None if factor is None else factor[t]
        if over.reset_carry and here is not None:
            c = c * here
            h = h * here
        gates, c_next, h_next, read = step_forward(
            matrix, _joined(x, h, features), bias, c
        )
        row = (
            jnp.concatenate([*gates, c, h], 0) if with_residuals else jnp.zeros(*no_row)
        )
        output = h_next[:rows] if readout is None else read
        if with_residuals:
            residuals = write_row(residuals, row, t)
        if over.return_sequences:
            outputs = write_row(
                outputs, output, t if readout is None else jnp.maximum(t - 1, 0)
            )
        return (c_next, h_next), residuals, outputs

    carry, residuals, outputs = lax.fori_loop(0, over.length, step, (carry, *buffers))
    if readout is not None:
        outputs = write_row(outputs, readout.T @ carry[1], over.length - 1)
    return carry, residuals, outputs if over.return_sequences else None


def _lstm_while_fwd(
    weights: Weights, carry: CarryCH, over: Pass, factor: jax.Array | None
) -> tuple[tuple[CarryCH, jax.Array | None], tuple[Any, ...]]:
    carry, residuals, outputs = _forward(True, weights, carry, over, factor)
    return (carry, outputs), (weights, over, factor, residuals, carry[1])


class Backward(NamedTuple):
    """Start of an LSTM's gradient over time."""

    matrix: Any  # (U, 4U + O), maps the gradient of a step's product to that of h
    dc: Any  # (U, B), gradients of the last carry, c and h
    dh: Any
    # (U, O), the read-out's gradient by the last step; None: no read-out
    d_readout: Any
    # zeros, for the gradients of the matrix (F + U, 4U + O) and the bias (4U,)
    sums: Any


def start_backward(
    weights: Weights, over: Pass, last: jax.Array, cotangents: Any
) -> Backward:
    kernel, recurrent, _, readout = weights
    (dc, dh), d_outputs = cotangents
    features = kernel.shape[0]
    units = recurrent.shape[0]
    dtype = kernel.dtype
    matrix = recurrent
    d_readout = None
    # as in the forward loop: step t's gates go with the read-out of step t - 1
    if readout is not None:
        matrix = jnp.concatenate([recurrent, readout], 1)
        dh = dh + readout @ read_row(d_outputs, over.length - 1)
        d_readout = last @ read_row(d_outputs, over.length - 1).T
    sums = (
        jnp.zeros((features + units, matrix.shape[1]), dtype),
        jnp.zeros(4 * units, dtype),
    )
    return Backward(matrix, dc, dh, d_readout, sums)


def weight_gradients(
    weights: Weights, d_readout: Any, dw: Any, db: Any, symbols: bool
) -> Weights:
    features = len(weights[0])
    columns = weights[0].shape[1]
    d_kernel = dw[:features, :columns]
    d_recurrent = dw[features:, :columns]
    if d_readout is not None:
        d_readout = d_readout + dw[features:, columns:]
    # each step has one symbol, so the rows of the kernel's gradient add up to the
    # bias's
    if symbols:
        db = d_kernel.sum(0)
    return d_kernel, d_recurrent, db, d_readout


def _lstm_while_bwd(saved: tuple[Any, ...], cotangents: Any) -> tuple[Any, ...]:
    weights, over, factor, residuals, last = saved
    kernel, _, _, readout = weights
    features, columns = kernel.shape
    symbols = over.inputs.ndim == 2
    d_outputs = cotangents[1]
    start = start_backward(weights, over, last, cotangents)

    def step(k: jax.Array, both: Any) -> Any:
        ((dc, dh), dw, db), d_inputs = both
        t = over.length - 1 - k
        d_output = d_read = None
        if readout is not None:
            d_read = jnp.where(t > 0, read_row(d_outputs, jnp.maximum(t - 1, 0)), 0)
        elif over.return_sequences:
            d_output = read_row(d_outputs, t)
        x = read_row(over.inputs, t)
        here = None if factor is None else factor[t]
        *gates, c, h = jnp.split(read_row(residuals, t), 6, 0)
        if d_output is not None:
            dh = dh + d_output
        dz, dc, _ = back_through_gates(gates, c, dc, dh, d_read)
        dw = dw + _joined(x, h, features) @ dz.T
        dx: Any = ()
        if not symbols:
            dx = (kernel @ dz[:columns]).T
            db = db + dz[:columns].sum(1)
        dh = start.matrix @ dz
        if here is not None:
            dc = dc * here
            dh = dh * here
        return ((dc, dh), dw, db), d_inputs if symbols else write_row(d_inputs, dx, t)

    d_inputs = () if symbols else jnp.zeros_like(over.inputs)
    state = ((start.dc, start.dh), *start.sums), d_inputs
    (carry, dw, db), d_inputs = lax.fori_loop(0, over.length, step, state)
    d_weights = weight_gradients(weights, start.d_readout, dw, db, symbols)
    return d_weights, carry, over.cotangent(None if symbols else d_inputs), None


lstm_while.defvjp(_lstm_while_fwd, _lstm_while_bwd)


class LSTMLoop(Loop):
    """Base of XLA's loops for memcap's LSTM."""

    rank = 1
    fuses_readout = True
    over_time: OverTime  # `lstm_while`, or a function with its arguments

    def refuses(self, request: Request) -> str | None:
        return None if has_lstm_step(request.cell) else "the cell is not memcap's LSTM"

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        lstm = cast(LSTM, cell)
        factor = over.carry_factor
        factor = None if factor is None else factor.astype(lstm.kernel[...].dtype)

        def run(weights: Weights, carry: CarryCH, over: Pass) -> Any:
            return self.over_time(weights, carry, over.core(over.inputs), factor)

        return run_feature_major(
            run, lstm.weights, carry, over, over.return_sequences and factor is None
        )


class LSTMWhile(LSTMLoop, WhileLoop):
    """The loop `while` for memcap's LSTM."""

    over_time = staticmethod(lstm_while)


LOOP = LSTMWhile()

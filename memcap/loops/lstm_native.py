"""memcap's LSTM over time as one call of C (lstm.c): what memcap/loops/lstm_while.py computes, each
step to float rounding.

For CPUs, in float32, of one window. Under `vmap` members are called one after another.
"""

from __future__ import annotations

import ctypes
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from memcap.cells import Cell
from memcap.cells.lstm import LSTM, CarryCH, has_lstm_step
from memcap.loops import c_library, lstm_while
from memcap.loops.base import Request
from memcap.loops.c_library import Library
from memcap.loops.lstm_while import Weights, run_lstm
from memcap.loops.while_loop import WhileLoop

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

SOURCE = Path(__file__).with_name("lstm.c")
CALLS = ("memcap_lstm_forward", "memcap_lstm_backward")
WORK, SLOTS, TWO_SLOTS = range(3)  # buffers, as memcap_lstm_size counts them
MOST_STEPS = 2**24
TESTED = (
    (1, 2, 3, 2, 5, False),
    (5, 33, 4, 7, 5, True),
    (3, 4, 17, 3, 0, False),
)  # T, B, F, U, O (0: hidden states), reals
QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0}  # to compile what tests it
APART = 1e-4  # relative; the largest difference from float64 that is rounding
FAR = 1e-5  # by which an array is moved to see how a loss changes


@cache
def library() -> Library:
    """The library, with its calls made known to XLA; once a process.

    Raises:
        LibraryError: it can't be had here; `missing` says so beforehand.
    """
    loaded = c_library.load(SOURCE, CALLS)
    loaded.handle.memcap_lstm_size.restype = ctypes.c_int64
    loaded.handle.memcap_lstm_size.argtypes = [ctypes.c_int, *[ctypes.c_int64] * 5, ctypes.c_int]
    return loaded


@cache
def missing() -> str | None:
    """Why this process cannot use it; None: it can. A library that is new here is tested first."""
    return c_library.missing(library, lambda: all(_right(*sizes) for sizes in TESTED), "an LSTM")


def takes(arrays: tuple[jax.Array, ...], inputs: jax.Array, flow: jax.Array | None) -> bool:
    """Whether it serves a call: float32 weights and carries, one window, and fewer steps than it can
    count."""
    fits = inputs.shape[0] <= MOST_STEPS and inputs.shape[0] * inputs.shape[1] < 2**31
    return flow is None and fits and all(array.dtype == jnp.float32 for array in arrays)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_native(
    return_sequences: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> tuple[CarryCH, jax.Array | None]:
    """Run an LSTM over the first `length` steps; the LSTM of memcap/cells/lstm.py.

    Args:
        return_sequences: whether something is returned for every step, the hidden state or what the read-out
            makes of it.
        weights: kernel (F, 4U), recurrent (U, 4U), bias (4U,), and a read-out (U, O) or None; float32.
        carry: (c, h), each (U, B), float32.
        inputs: (T, B) int symbols below F, or (T, B, F) float32.
        counts: (2,) int32, how many of the T steps count, and of the U units; may be traced. Weights of the
            other units, and their carry, must be zero; so is all that comes of them, and their gradients.

    Returns:
        The carry after the steps that count, and the hidden states (T, U, B), or read-outs (T, O, B), zero
        after them; or None.

    Raises:
        LibraryError: it can't be had here; `missing` says so beforehand.
        ValueError: as it runs, if a symbol is outside of 0 ... F - 1; or jax.errors.JaxRuntimeError, where
            JAX calls it so.
    """
    return _forward(return_sequences, False, weights, carry, inputs, counts)[:2]


def _forward(
    return_sequences: bool, keep: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> Any:
    """The carry after the last step, the outputs, and what the backward pass needs, if it is residuals."""
    kernel, recurrent, bias, readout = weights
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    rows = 0 if not return_sequences else recurrent.shape[0] if readout is None else readout.shape[1]
    state = jax.ShapeDtypeStruct(carry[0].shape, jnp.float32)
    outputs = jax.ShapeDtypeStruct((inputs.shape[0], rows, inputs.shape[-1]), jnp.float32)
    buffers = (
        _buffer(SLOTS if keep else TWO_SLOTS, kernel, matrix, inputs),
        _buffer(WORK, kernel, matrix, inputs),
    )
    operands = kernel, recurrent, bias, matrix, *carry, inputs, counts
    c, h, outputs, residuals, _ = _call(CALLS[0], (state, state, outputs, *buffers), operands)
    return (c, h), outputs if return_sequences else None, residuals


def _lstm_native_fwd(
    return_sequences: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> Any:
    carry, outputs, residuals = _forward(return_sequences, True, weights, carry, inputs, counts)
    return (carry, outputs), (weights, inputs, counts, residuals)


def _lstm_native_bwd(return_sequences: bool, saved: tuple[Any, ...], cotangents: Any) -> tuple[Any, ...]:
    (kernel, recurrent, bias, readout), inputs, counts, residuals = saved
    carry, d_outputs = cotangents
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    real = inputs.ndim == 3
    if not return_sequences:
        d_outputs = jnp.zeros((inputs.shape[0], 0, inputs.shape[-1]), jnp.float32)
    shapes = (
        *(array.shape for array in (kernel, recurrent, bias, matrix, *carry)),
        (inputs.shape[0] if real else 0, kernel.shape[0], inputs.shape[-1]),
    )
    results = (
        *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes),
        _buffer(WORK, kernel, matrix, inputs),
    )
    operands = kernel, recurrent, matrix, *carry, d_outputs, inputs, counts, residuals
    *d_weights, d_readout, dc, dh, d_inputs, _ = _call(CALLS[1], results, operands)
    d_inputs = jnp.swapaxes(d_inputs, 1, 2) if real else None
    return (*d_weights, None if readout is None else d_readout), (dc, dh), d_inputs, None


lstm_native.defvjp(_lstm_native_fwd, _lstm_native_bwd)


def _matrix(recurrent: jax.Array, readout: jax.Array | None) -> jax.Array:
    """The read-out (U, O); none is one of no outputs."""
    return jnp.zeros((recurrent.shape[0], 0), jnp.float32) if readout is None else readout


def _time_last(inputs: jax.Array) -> jax.Array:
    """Inputs as the C takes them: symbols (T, B) int32, or numbers (T, F, B)."""
    return jnp.swapaxes(inputs, 1, 2) if inputs.ndim == 3 else inputs.astype(jnp.int32)


def _buffer(which: int, kernel: jax.Array, matrix: jax.Array, inputs: jax.Array) -> jax.ShapeDtypeStruct:
    """A buffer that the C asks for."""
    sizes = inputs.shape[0], kernel.shape[0], *matrix.shape, inputs.shape[-1], int(inputs.ndim == 3)
    return jax.ShapeDtypeStruct((size(which, *sizes),), jnp.float32)


def size(which: int, *sizes: int) -> int:
    """Floats of a buffer; the arguments are those of `memcap_lstm_size`."""
    return library().handle.memcap_lstm_size(which, *sizes)


def _call(
    name: str, results: tuple[jax.ShapeDtypeStruct, ...], operands: tuple[jax.Array, ...]
) -> tuple[jax.Array, ...]:
    return tuple(jax.ffi.ffi_call(library().target(name), results, vmap_method="sequential")(*operands))


def _right(steps: int, batch: int, features: int, units: int, outputs: int, real: bool) -> bool:
    """Whether the C's values and gradients are those of float64, at one size; of no outputs, its hidden
    states.

    A gradient is right if it says how fast a loss changes in a random direction, one for each array.
    """
    rng = np.random.default_rng(0)
    shapes = (
        (features, 4 * units),
        (units, 4 * units),
        (4 * units,),
        (units, outputs),
        (units, batch),
        (units, batch),
    )
    arrays = [rng.standard_normal(shape, np.float32) for shape in (*shapes, (steps, batch, features))]
    counts = np.array([max(1, steps - 1), units], np.int32)
    symbols = arrays[-1].argmax(-1).astype(np.int32)

    def in_c(*arrays: Any) -> Any:
        weights = arrays[:4] if outputs else (*arrays[:3], None)
        (c, h), sequences = lstm_native(True, weights, arrays[4:6], arrays[6] if real else symbols, counts)
        return c, h, sequences

    def values_and_gradients(weighed: Any, *arrays: Any) -> Any:
        values, pullback = jax.vjp(in_c, *arrays)
        return values, pullback(weighed)

    start = [array.astype(float) for array in arrays]
    if not real:
        start[-1] = np.eye(features)[symbols]
    expected = _in_numpy(*start, counts[0])
    weighed = [np.sin(value).astype(np.float32) for value in expected]
    compiled = jax.jit(values_and_gradients).lower(tuple(weighed), *arrays).compile(QUICK)
    values, gradients = jax.tree.map(np.asarray, compiled(tuple(weighed), *arrays))
    right = [
        np.abs(a - b).max() <= APART * (1 + np.abs(b).max()) for a, b in zip(values, expected, strict=True)
    ]
    for k, gradient in enumerate(gradients if real else gradients[:-1]):
        direction = rng.standard_normal(gradient.shape)
        ends = [[*start[:k], start[k] + far * direction, *start[k + 1 :]] for far in (-FAR, FAR)]
        losses = [sum(map(np.vdot, weighed, _in_numpy(*end, counts[0]))) for end in ends]
        parts = gradient * direction
        right.append(
            abs((losses[1] - losses[0]) / (2 * FAR) - parts.sum()) <= APART * (1 + np.abs(parts).sum())
        )
    return all(right)


def _in_numpy(
    kernel: Any, recurrent: Any, bias: Any, readout: Any, c: Any, h: Any, inputs: Any, steps: int
) -> Any:
    """The LSTM to read: c and h, (U, B), after so many steps of inputs (T, B, F), and all read-outs, or
    hidden states."""
    outputs = np.zeros((len(inputs), readout.shape[1] or len(h), inputs.shape[1]))
    for t in range(steps):
        i, f, g, o = np.split((inputs[t] @ kernel + h.T @ recurrent + bias).T, 4)
        i, f, o = (0.5 + 0.5 * np.tanh(gate / 2) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs[t] = readout.T @ h if readout.size else h
    return c, h, outputs


class LSTMNative(WhileLoop):
    """memcap's LSTM on CPUs: the fastest there is. Compiled for the machine at hand, its rows repeat to the
    bit there alone."""

    name = "native"
    rank = 2
    reproducible = False
    takes_symbols = fuses_readout = True
    # measured on a core of an AMD EPYC (Zen 4), `python -m benchmarks padding`
    seconds_per_padded_weight = 3e-9

    def refuses(self, request: Request) -> str | None:
        """See `Loop.refuses`."""
        if request.platform != "cpu":
            return "it is for CPUs"
        if request.windows:
            return "it knows no windows"
        return None if has_lstm_step(request.cell) else "the cell is not memcap's LSTM"

    def missing(self) -> str | None:
        """See `Loop.missing`."""
        return missing()

    def version(self) -> str:
        """The library's name."""
        return library().name

    def row_columns(self, side_by_side: bool) -> dict[str, str]:
        """See `Loop.row_columns`."""
        return super().row_columns(side_by_side) | {"kernel": "native"}

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
        """See `Loop.run`. What C cannot count or hold, such as float64, goes by XLA."""
        if not takes((*cast(LSTM, cell).weights, *carry), inputs, flow):
            return lstm_while.LOOP.run(
                cell,
                carry,
                inputs,
                length,
                flow=flow,
                reset=reset,
                return_sequences=return_sequences,
                readout=readout,
                num_units=num_units,
            )
        units = jnp.asarray(cell.hidden_features if num_units is None else num_units)
        counts = jnp.stack([length, units]).astype(jnp.int32)

        def over_time(weights: Weights, carry: CarryCH, inputs: jax.Array) -> Any:
            return lstm_native(return_sequences, weights, carry, inputs, counts)

        return run_lstm(over_time, cast(LSTM, cell), carry, inputs, readout, fuses=return_sequences)


LOOP = LSTMNative()

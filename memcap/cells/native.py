"""The LSTM's loop over time as one call of C (memcap/native/lstm.c): what `lstm_scan` of lstm.py computes, to
float rounding.

For CPUs, in float32, of one window; `takes` says what it serves. Under `vmap` members are called one after
another.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memcap.native import CALLS, NativeError, library

CarryCH = tuple[jax.Array, jax.Array]
Weights = tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]
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
def missing() -> str | None:
    """Why this process cannot use the kernel; None: it can. A library that is new here is tested first."""
    if jax.default_backend() != "cpu":
        return "it is for CPUs"
    try:
        found = library()
        if not found.tested:
            if not all(_right(*sizes) for sizes in TESTED):
                return f"{found.path} does not compute an LSTM"
            found.passed()
    except NativeError as error:
        return str(error)
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        return f"XLA does not take it ({str(error).partition(chr(10))[0]})"
    return None


def takes(arrays: tuple[jax.Array, ...], inputs: jax.Array, flows: jax.Array | None) -> bool:
    """Whether the kernel serves a call: float32 weights and carries, one window, and fewer steps than it can
    count."""
    fits = inputs.shape[0] <= MOST_STEPS and inputs.shape[0] * inputs.shape[1] < 2**31
    return flows is None and fits and all(array.dtype == jnp.float32 for array in arrays)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_scan(
    every: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> tuple[CarryCH, jax.Array | None]:
    """Run an LSTM over the first `length` steps; the LSTM of memcap/cells/lstm.py.

    Args:
        every: whether something is returned for every step, the hidden state or what the read-out makes of
            it.
        weights: kernel (F, 4U), recurrent (U, 4U), bias (4U,), and a read-out (U, O) or None; float32.
        carry: (c, h), each (U, B), float32.
        inputs: (T, B) int symbols below F, or (T, B, F) float32.
        counts: (2,) int32, how many of the T steps count, and of the U units; may be traced. Weights of the
            other units, and their carry, must be zero; so is all that comes of them, and their gradients.

    Returns:
        The carry after the steps that count, and the hidden states (T, U, B), or read-outs (T, O, B), zero
        after them; or None.

    Raises:
        NativeError: there is no kernel here; `missing` says so beforehand.
        ValueError: as it runs, if a symbol is outside of 0 ... F - 1; or jax.errors.JaxRuntimeError, where
            JAX calls it so.
    """
    return _forward(every, False, weights, carry, inputs, counts)[:2]


def _forward(
    every: bool, keep: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> Any:
    """The carry after the last step, the outputs, and what the backward pass needs, if it is kept."""
    kernel, recurrent, bias, readout = weights
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    rows = 0 if not every else recurrent.shape[0] if readout is None else readout.shape[1]
    state = jax.ShapeDtypeStruct(carry[0].shape, jnp.float32)
    outputs = jax.ShapeDtypeStruct((inputs.shape[0], rows, inputs.shape[-1]), jnp.float32)
    buffers = (
        _buffer(SLOTS if keep else TWO_SLOTS, kernel, matrix, inputs),
        _buffer(WORK, kernel, matrix, inputs),
    )
    operands = kernel, recurrent, bias, matrix, *carry, inputs, counts
    c, h, outputs, kept, _ = _call(CALLS[0], (state, state, outputs, *buffers), operands)
    return (c, h), outputs if every else None, kept


def _lstm_scan_fwd(
    every: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> Any:
    carry, outputs, kept = _forward(every, True, weights, carry, inputs, counts)
    return (carry, outputs), (weights, inputs, counts, kept)


def _lstm_scan_bwd(every: bool, saved: tuple[Any, ...], cotangents: Any) -> tuple[Any, ...]:
    (kernel, recurrent, bias, readout), inputs, counts, kept = saved
    carry, d_outputs = cotangents
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    real = inputs.ndim == 3
    if not every:
        d_outputs = jnp.zeros((inputs.shape[0], 0, inputs.shape[-1]), jnp.float32)
    shapes = (
        *(array.shape for array in (kernel, recurrent, bias, matrix, *carry)),
        (inputs.shape[0] if real else 0, kernel.shape[0], inputs.shape[-1]),
    )
    results = (
        *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes),
        _buffer(WORK, kernel, matrix, inputs),
    )
    operands = kernel, recurrent, matrix, *carry, d_outputs, inputs, counts, kept
    *d_weights, d_readout, dc, dh, d_inputs, _ = _call(CALLS[1], results, operands)
    d_inputs = jnp.swapaxes(d_inputs, 1, 2) if real else None
    return (*d_weights, None if readout is None else d_readout), (dc, dh), d_inputs, None


lstm_scan.defvjp(_lstm_scan_fwd, _lstm_scan_bwd)


def _matrix(recurrent: jax.Array, readout: jax.Array | None) -> jax.Array:
    """The read-out (U, O); none is one of no outputs."""
    return jnp.zeros((recurrent.shape[0], 0), jnp.float32) if readout is None else readout


def _time_last(inputs: jax.Array) -> jax.Array:
    """Inputs as the kernel takes them: symbols (T, B) int32, or numbers (T, F, B)."""
    return jnp.swapaxes(inputs, 1, 2) if inputs.ndim == 3 else inputs.astype(jnp.int32)


def _buffer(which: int, kernel: jax.Array, matrix: jax.Array, inputs: jax.Array) -> jax.ShapeDtypeStruct:
    """A buffer that the kernel asks for."""
    sizes = inputs.shape[0], kernel.shape[0], *matrix.shape, inputs.shape[-1], int(inputs.ndim == 3)
    return jax.ShapeDtypeStruct((library().size(which, *sizes),), jnp.float32)


def _call(
    name: str, results: tuple[jax.ShapeDtypeStruct, ...], operands: tuple[jax.Array, ...]
) -> tuple[jax.Array, ...]:
    return tuple(jax.ffi.ffi_call(library().target(name), results, vmap_method="sequential")(*operands))


def _right(steps: int, batch: int, features: int, units: int, outputs: int, real: bool) -> bool:
    """Whether the kernel's values and gradients are those of float64, at one size; of no outputs, its hidden
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
        (c, h), found = lstm_scan(True, weights, arrays[4:6], arrays[6] if real else symbols, counts)
        return c, h, found

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

"""The LSTM's loop over time as one call of C (memcap/native/lstm.c): what `lstm_scan` of lstm.py computes, to float rounding.

For CPUs, in float32, of one window; `takes` says what it serves. Under `vmap` members are called one after another.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memcap.cells.plain import lstm_step, plain_scan
from memcap.native import CALLS, NativeError, library

CarryCH = tuple[jax.Array, jax.Array]
Weights = tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]
WORK, SLOTS, TWO_SLOTS = range(3)  # buffers, as memcap_lstm_size counts them
MOST_STEPS = 2**24
TESTED = ((1, 2, 3, 2, 5, False), (5, 33, 4, 7, 5, True), (3, 4, 17, 3, 0, False))  # T, B, F, U, O (0: hidden states), reals
QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0}  # to compile what tests it
APART = 1e-4  # relative; the largest difference from the LSTM to read that is float rounding


@cache
def missing() -> str | None:
    """Why this process cannot use the kernel; None: it can. A library that is new here is tested first, in a second."""
    if jax.default_backend() != "cpu":
        return "it is for CPUs"
    try:
        found = library()
        if not found.tested:
            if not all(_right(*sizes) for sizes in TESTED):
                return f"{found.path} does not compute what XLA does"
            found.passed()
    except NativeError as error:
        return str(error)
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        return f"XLA does not take it ({str(error).partition(chr(10))[0]})"
    return None


def takes(arrays: tuple[jax.Array, ...], inputs: jax.Array, flows: jax.Array | None) -> bool:
    """Whether the kernel serves a call: float32 weights and carries, one window, and fewer steps than it can count."""
    fits = inputs.shape[0] <= MOST_STEPS and inputs.shape[0] * inputs.shape[1] < 2**31
    return flows is None and fits and all(array.dtype == jnp.float32 for array in arrays)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_scan(
    every: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array
) -> tuple[CarryCH, jax.Array | None]:
    """Run an LSTM over the first `length` steps; the LSTM of memcap/cells/lstm.py.

    Args:
        every: whether something is returned for every step, the hidden state or what the read-out makes of it.
        weights: kernel (F, 4U), recurrent (U, 4U), bias (4U,), and a read-out (U, O) or None; float32.
        carry: (c, h), each (U, B), float32.
        inputs: (T, B) int symbols below F, or (T, B, F) float32.
        counts: (2,) int32, how many of the T steps count, and of the U units; may be traced. Weights of the other units, and
            their carry, must be zero; so is all that comes of them, and their gradients.

    Returns:
        The carry after the steps that count, and the hidden states (T, U, B), or read-outs (T, O, B), zero after them; or None.

    Raises:
        NativeError: there is no kernel here; `missing` says so beforehand.
        ValueError: as it runs, if a symbol is outside of 0 ... F - 1; or jax.errors.JaxRuntimeError, where JAX calls it so.
    """
    return _forward(every, False, weights, carry, inputs, counts)[:2]


def _forward(every: bool, keep: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array) -> Any:
    """The carry after the last step, the outputs, and what the backward pass needs, if it is kept."""
    kernel, recurrent, bias, readout = weights
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    rows = 0 if not every else recurrent.shape[0] if readout is None else readout.shape[1]
    state = jax.ShapeDtypeStruct(carry[0].shape, jnp.float32)
    outputs = jax.ShapeDtypeStruct((inputs.shape[0], rows, inputs.shape[-1]), jnp.float32)
    buffers = _buffer(SLOTS if keep else TWO_SLOTS, kernel, matrix, inputs), _buffer(WORK, kernel, matrix, inputs)
    operands = kernel, recurrent, bias, matrix, *carry, inputs, counts
    c, h, outputs, kept, _ = _call(CALLS[0], (state, state, outputs, *buffers), operands)
    return (c, h), outputs if every else None, kept


def _lstm_scan_fwd(every: bool, weights: Weights, carry: CarryCH, inputs: jax.Array, counts: jax.Array) -> Any:
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
    results = *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes), _buffer(WORK, kernel, matrix, inputs)
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


def _call(name: str, results: tuple[jax.ShapeDtypeStruct, ...], operands: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    return tuple(jax.ffi.ffi_call(library().target(name), results, vmap_method="sequential")(*operands))


def _right(steps: int, batch: int, features: int, units: int, outputs: int, real: bool) -> bool:
    """Whether the kernel's values and gradients are those of the LSTM to read, at one size; of no outputs, its hidden states."""
    rng = np.random.default_rng(0)
    shapes = (features, 4 * units), (units, 4 * units), (4 * units,), (units, outputs), (units, batch), (units, batch)
    arrays = [jnp.asarray(rng.standard_normal(shape, np.float32)) for shape in shapes]
    inputs = jnp.asarray(rng.standard_normal((steps, batch, features), np.float32))
    counts = jnp.asarray([max(1, steps - 1), units], jnp.int32)
    if not real:
        inputs = jnp.argmax(inputs, -1)

    def in_c(weights: Any, carry: Any) -> Any:
        return lstm_scan(True, weights if outputs else (*weights[:3], None), carry, inputs, counts)

    def to_read(weights: Any, carry: Any) -> Any:
        rows = inputs if real else jax.nn.one_hot(inputs, features, dtype=jnp.float32)
        step, (c, h) = partial(lstm_step, *weights[:3]), carry
        (c, h), hidden = plain_scan(lambda _, *row: step(*row), (), (c.T, h.T), rows, counts[0], None, every=True, reset=False)
        return (c.T, h.T), jnp.swapaxes(hidden @ weights[3] if outputs else hidden, 1, 2)

    def values_and_gradients(*arrays: Any) -> Any:
        both = [jax.vjp(run, arrays[:4], arrays[4:]) for run in (in_c, to_read)]
        return [(values, pullback(jax.tree.map(jnp.sin, both[1][0]))) for values, pullback in both]

    found, expected = map(jax.tree.leaves, jax.jit(values_and_gradients).lower(*arrays).compile(QUICK)(*arrays))
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a.size]
    return all(bool(jnp.abs(a - b).max() <= APART * (1 + jnp.abs(b).max())) for a, b in pairs)

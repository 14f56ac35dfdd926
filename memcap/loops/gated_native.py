"""A gated cell over time as one call of C: base of lstm_native.py and gru_native.py.

For CPUs, float32 and one window; under `vmap` members are called one after another.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from memcap.cells import Cell
from memcap.knobs import Acts
from memcap.loops import c_library, while_loop
from memcap.loops.base import Carry, Loop, Pass, Request, Weights, run_feature_major
from memcap.loops.c_library import Library
from memcap.loops.score import Sums, Targets
from memcap.loops.while_loop import WhileLoop

if TYPE_CHECKING:
    from memcap.loops.base import CarryAndOutputs

Arrays = tuple[jax.Array, ...]
# buffers, as `GatedC.size` counts them
WORK, SLOTS, TWO_SLOTS, SLOTS_OF_A_BLOCK, WORK_WITH_LOSS = range(5)
MOST_STEPS = 2**24
# The C has the cell's equations and the loss in it. These knobs act before and after it.
SERVES: tuple[Acts, ...] = (
    "label",
    "start",
    "schedule",
    "update",
    "batch",
    "layers",
    "frozen",
)


@dataclass(frozen=True)
class GatedC:
    """A cell that runs in C."""

    name: str  # the NAME of its source, NAME.c, and of its calls, memcap_NAME_forward
    words: str  # the cell in words, "an LSTM"
    # whether the C computes what the cell's step does (memcap/loops/gated_check.py)
    check: Callable[[], bool]

    @property
    def source(self) -> Path:
        return Path(__file__).with_name(f"{self.name}.c")

    @property
    def calls(self) -> tuple[str, str, str]:
        """Names: forward, backward, and both with the loss between them."""
        start = f"memcap_{self.name}_"
        return f"{start}forward", f"{start}backward", f"{start}loss"

    @cache  # noqa: B019  (a cell in C is one of the few of this folder)
    def library(self) -> Library:
        """Load the library, once per process, and make its calls known to XLA."""
        loaded = c_library.load(self.source, self.calls)
        size = getattr(loaded.handle, f"memcap_{self.name}_size")
        size.restype = ctypes.c_int64
        size.argtypes = [ctypes.c_int, *[ctypes.c_int64] * 5, ctypes.c_int]
        return loaded

    @cache  # noqa: B019
    def missing(self) -> str | None:
        """Return why this process cannot use it, or None; test a new library first."""
        return c_library.missing(self.library, self.check, self.words)

    def size(self, which: int, *sizes: int) -> int:
        """Return the floats of a buffer of these sizes; -1 if too many."""
        return getattr(self.library().handle, f"memcap_{self.name}_size")(which, *sizes)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def over_time(
    cell: GatedC,
    return_sequences: bool,
    weights: Weights,
    carry: Carry,
    inputs: jax.Array,
    extents: jax.Array,
) -> tuple[Carry, jax.Array | None]:
    """Run a cell over the first steps of its inputs.

    Args:
        cell: its weights have a block of U columns per gate, G in all.
        return_sequences: whether to return every step's hidden state or read-out.
        weights: kernel (F, G), recurrent (U, G), bias (G,), and a read-out (U, O) or
            None; float32.
        carry: a pytree of (U, B) float32 arrays, the last one h.
        inputs: (T, B) int symbols below F, or (T, B, F) float32.
        extents: (2,) int32, how many of the T steps and of the U units count; may be
            traced. Weights and carry of other units must be zero, as are their outputs
            and gradients.

    Returns:
        The carry after the steps that count, and the hidden states (T, U, B), or
        read-outs (T, O, B), zero after them; or None.

    Raises:
        LibraryError: as `GatedC.missing` says beforehand.
        ValueError: at run time, for a symbol outside 0 ... F - 1; JAX may raise it as
            jax.errors.JaxRuntimeError.
    """
    return _forward(cell, return_sequences, False, weights, carry, inputs, extents)[:2]


def _forward(
    cell: GatedC,
    return_sequences: bool,
    with_residuals: bool,
    weights: Weights,
    carry: Carry,
    inputs: jax.Array,
    extents: jax.Array,
) -> Any:
    kernel, recurrent, bias, readout = weights
    states, tree = jax.tree.flatten(carry)
    matrix = _matrix(recurrent, readout)
    inputs = _time_last(inputs)
    rows = 0
    if return_sequences:
        rows = len(recurrent) if readout is None else readout.shape[1]
    state = _float32(*states[0].shape)
    slots = SLOTS if with_residuals else TWO_SLOTS
    results = (
        *[state] * len(states),
        _float32(len(inputs), rows, inputs.shape[-1]),
        _buffer(cell, slots, kernel, matrix, inputs),
        _buffer(cell, WORK, kernel, matrix, inputs),
    )
    operands = (kernel, recurrent, bias, matrix, *states, inputs, extents)
    *states, outputs, residuals, _ = _call(cell, cell.calls[0], results, operands)
    carry = jax.tree.unflatten(tree, states)
    return carry, outputs if return_sequences else None, residuals


def _over_time_fwd(cell: GatedC, return_sequences: bool, *operands: Any) -> Any:
    carry, outputs, residuals = _forward(cell, return_sequences, True, *operands)
    weights, _, inputs, extents = operands
    return (carry, outputs), (weights, inputs, extents, residuals)


def _over_time_bwd(
    cell: GatedC, return_sequences: bool, saved: tuple[Any, ...], cotangents: Any
) -> tuple[Any, ...]:
    (kernel, recurrent, bias, readout), inputs, extents, residuals = saved
    carry, d_outputs = cotangents
    states, tree = jax.tree.flatten(carry)
    matrix = _matrix(recurrent, readout)
    inputs = _time_last(inputs)
    if not return_sequences:
        d_outputs = jnp.zeros((inputs.shape[0], 0, inputs.shape[-1]), jnp.float32)
    slopes = _slopes((kernel, recurrent, bias, matrix, *states), kernel, inputs)
    results = (*slopes, _buffer(cell, WORK, kernel, matrix, inputs))
    operands = kernel, recurrent, matrix, *states, d_outputs, inputs, extents, residuals
    gradients = _call(cell, cell.calls[1], results, operands)
    d_kernel, d_recurrent, d_bias, d_readout, *d_states, d_inputs, _ = gradients
    d_carry = jax.tree.unflatten(tree, d_states)
    d_weights = (d_kernel, d_recurrent, d_bias, None if readout is None else d_readout)
    return d_weights, d_carry, _batch_last(d_inputs, inputs), None


over_time.defvjp(_over_time_fwd, _over_time_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def loss_over_time(
    cell: GatedC,
    weights: Arrays,
    carry: Carry,
    inputs: jax.Array,
    extents: jax.Array,
    targets: jax.Array,
    due: jax.Array,
) -> jax.Array:
    """Score a cell and its read-out over the first steps of its inputs.

    Args:
        cell, carry, inputs, extents: see `over_time`.
        weights: as there, with the read-out (U, O) and its bias (O,).
        targets: (T, B) int32, the right class.
        due: (T, B) bool, whether an answer is due.

    Returns:
        (3,) float32, sums over the due answers: cross entropy in nats, number right,
        and number due. Only the first has a gradient, always computed with it.

    Raises:
        LibraryError, ValueError: as for `over_time`.
    """
    return _loss_fwd(cell, weights, carry, inputs, extents, targets, due)[0]


def _loss_fwd(
    cell: GatedC, weights: Any, carry: Carry, inputs: jax.Array, *rest: jax.Array
) -> Any:
    *cell_weights, readout_bias = weights
    kernel, _, _, readout = cell_weights
    extents, targets, due = rest
    inputs = _time_last(inputs)
    states, tree = jax.tree.flatten(carry)
    results = (
        *_slopes((*weights, *states), kernel, inputs),
        _float32(3),
        _buffer(cell, SLOTS_OF_A_BLOCK, kernel, readout, inputs),
        _buffer(cell, WORK_WITH_LOSS, kernel, readout, inputs),
    )
    operands = (*cell_weights, *states, inputs, extents, readout_bias, targets, due)
    *slopes, d_inputs, sums, _, _ = _call(cell, cell.calls[2], results, operands)
    d_carry = jax.tree.unflatten(tree, slopes[5:])
    return sums, (tuple(slopes[:5]), d_carry, _batch_last(d_inputs, inputs))


def _loss_bwd(cell: GatedC, slopes: Any, cotangent: jax.Array) -> tuple[Any, ...]:
    return *jax.tree.map(lambda slope: cotangent[0] * slope, slopes), None, None, None


loss_over_time.defvjp(_loss_fwd, _loss_bwd)


def _slopes(
    arrays: Arrays, kernel: jax.Array, inputs: jax.Array
) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return the gradients' shapes: of arrays, and of inputs (T, F, B), if vectors."""
    steps = len(inputs) if inputs.ndim == 3 else 0
    slopes = [_float32(*array.shape) for array in arrays]
    return (*slopes, _float32(steps, len(kernel), inputs.shape[-1]))


def _float32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _batch_last(d_inputs: jax.Array, inputs: jax.Array) -> jax.Array | None:
    return jnp.swapaxes(d_inputs, 1, 2) if inputs.ndim == 3 else None


def _matrix(recurrent: jax.Array, readout: jax.Array | None) -> jax.Array:
    """Return the read-out (U, O), with O = 0 if there is none."""
    return jnp.zeros((len(recurrent), 0), jnp.float32) if readout is None else readout


def _time_last(inputs: jax.Array) -> jax.Array:
    """Return inputs as the C takes them: symbols (T, B) int32, or vectors (T, F, B)."""
    return jnp.swapaxes(inputs, 1, 2) if inputs.ndim == 3 else inputs.astype(jnp.int32)


def _buffer(
    cell: GatedC, which: int, kernel: jax.Array, matrix: jax.Array, inputs: jax.Array
) -> jax.ShapeDtypeStruct:
    batch = inputs.shape[-1]
    sizes = (len(inputs), len(kernel), *matrix.shape, batch, int(inputs.ndim == 3))
    return _float32(cell.size(which, *sizes))


def _call(
    cell: GatedC, name: str, results: tuple[jax.ShapeDtypeStruct, ...], operands: Arrays
) -> Arrays:
    target = cell.library().target(name)
    call = jax.ffi.ffi_call(target, results, vmap_method="sequential")
    return tuple(call(*operands))


class GatedNative(WhileLoop):
    """A gated cell on CPUs in C: the fastest loop there is.

    It is compiled for this machine, so its rows repeat to the bit only here.
    """

    name = "native"
    reproducible = False
    fuses_readout = True
    # measured with the LSTM on a core of an AMD EPYC (Zen 4), `python -m benchmarks
    # cells`; it is the optimizer's time, which a cell's equations do not change
    seconds_per_padded_weight = 3e-9
    serves = SERVES
    in_c: GatedC  # the cell
    # the loop that runs what the C does not serve, such as float64
    xla: Loop = while_loop.LOOP

    def weights(self, cell: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return kernel, recurrent weights and bias; see `over_time`."""
        raise NotImplementedError

    def refuses(self, request: Request) -> str | None:
        if request.platform != "cpu":
            return "it is for CPUs"
        return "it knows no windows" if request.windows else None

    def missing(self) -> str | None:
        return self.in_c.missing()

    def version(self) -> str:
        return self.in_c.library().name

    def __call__(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        """Run a cell over a pass, by XLA if the C does not serve it."""
        if takes((*self.weights(cell), *jax.tree.leaves(carry)), over):
            return super().__call__(cell, carry, over)
        return self.xla(cell, carry, over)

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        extents = _extents(cell, over)

        def run_in_c(weights: Weights, carry: Carry, over: Pass) -> Any:
            return over_time(
                self.in_c, over.return_sequences, weights, carry, over.inputs, extents
            )

        return run_feature_major(
            run_in_c, self.weights(cell), carry, over, fuses=over.return_sequences
        )

    def score(self, cell: Cell, carry: Any, over: Pass, targets: Targets) -> Sums:
        """Do all in one call of C, if every step answers with a class."""
        has_classes = targets.loss == "classes" and targets.mask is not None
        if not has_classes or not over.return_sequences or over.readout is None:
            return super().score(cell, carry, over, targets)
        weights = (*self.weights(cell), *over.readout)
        if not takes((*weights, *jax.tree.leaves(carry)), over):
            return super().score(cell, carry, over, targets)
        inputs = over.inputs
        if inputs.ndim == 3:
            inputs = inputs.astype(jnp.float32)
        carry = jax.tree.map(lambda state: state.T, carry)
        classes = targets.values.astype(jnp.int32)
        extents = _extents(cell, over)
        sums = loss_over_time(
            self.in_c, weights, carry, inputs, extents, classes, targets.mask
        )
        return Sums(*sums)


def takes(arrays: Arrays, over: Pass) -> bool:
    """Return whether the C serves a pass: float32, one window, a countable size."""
    steps, batch = over.inputs.shape[:2]
    fits = steps <= MOST_STEPS and steps * batch < 2**31
    single = all(array.dtype == jnp.float32 for array in arrays)
    return fits and single and over.window_starts is None


def _extents(cell: Any, over: Pass) -> jax.Array:
    units = cell.hidden_features if over.num_units is None else over.num_units
    return jnp.stack([over.length, jnp.asarray(units)]).astype(jnp.int32)

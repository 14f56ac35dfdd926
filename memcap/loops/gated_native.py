"""A gated cell over time as one call of C: what lstm_native.py and gru_native.py share. The C is gated.h and
a file for each cell.

For CPUs, in float32, of one window. Under `vmap` members are called one after another.
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
import numpy as np

from memcap.cells import Cell
from memcap.loops import c_library, while_loop
from memcap.loops.base import Carry, Loop, Request, Weights, Windows, run_feature_major
from memcap.loops.c_library import Library
from memcap.loops.while_loop import WhileLoop

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

WORK, SLOTS, TWO_SLOTS, SLOTS_OF_A_BLOCK, WORK_WITH_LOSS = range(5)  # buffers, as `GatedC.size` counts them
MOST_STEPS = 2**24
TESTED = (
    (1, 2, 3, 2, 5, False, False),
    (11, 33, 4, 11, 5, True, False),
    (3, 4, 17, 3, 0, False, False),
    (11, 33, 3, 11, 5, False, True),
    (3, 4, 2, 33, 2, True, True),
    (3, 33, 3, 33, 2, False, True),
)  # T, B, F, U, O (0: hidden states), reals, with a loss
QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0}  # to compile what tests it
APART = 1e-4  # relative; the largest difference from float64 that is rounding
FAR = 1e-5  # by which an array is moved to see how a loss changes


@dataclass(frozen=True)
class GatedC:
    """A cell that C runs.

    Args:
        name: of its source, NAME.c, and in its calls, memcap_NAME_forward.
        words: what it is, "an LSTM".
        blocks: of columns in its weights, each of U columns.
        states: how many arrays its carry has; the last one is h.
        step: the cell to read, in NumPy: x @ kernel + bias and h @ recurrent, each (B, blocks * U), and the
            carry, each (U, B) -> the next carry.
    """

    name: str
    words: str
    blocks: int
    states: int
    step: Callable[[Any, Any, Any], Any]

    @property
    def source(self) -> Path:
        """The file of C."""
        return Path(__file__).with_name(f"{self.name}.c")

    @property
    def calls(self) -> tuple[str, str, str]:
        """Forward, backward, and both with the loss between them."""
        start = f"memcap_{self.name}_"
        return f"{start}forward", f"{start}backward", f"{start}loss"

    @cache  # noqa: B019  (a cell in C is one of the few of this folder)
    def library(self) -> Library:
        """The library, with its calls made known to XLA; once a process.

        Raises:
            LibraryError: it can't be had here; `missing` says so beforehand.
        """
        loaded = c_library.load(self.source, self.calls)
        size = getattr(loaded.handle, f"memcap_{self.name}_size")
        size.restype, size.argtypes = ctypes.c_int64, [ctypes.c_int, *[ctypes.c_int64] * 5, ctypes.c_int]
        return loaded

    @cache  # noqa: B019
    def missing(self) -> str | None:
        """Why this process cannot use it; None: it can. A library that is new here is tested first."""
        return c_library.missing(
            self.library, lambda: all(is_right(self, *sizes) for sizes in TESTED), self.words
        )

    def size(self, which: int, *sizes: int) -> int:
        """Floats of a buffer, of T, F, U, O, B and whether inputs are reals; -1 where they are out of
        range."""
        return getattr(self.library().handle, f"memcap_{self.name}_size")(which, *sizes)


def takes(arrays: tuple[jax.Array, ...], inputs: jax.Array, flow: jax.Array | None) -> bool:
    """Whether C serves a call: float32 weights and carries, one window, and fewer steps than it can count."""
    fits = inputs.shape[0] <= MOST_STEPS and inputs.shape[0] * inputs.shape[1] < 2**31
    return flow is None and fits and all(array.dtype == jnp.float32 for array in arrays)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def over_time(
    cell: GatedC,
    return_sequences: bool,
    weights: Weights,
    carry: Carry,
    inputs: jax.Array,
    counts: jax.Array,
) -> tuple[Carry, jax.Array | None]:
    """Run a cell over the first `length` steps.

    Args:
        cell: with G = blocks * U columns in its weights.
        return_sequences: whether something is returned for every step, the hidden state or what the read-out
            makes of it.
        weights: kernel (F, G), recurrent (U, G), bias (G,), and a read-out (U, O) or None; float32.
        carry: a pytree of (U, B) arrays, the last one h; float32.
        inputs: (T, B) int symbols below F, or (T, B, F) float32.
        counts: (2,) int32, how many of the T steps count, and of the U units; may be traced. Weights of the
            other units, and their carry, must be zero; so is all that comes of them, and their gradients.

    Returns:
        The carry after the steps that count, and the hidden states (T, U, B), or read-outs (T, O, B), zero
        after them; or None.

    Raises:
        LibraryError: it can't be had here; `GatedC.missing` says so beforehand.
        ValueError: as it runs, if a symbol is outside of 0 ... F - 1; or jax.errors.JaxRuntimeError, where
            JAX calls it so.
    """
    return _forward(cell, return_sequences, False, weights, carry, inputs, counts)[:2]


def _forward(
    cell: GatedC,
    return_sequences: bool,
    keep: bool,
    weights: Weights,
    carry: Carry,
    inputs: jax.Array,
    counts: jax.Array,
) -> Any:
    """The carry after the last step, the outputs, and what the backward pass needs, if it is residuals."""
    kernel, recurrent, bias, readout = weights
    states, tree = jax.tree.flatten(carry)
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    rows = 0 if not return_sequences else recurrent.shape[0] if readout is None else readout.shape[1]
    state = jax.ShapeDtypeStruct(states[0].shape, jnp.float32)
    outputs = jax.ShapeDtypeStruct((inputs.shape[0], rows, inputs.shape[-1]), jnp.float32)
    buffers = (
        _buffer(cell, SLOTS if keep else TWO_SLOTS, kernel, matrix, inputs),
        _buffer(cell, WORK, kernel, matrix, inputs),
    )
    operands = kernel, recurrent, bias, matrix, *states, inputs, counts
    *states, outputs, residuals, _ = _call(
        cell, cell.calls[0], (*[state] * len(states), outputs, *buffers), operands
    )
    return jax.tree.unflatten(tree, states), outputs if return_sequences else None, residuals


def _over_time_fwd(
    cell: GatedC,
    return_sequences: bool,
    weights: Weights,
    carry: Carry,
    inputs: jax.Array,
    counts: jax.Array,
) -> Any:
    carry, outputs, residuals = _forward(cell, return_sequences, True, weights, carry, inputs, counts)
    return (carry, outputs), (weights, inputs, counts, residuals)


def _over_time_bwd(
    cell: GatedC, return_sequences: bool, saved: tuple[Any, ...], cotangents: Any
) -> tuple[Any, ...]:
    (kernel, recurrent, bias, readout), inputs, counts, residuals = saved
    carry, d_outputs = cotangents
    states, tree = jax.tree.flatten(carry)
    matrix, inputs = _matrix(recurrent, readout), _time_last(inputs)
    if not return_sequences:
        d_outputs = jnp.zeros((inputs.shape[0], 0, inputs.shape[-1]), jnp.float32)
    slopes = _slopes((kernel, recurrent, bias, matrix, *states), kernel, inputs)
    results = (*slopes, _buffer(cell, WORK, kernel, matrix, inputs))
    operands = kernel, recurrent, matrix, *states, d_outputs, inputs, counts, residuals
    gradients = _call(cell, cell.calls[1], results, operands)
    (*d_weights, d_readout), (*d_states, d_inputs, _) = gradients[:4], gradients[4:]
    d_carry = jax.tree.unflatten(tree, d_states)
    d_weights = *d_weights, None if readout is None else d_readout
    return d_weights, d_carry, _batch_last(d_inputs, inputs), None


over_time.defvjp(_over_time_fwd, _over_time_bwd)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def loss_over_time(
    cell: GatedC,
    weights: tuple[jax.Array, ...],
    carry: Carry,
    inputs: jax.Array,
    counts: jax.Array,
    targets: jax.Array,
    due: jax.Array,
) -> jax.Array:
    """How right a cell and its read-out are at the first `length` steps.

    Args:
        cell, carry, inputs, counts: see `over_time`.
        weights: kernel (F, G), recurrent (U, G), bias (G,), read-out (U, O) and its bias (O,); float32.
        targets: (T, B) int32, the class that is right.
        due: (T, B) bool, whether an answer is.

    Returns:
        (3,) float32, sums over the answers that are due by then: cross entropy in nats, how many are right,
        and how many there are. The first one alone has a gradient, which is computed with it, wanted or not.

    Raises:
        LibraryError, ValueError: as of `over_time`.
    """
    return _loss_fwd(cell, weights, carry, inputs, counts, targets, due)[0]


def _loss_fwd(
    cell: GatedC,
    weights: tuple[jax.Array, ...],
    carry: Carry,
    inputs: jax.Array,
    counts: jax.Array,
    targets: jax.Array,
    due: jax.Array,
) -> Any:
    (kernel, recurrent, bias, readout, readout_bias), inputs = weights, _time_last(inputs)
    states, tree = jax.tree.flatten(carry)
    slopes = _slopes((*weights, *states), kernel, inputs)
    buffers = (_buffer(cell, which, kernel, readout, inputs) for which in (SLOTS_OF_A_BLOCK, WORK_WITH_LOSS))
    results = (*slopes, jax.ShapeDtypeStruct((3,), jnp.float32), *buffers)
    operands = kernel, recurrent, bias, readout, *states, inputs, counts, readout_bias, targets, due
    *slopes, sums, _, _ = _call(cell, cell.calls[2], results, operands)
    d_weights, d_states, d_inputs = tuple(slopes[:5]), slopes[5:-1], slopes[-1]
    return sums, (d_weights, jax.tree.unflatten(tree, d_states), _batch_last(d_inputs, inputs))


def _loss_bwd(cell: GatedC, slopes: Any, cotangent: jax.Array) -> tuple[Any, ...]:
    del cell
    return *jax.tree.map(lambda slope: cotangent[0] * slope, slopes), None, None, None


loss_over_time.defvjp(_loss_fwd, _loss_bwd)


def _slopes(
    arrays: tuple[jax.Array, ...], kernel: jax.Array, inputs: jax.Array
) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shapes of gradients: of arrays, and of inputs (T, F, B), which symbols have none of."""
    steps = inputs.shape[0] if inputs.ndim == 3 else 0
    shapes = *(array.shape for array in arrays), (steps, kernel.shape[0], inputs.shape[-1])
    return tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)


def _batch_last(d_inputs: jax.Array, inputs: jax.Array) -> jax.Array | None:
    """The gradient of inputs as they were, (T, B, F); None of symbols."""
    return jnp.swapaxes(d_inputs, 1, 2) if inputs.ndim == 3 else None


def _matrix(recurrent: jax.Array, readout: jax.Array | None) -> jax.Array:
    """The read-out (U, O); none is one of no outputs."""
    return jnp.zeros((recurrent.shape[0], 0), jnp.float32) if readout is None else readout


def _time_last(inputs: jax.Array) -> jax.Array:
    """Inputs as the C takes them: symbols (T, B) int32, or numbers (T, F, B)."""
    return jnp.swapaxes(inputs, 1, 2) if inputs.ndim == 3 else inputs.astype(jnp.int32)


def _buffer(
    cell: GatedC, which: int, kernel: jax.Array, matrix: jax.Array, inputs: jax.Array
) -> jax.ShapeDtypeStruct:
    """A buffer that the C asks for."""
    sizes = inputs.shape[0], kernel.shape[0], *matrix.shape, inputs.shape[-1], int(inputs.ndim == 3)
    return jax.ShapeDtypeStruct((cell.size(which, *sizes),), jnp.float32)


def _call(
    cell: GatedC, name: str, results: tuple[jax.ShapeDtypeStruct, ...], operands: tuple[jax.Array, ...]
) -> tuple[jax.Array, ...]:
    call = jax.ffi.ffi_call(cell.library().target(name), results, vmap_method="sequential")
    return tuple(call(*operands))


def is_right(
    cell: GatedC, steps: int, batch: int, features: int, units: int, outputs: int, real: bool, with_loss: bool
) -> bool:
    """Whether the C's values and gradients are those of float64, at one size; of no outputs, its hidden
    states; `with_loss`, how right they are.

    A gradient is right if it says how fast a loss changes in a random direction that leans towards it, one
    for each array.
    """
    rng = np.random.default_rng(0)
    columns = cell.blocks * units
    shapes = (
        (features, columns),
        (units, columns),
        (columns,),
        (units, outputs),
        *[(outputs,)] * with_loss,
        *[(units, batch)] * cell.states,
    )
    arrays = [rng.standard_normal(shape, np.float32) for shape in (*shapes, (steps, batch, features))]
    counts = np.array([max(1, steps - 1), units], np.int32)
    symbols = arrays[-1].argmax(-1).astype(np.int32)
    targets = rng.integers(max(1, outputs), size=(steps, batch), dtype=np.int32)
    due = rng.random((steps, batch)) < 0.5
    num_weights = 4 + with_loss

    def in_c(*arrays: Any) -> Any:
        inputs = arrays[-1] if real else symbols
        if with_loss:
            return (loss_over_time(cell, arrays[:5], arrays[5:-1], inputs, counts, targets, due),)
        weights = arrays[:4] if outputs else (*arrays[:3], None)
        carry, sequences = over_time(cell, True, weights, arrays[4:-1], inputs, counts)
        return *carry, sequences

    def in_numpy(*arrays: Any) -> Any:
        *carry, sequences = _in_numpy(cell, *arrays[:4], *arrays[num_weights:], counts[0])
        if not with_loss:
            return *carry, sequences
        due_by_then = due & (np.arange(steps) < counts[0])[:, None]
        return (_sums_in_numpy(sequences + arrays[4][:, None], targets, due_by_then),)

    def values_and_gradients(weighed: Any, *arrays: Any) -> Any:
        values, pullback = jax.vjp(in_c, *arrays)
        return values, pullback(weighed)

    start = [array.astype(float) for array in arrays]
    if not real:
        start[-1] = np.eye(features)[symbols]
    expected = in_numpy(*start)
    weighed = [np.sin(value).astype(np.float32) for value in expected]
    compiled = jax.jit(values_and_gradients).lower(tuple(weighed), *arrays).compile(QUICK)
    values, gradients = jax.tree.map(np.asarray, compiled(tuple(weighed), *arrays))
    right = [
        np.abs(a - b).max() <= APART * (1 + np.abs(b).max()) for a, b in zip(values, expected, strict=True)
    ]
    for k, gradient in enumerate(gradients if real else gradients[:-1]):
        direction = rng.standard_normal(gradient.shape) + np.sign(gradient)  # so that its parts add up
        ends = [[*start[:k], start[k] + far * direction, *start[k + 1 :]] for far in (-FAR, FAR)]
        losses = [sum(map(np.vdot, weighed, in_numpy(*end))) for end in ends]
        parts = gradient * direction
        right.append(
            abs((losses[1] - losses[0]) / (2 * FAR) - parts.sum()) <= APART * (1 + np.abs(parts).sum())
        )
    return all(right)


def _in_numpy(
    cell: GatedC, kernel: Any, recurrent: Any, bias: Any, readout: Any, *carry_inputs_steps: Any
) -> Any:
    """The cell to read: its carry, (U, B) each, after so many steps of inputs (T, B, F), and all read-outs,
    or hidden states."""
    *carry, inputs, steps = carry_inputs_steps
    outputs = np.zeros((len(inputs), readout.shape[1] or len(recurrent), inputs.shape[1]))
    for t in range(steps):
        carry = cell.step(inputs[t] @ kernel + bias, carry[-1].T @ recurrent, carry)
        outputs[t] = readout.T @ carry[-1] if readout.size else carry[-1]
    return *carry, outputs


def _sums_in_numpy(outputs: Any, targets: Any, due: Any) -> np.ndarray:
    """Of outputs (T, O, B), the sums of `loss_over_time`."""
    at = np.take_along_axis(outputs, targets[:, None], 1)[:, 0]
    losses = np.log(np.exp(outputs).sum(1)) - at
    return np.array([losses[due].sum(), (outputs.argmax(1) == targets)[due].sum(), due.sum()])


class GatedNative(WhileLoop):
    """A gated cell on CPUs in C: the fastest loop there is. Compiled for the machine at hand, its rows repeat
    to the bit there alone.

    Attributes:
        in_c: the cell.
        xla: the loop that runs what C can't count or hold, such as float64.
    """

    name = "native"
    reproducible = False
    takes_symbols = fuses_readout = fuses_loss = True
    # measured with the LSTM on a core of an AMD EPYC (Zen 4), `python -m benchmarks cells`; it is the
    # optimizer's time, which a cell's equations do not change
    seconds_per_padded_weight = 3e-9
    in_c: GatedC
    xla: Loop = while_loop.LOOP

    def weights(self, cell: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Kernel, recurrent weights and bias of a cell; see `over_time`."""
        raise NotImplementedError

    def refuses(self, request: Request) -> str | None:
        """See `Loop.refuses`."""
        if request.platform != "cpu":
            return "it is for CPUs"
        return "it knows no windows" if request.windows else None

    def missing(self) -> str | None:
        """See `Loop.missing`."""
        return self.in_c.missing()

    def version(self) -> str:
        """The library's name."""
        return self.in_c.library().name

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
        """See `Loop.run`."""
        weights = self.weights(cell)
        if not takes((*weights, *jax.tree.leaves(carry)), inputs, flow):
            return self.xla(
                cell,
                inputs,
                initial_carry=carry,
                seq_lengths=length,
                windows=None if flow is None else Windows(flow == 0, reset),
                return_sequences=return_sequences,
                readout=readout,
                num_units=num_units,
            )
        counts = _counts(cell, length, num_units)

        def run_in_c(weights: Weights, carry: Carry, inputs: jax.Array) -> Any:
            return over_time(self.in_c, return_sequences, weights, carry, inputs, counts)

        return run_feature_major(run_in_c, weights, carry, inputs, readout, fuses=return_sequences)

    def loss_and_score_sums(
        self,
        cell: Cell,
        carry: Any,
        inputs: Int[Array, "T B"] | Float[Array, "T B F"],
        length: Int[Array, ""],
        *,
        readout: tuple[Float[Array, "H O"], Float[Array, " O"]],
        targets: Int[Array, "T B"],
        due: Bool[Array, "T B"],
        num_units: Int[Array, ""] | None,
    ) -> Float[Array, 3] | None:
        """See `Loop.loss_and_score_sums`."""
        weights = *self.weights(cell), *readout
        if not takes((*weights, *jax.tree.leaves(carry)), inputs, None):
            return None
        inputs = inputs if inputs.ndim == 2 else inputs.astype(jnp.float32)
        carry, targets = jax.tree.map(lambda state: state.T, carry), targets.astype(jnp.int32)
        return loss_over_time(
            self.in_c, weights, carry, inputs, _counts(cell, length, num_units), targets, due
        )


def _counts(cell: Any, length: jax.Array, num_units: jax.Array | None) -> jax.Array:
    """Steps that count, and units: (2,) int32."""
    units = jnp.asarray(cell.hidden_features if num_units is None else num_units)
    return jnp.stack([length, units]).astype(jnp.int32)

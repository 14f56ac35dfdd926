"""The test that a gated cell in C must pass on this machine before it is used: its
values and gradients must equal those of its step in NumPy, in float64."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from memcap.loops.gated_native import GatedC, loss_over_time, over_time

QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0}  # for compiling the test
TOLERANCE = 1e-4  # relative; a larger difference from float64 is no rounding
NUDGE = 1e-5  # by which an array is moved to see how a loss changes


class Case(NamedTuple):
    """Sizes at which the C is tested; with no outputs, its hidden states are tested."""

    steps: int
    batch: int
    features: int
    units: int
    outputs: int
    vectors: bool
    with_loss: bool


CASES = (
    Case(1, 2, 3, 2, 5, False, False),
    Case(11, 33, 4, 11, 5, True, False),
    Case(3, 4, 17, 3, 0, False, False),
    Case(11, 33, 3, 11, 5, False, True),
    Case(3, 4, 2, 33, 2, True, True),
    Case(3, 33, 3, 33, 2, False, True),
)


def all_right(cell: GatedC) -> bool:
    """Return whether the C's values and gradients equal those of float64 at all tested sizes."""
    return all(is_right(cell, case) for case in CASES)


def is_right(cell: GatedC, case: Case) -> bool:
    """Return whether the C's values and gradients equal those of float64 at one size. A
    gradient is right if it says how fast a loss changes in a random direction that
    leans towards it, one per array."""
    rng = np.random.default_rng(0)
    arrays = _draw(cell, case, rng)
    symbols = arrays[-1].argmax(-1).astype(np.int32)
    in_c, in_numpy = _both(cell, case, symbols, rng)
    start = [array.astype(float) for array in arrays]
    if not case.vectors:
        start[-1] = np.eye(case.features)[symbols]
    expected = in_numpy(*start)
    weighed = [np.sin(value).astype(np.float32) for value in expected]

    def values_and_gradients(weighed: Any, *arrays: Any) -> Any:
        values, pullback = jax.vjp(in_c, *arrays)
        return values, pullback(weighed)

    compiled = (
        jax.jit(values_and_gradients).lower(tuple(weighed), *arrays).compile(QUICK)
    )
    values, gradients = jax.tree.map(np.asarray, compiled(tuple(weighed), *arrays))
    pairs = zip(values, expected, strict=True)
    right = [np.abs(a - b).max() <= TOLERANCE * (1 + np.abs(b).max()) for a, b in pairs]
    for k, gradient in enumerate(gradients if case.vectors else gradients[:-1]):
        # so that its parts add up
        direction = rng.standard_normal(gradient.shape) + np.sign(gradient)
        ends = [
            [*start[:k], start[k] + far * direction, *start[k + 1 :]]
            for far in (-NUDGE, NUDGE)
        ]
        losses = [sum(map(np.vdot, weighed, in_numpy(*end))) for end in ends]
        parts = gradient * direction
        slope = (losses[1] - losses[0]) / (2 * NUDGE)
        right.append(abs(slope - parts.sum()) <= TOLERANCE * (1 + np.abs(parts).sum()))
    return all(right)


def _draw(cell: GatedC, case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    columns = cell.blocks * case.units
    shapes = (
        (case.features, columns),
        (case.units, columns),
        (columns,),
        (case.units, case.outputs),
        *[(case.outputs,)] * case.with_loss,
        *[(case.units, case.batch)] * cell.states,
        (case.steps, case.batch, case.features),
    )
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def _both(
    cell: GatedC, case: Case, symbols: np.ndarray, rng: np.random.Generator
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the C and the NumPy cell as functions of the arrays of `_draw`: carry and
    outputs, or the sums of the loss. T - 1 steps count."""
    extents = np.array([max(1, case.steps - 1), case.units], np.int32)
    targets = rng.integers(max(1, case.outputs), size=symbols.shape, dtype=np.int32)
    due = rng.random(symbols.shape) < 0.5
    num_weights = 4 + case.with_loss

    def in_c(*arrays: Any) -> Any:
        inputs = arrays[-1] if case.vectors else symbols
        if case.with_loss:
            return (
                loss_over_time(
                    cell, arrays[:5], arrays[5:-1], inputs, extents, targets, due
                ),
            )
        weights = arrays[:4] if case.outputs else (*arrays[:3], None)
        carry, sequences = over_time(cell, True, weights, arrays[4:-1], inputs, extents)
        return *carry, sequences

    def in_numpy(*arrays: Any) -> Any:
        carry, outputs = _in_numpy(
            cell, arrays[:4], arrays[num_weights:-1], arrays[-1], extents[0]
        )
        if not case.with_loss:
            return *carry, outputs
        due_by_then = due & (np.arange(case.steps) < extents[0])[:, None]
        return (_sums_in_numpy(outputs + arrays[4][:, None], targets, due_by_then),)

    return in_c, in_numpy


def _in_numpy(cell: GatedC, weights: Any, carry: Any, inputs: Any, steps: int) -> Any:
    """Run the NumPy cell; return its carry, (U, B) each, after `steps` steps of inputs
    (T, B, F), and all read-outs, or hidden states."""
    kernel, recurrent, bias, readout = weights
    outputs = np.zeros(
        (len(inputs), readout.shape[1] or len(recurrent), inputs.shape[1])
    )
    for t in range(steps):
        carry = cell.step(inputs[t] @ kernel + bias, carry[-1].T @ recurrent, carry)
        outputs[t] = readout.T @ carry[-1] if readout.size else carry[-1]
    return carry, outputs


def _sums_in_numpy(outputs: Any, targets: Any, due: Any) -> np.ndarray:
    """Return the sums of `loss_over_time` for outputs (T, O, B)."""
    at = np.take_along_axis(outputs, targets[:, None], 1)[:, 0]
    losses = np.log(np.exp(outputs).sum(1)) - at
    return np.array(
        [losses[due].sum(), (outputs.argmax(1) == targets)[due].sum(), due.sum()]
    )

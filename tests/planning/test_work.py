"""The masked loops do no work that grows with the buffer at a step, however many
lengths lie side by side."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from hlo import time_loops

from memcap.cells import cell_class
from memcap.loops.base import Pass
from memcap.loops.lstm_masked import lstm_masked
from memcap.loops.lstm_while import lstm_while
from memcap.loops.masked_scan import masked
from memcap.loops.stepwise import step_of, stepwise
from memcap.loops.while_loop import trip_count

# no other size here is 37
T = 37
B = 3
F = 4
U = 5
LENGTHS = np.array([20, T, 1])


def of_the_buffer(run: Callable, *arguments: Any) -> set[str]:
    """Kinds of operations in loops over time that make an array with an axis of T,
    other than by replacing a row of it, in the program that XLA makes for a CPU."""
    with jax.default_device(jax.devices("cpu")[0]):
        loops = time_loops(jax.jit(run).lower(*arguments).compile().as_text(), T)
    assert len(loops) == 2  # forward and back
    return {operation.op for loop in loops for operation in loop.whole}


def material(real: bool, windows: bool) -> tuple:
    """Inputs, lengths and carry factors of three members."""
    rng = np.random.default_rng(0)
    inputs = (
        rng.standard_normal((3, T, B, F)).astype(np.float32)
        if real
        else rng.integers(0, F, (3, T, B), np.int32)
    )
    return (
        inputs,
        LENGTHS,
        (np.arange(T) % 5 != np.arange(3)[:, None]).astype(np.float32)
        if windows
        else None,
    )


def summed(carry: Any, outputs: Any) -> jax.Array:
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves((carry, outputs)))


def of_lstm_scan(
    static: bool, every: bool, real: bool, windows: bool, read: bool
) -> set[str]:
    """What `of_the_buffer` finds in value and gradient of the LSTM over three members of several
    lengths."""

    def loss(weights, carry, inputs, length, factors):
        run = lstm_masked if static else lstm_while
        over = Pass(inputs, length, reset_carry=windows, return_sequences=every)
        return summed(*run(weights, carry, over, factors))

    weights = (
        *(
            np.ones((3, *shape), np.float32)
            for shape in ((F, 4 * U), (U, 4 * U), (4 * U,))
        ),
        None,
    )
    if read:
        weights = *weights[:3], np.ones((3, U, 2), np.float32)
    carry = np.ones((3, U, B), np.float32), np.ones((3, U, B), np.float32)
    gradient = jax.value_and_grad(loss, (0, 1, 2) if real else (0, 1))
    return of_the_buffer(jax.vmap(gradient), weights, carry, *material(real, windows))


def of_cell_scan(static: bool, every: bool, windows: bool) -> set[str]:
    """The same of `stepwise`, with a GRU."""
    kind: Any = cell_class("GRUCell")
    graph, weights = nnx.split(kind(F, U, rngs=nnx.Rngs(0)))
    weights, carry = jax.tree.map(
        lambda leaf: np.stack([leaf] * 3), (weights, np.ones((B, U), np.float32))
    )

    def loss(weights, carry, inputs, length, factors):
        drive = masked if static else trip_count
        over = Pass(inputs, length, reset_carry=windows, return_sequences=every)
        return summed(*stepwise(drive, step_of(graph), weights, carry, over, factors))

    return of_the_buffer(
        jax.vmap(jax.value_and_grad(loss, (0, 1, 2))),
        weights,
        carry,
        *material(True, windows),
    )


RUNS = {
    "lstm-last-symbols": partial(
        of_lstm_scan, every=False, real=False, windows=False, read=False
    ),
    "lstm-every-symbols-readout": partial(
        of_lstm_scan, every=True, real=False, windows=False, read=True
    ),
    "lstm-every-reals-readout": partial(
        of_lstm_scan, every=True, real=True, windows=False, read=True
    ),
    "lstm-every-reals-windows": partial(
        of_lstm_scan, every=True, real=True, windows=True, read=False
    ),
    "gru-last": partial(of_cell_scan, every=False, windows=False),
    "gru-every-windows": partial(of_cell_scan, every=True, windows=True),
}


@pytest.mark.parametrize("name", leave(RUNS, but="lstm-every-reals-readout".__eq__))
def test_a_step_reads_and_writes_its_own_row_of_a_buffer(name):
    """It selects and copies no buffer: that would make each step cost as much as the
    sequence is long."""
    assert RUNS[name](True) == set()


@pytest.mark.parametrize("name", ["lstm-last-symbols", "gru-last"])
def test_a_trip_count_a_member_selects_and_copies_whole_buffers(name):
    """What the way "loop" becomes under `vmap`: the reason for the way "scan", and a
    check on the test above."""
    assert {"select", "copy"} <= RUNS[name](False)

"""Runs of a cell, or a network, over time by one of memcap's loops."""

from typing import NamedTuple

import jax.numpy as jnp

from memcap import loops
from memcap.loops import Pass, Readout


class Sizes(NamedTuple):
    """The sizes of a call: steps, those that count, sequences, features, units,
    outputs; whether inputs are vectors, and what is returned."""

    T: int
    steps: int
    B: int
    F: int
    U: int
    O: int  # noqa: E741
    vectors: bool
    returned: str


def pass_over(inputs, length=None, starts=None, reset=False, every=True, **options):
    """A pass over inputs.

    Args:
        length: how many steps count (default all).
        starts: (T,) bool, where windows begin, or None; reset: whether the carry is zero there.
        every: whether sequences are returned.
        options: `readout`, a kernel, and `num_units`.
    """
    kernel = options.pop("readout", None)
    readout = (
        None
        if kernel is None
        else Readout(kernel, jnp.zeros(kernel.shape[1], kernel.dtype))
    )
    length = jnp.asarray(len(inputs) if length is None else length)
    return Pass(inputs, length, starts, reset, every, readout, **options)


def run_loop(name, cell, inputs, carry, **options):
    """The carry after the last step that counts, and hidden states (T, H, B) or the
    last one (H, B).

    Args:
        name: of the loop.
        options: of `pass_over`.
    """
    over = pass_over(inputs, **options)
    loop = loops.resolve(
        name, loops.Request(type(cell), "cpu", over.window_starts is not None)
    )
    return loop(cell, carry, over)

"""How tests run a cell over time by one of memcap's loops."""

from typing import NamedTuple

import jax.numpy as jnp

from memcap import loops


class Sizes(NamedTuple):
    """Of a call: steps, those that count, sequences, features, units, outputs; whether inputs are reals; what
    is returned."""

    T: int
    steps: int
    B: int
    F: int
    U: int
    O: int  # noqa: E741
    real: bool
    returned: str


def run_loop(name, cell, inputs, carry, length=None, starts=None, reset=False, **options):
    """The carry after `length` steps (default all), and hidden states (T, H, B) or the last one (H, B).

    Args:
        name: of the loop.
        starts: (T,) bool, where windows begin, or None; reset: as of `memcap.loops.Windows`.
        options: of `memcap.loops.Loop.__call__`.
    """
    loop = loops.resolve(name, loops.Request(type(cell), "cpu", starts is not None))
    windows = None if starts is None else loops.Windows(starts, reset)
    length = jnp.asarray(len(inputs) if length is None else length)
    return loop(cell, inputs, initial_carry=carry, seq_lengths=length, windows=windows, **options)

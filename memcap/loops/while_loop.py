"""A loop whose trip count is an operand, for any cell: one program serves every length.

For CPUs, one member after another: with a trip count per member, `vmap` would copy
every buffer at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax import lax

from memcap.cells import Cell
from memcap.loops.base import Loop, Pass, read_row, write_row
from memcap.loops.stepwise import run_stepwise

if TYPE_CHECKING:
    from memcap.loops.base import CarryAndOutputs


def trip_count(
    body: Any, state: Any, xs: Any, ys: Any, length: jax.Array, backwards: bool
) -> tuple[Any, Any]:
    """Go over the first `length` rows only; see `stepwise`."""

    def step(k: jax.Array, both: tuple[Any, Any]) -> tuple[Any, Any]:
        state, ys = both
        t = length - 1 - k if backwards else k
        x = jax.tree.map(lambda buffer: read_row(buffer, t), xs)
        state, y = body(state, t, True, x)
        return state, jax.tree.map(lambda buffer, row: write_row(buffer, row, t), ys, y)

    return lax.fori_loop(0, length, step, (state, ys))


class WhileLoop(Loop):
    """Any cell, on CPUs; on any device if chosen by name."""

    name = "while"
    chosen_on = ("cpu",)
    reproducible = True
    under_vmap = False

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        return run_stepwise(trip_count, cell, carry, over)


LOOP = WhileLoop()

"""`lax.scan` over all T steps of the buffer, for any cell, with the gradient written out.

A length masks the small carry only, so that members of several lengths side by side each read and write their
own step of a buffer. For GPUs and TPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from memcap.cells import Cell
from memcap.loops.base import Loop, run_stepwise, select

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


def masked(body: Any, state: Any, xs: Any, ys: Any, length: jax.Array, backwards: bool) -> tuple[Any, Any]:
    """Go over all T rows; from `length` on the state stands still. See `stepwise`."""

    def step(state: Any, row: tuple[jax.Array, jax.Array, Any]) -> tuple[Any, Any]:
        t, valid, x = row
        new, y = body(state, t, valid, x)
        return select(valid, new, state), y

    t = jnp.arange(jax.tree.leaves((xs, ys))[0].shape[0])
    # compared in the step, it would be a kernel more
    return lax.scan(step, state, (t, t < length, xs), reverse=backwards)


class MaskedScan(Loop):
    """Any cell, members side by side: on accelerators, and where it is asked for by name."""

    name = "masked"
    chosen_on = ("gpu", "tpu")
    reproducible = True
    fallback = "masked"

    def side_by_side(self, platform: str) -> bool:
        """See `Loop.side_by_side`."""
        del platform
        return True

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
        del readout, num_units
        return run_stepwise(masked, cell, carry, inputs, length, flow, reset, return_sequences)


LOOP = MaskedScan()

"""`lax.scan` over all T steps, for any cell, on GPUs and TPUs; the gradient written
out.

The length masks only the small carry, so that members of several lengths run side by
side. On GPUs rows are written into buffers that are only allocated, where `lax.scan`
would first fill them with zeros. Every row is written, so that no old content is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from memcap.cells import Cell
from memcap.loops.base import Loop, Pass, read_row, select, write_row
from memcap.loops.stepwise import run_stepwise

if TYPE_CHECKING:
    from memcap.loops.base import CarryAndOutputs


def masked(
    body: Any, state: Any, xs: Any, ys: Any, length: jax.Array, backwards: bool
) -> tuple[Any, Any]:
    """Go over all T rows; the state stays from `length` on. See `stepwise`."""
    steps = jax.tree.leaves((xs, ys))[0].shape[0]

    def scan_rows(state: Any, xs: Any) -> tuple[Any, Any]:
        def step(state: Any, row: tuple[jax.Array, jax.Array, Any]) -> tuple[Any, Any]:
            t, valid, x = row
            new, y = body(state, t, valid, x)
            return select(valid, new, state), y

        t = jnp.arange(steps)
        # a comparison in the step would cost another kernel
        return lax.scan(step, state, (t, t < length, xs), reverse=backwards)

    def write_rows(state: Any, xs: Any) -> tuple[Any, Any]:
        def step(k: jax.Array, both: tuple[Any, Any]) -> tuple[Any, Any]:
            state, ys = both
            t = steps - 1 - k if backwards else k
            valid = t < length
            x = jax.tree.map(lambda buffer: read_row(buffer, t), xs)
            new, row = body(state, t, valid, x)
            ys = jax.tree.map(lambda *to: write_row_in_place(*to, t), ys, row)
            return select(valid, new, state), ys

        empty = jax.tree.map(lambda buffer: lax.empty(buffer.shape, buffer.dtype), ys)
        return lax.fori_loop(0, steps, step, (state, empty))

    return lax.platform_dependent(state, xs, cuda=write_rows, default=scan_rows)


@custom_vmap
def write_row_in_place(buffer: jax.Array, row: jax.Array, t: jax.Array) -> jax.Array:
    """Write a row at a `t` that all members share.

    JAX's own rule would make it a scatter, for which XLA reads the row first.
    """
    return write_row(buffer, row, t)


@write_row_in_place.def_vmap
def _write_rows(
    members: int, batched: Any, buffer: jax.Array, row: jax.Array, t: jax.Array
) -> tuple[jax.Array, bool]:
    buffer, row = (
        value if has_members else jnp.broadcast_to(value, (members, *value.shape))
        for value, has_members in zip((buffer, row), batched, strict=False)
    )
    return lax.dynamic_update_index_in_dim(buffer, row, t, 1), True


class MaskedScan(Loop):
    """Any cell, members side by side: on accelerators, or if chosen by name."""

    name = "masked"
    chosen_on = ("gpu", "tpu")
    reproducible = True
    fallback = "masked"
    under_vmap = True

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        return run_stepwise(masked, cell, carry, over)


LOOP = MaskedScan()

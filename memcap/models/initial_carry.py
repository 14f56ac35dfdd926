"""A learned initial carry: parameters beside the weights.

    carry = network.carry(batch)        the same for all sequences, with the shapes of
                                        the cell's own

Its gradient comes from the loop over time: every loop returns the gradient of the carry
that it is given.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class InitialCarry(nnx.Module):
    """The carry of a cell before the first step. Its arrays are parameters part_0,
    part_1, ..., in the order of its leaves, and at least float32. They start with the
    cell's own initial carry for one sequence, arrays (1, ...). Integers, such as a
    clock, have no gradient: they stay the cell's own."""

    def __init__(self, own: Any):
        for name, leaf in _parts(own):
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                setattr(
                    self,
                    name,
                    nnx.Param(
                        leaf[0].astype(jnp.promote_types(leaf.dtype, jnp.float32))
                    ),
                )

    def __call__(self, own: Any) -> Any:
        """Return the cell's own carry for B sequences, arrays (B, ...), with the
        parameters put in."""
        leaves = [
            (
                jnp.broadcast_to(
                    getattr(self, name)[...].astype(leaf.dtype), leaf.shape
                )
                if hasattr(self, name)
                else leaf
            )
            for name, leaf in _parts(own)
        ]
        return jax.tree.unflatten(jax.tree.structure(own), leaves)


def _parts(carry: Any) -> list[tuple[str, jax.Array]]:
    return [
        (f"part_{place}", leaf) for place, leaf in enumerate(jax.tree.leaves(carry))
    ]

"""A carry before the first step that is learned: parameters beside the weights.

    carry = network.carry(batch)        the same for all sequences, in the shapes of the cell's own

Its gradient comes out of the loop over time, each of which has that of the carry it is given.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class InitialCarry(nnx.Module):
    """The carry of a cell before the first step. Of each of its arrays, in the order of its leaves, there is
    a parameter part_0, part_1, ..., in float32 at least. Whole numbers, such as a clock, have no gradient:
    they stay the cell's own.

    Args:
        own: the cell's own of one sequence, arrays (1, ...), where the parameters begin.
    """

    def __init__(self, own: Any):
        for name, leaf in _parts(own):
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                setattr(self, name, nnx.Param(leaf[0].astype(jnp.promote_types(leaf.dtype, jnp.float32))))

    def __call__(self, own: Any) -> Any:
        """Return the cell's own of B sequences, arrays (B, ...), with the parameters in their places."""
        leaves = [
            jnp.broadcast_to(getattr(self, name)[...].astype(leaf.dtype), leaf.shape)
            if hasattr(self, name)
            else leaf
            for name, leaf in _parts(own)
        ]
        return jax.tree.unflatten(jax.tree.structure(own), leaves)


def _parts(carry: Any) -> list[tuple[str, jax.Array]]:
    return [(f"part_{place}", leaf) for place, leaf in enumerate(jax.tree.leaves(carry))]

"""Cells whose units do not see each other's past: h' = a h + b, number by number, with a and b of the input
alone. On accelerators they go over time by a parallel scan: memcap/loops/associative.py.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell


class DiagonalCell(Cell):
    """Base of the cells with h' = a h + b; a subclass has `coefficients`, and `seen` if it does not show h
    itself.

    The carry is h, one array (B, U).
    """

    def coefficients(self, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Decay a, (..., U) or one that broadcasts to it, and what is added b, (..., U), of inputs (...,
        F)."""
        raise NotImplementedError

    def seen(self, state: jax.Array) -> jax.Array:
        """The hidden state (..., H) that a carry (..., U) shows."""
        return state

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One step: carry (B, U), inputs (B, F) -> carry, hidden (B, H)."""
        decay, added = self.coefficients(inputs)
        carry = decay * carry + added
        return carry, self.seen(carry)


class GatedDiagonalCell(DiagonalCell):
    """Base of the minimal gated cells: one kernel (F, G U) and one bias (G U,) for all G gates, named in
    `gates`."""

    can_pad = True

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        assert self.gates is not None
        self.in_features, self.hidden_features = in_features, hidden_features
        width = len(self.gates.roles) * hidden_features
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), (in_features, width)))
        self.bias = nnx.Param(nnx.initializers.zeros_init()(rngs.params(), (width,)))

    def blocks(self, inputs: jax.Array) -> list[jax.Array]:
        """What each gate sees of inputs (..., F): (..., U) each, in the order of the roles."""
        assert self.gates is not None
        return jnp.split(inputs @ self.kernel[...] + self.bias[...], len(self.gates.roles), -1)

"""Cells whose units do not see each other's past, for parallel scans over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step, draw_param

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Inexact

    Coefficients: TypeAlias = tuple[Inexact[Array, "... U"], Inexact[Array, "*T U"]]


class DiagonalCell(Cell):
    """Base of the cells with h' = a h + b, elementwise; the carry is h, one array (B,
    U).

    a and b depend only on the input. A subclass has `coefficients`, and `hidden_of` if
    its hidden state is not h.
    """

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        """Return the decay a, or an array that broadcasts to it, and the added b."""
        raise NotImplementedError

    def hidden_of(self, state: Inexact[Array, "*T U"]) -> Float[Array, "*T H"]:
        return state

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        decay, added = self.coefficients(inputs)
        carry = decay * carry + added
        return carry, self.hidden_of(carry)


class GatedDiagonalCell(DiagonalCell):
    """Base of the minimal gated cells: one kernel (F, G U) and one bias (G U,) for all
    G gates of `gates`."""

    can_pad = True

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        assert self.gates is not None
        self.in_features = in_features
        self.hidden_features = hidden_features
        width = len(self.gates.roles) * hidden_features
        self.kernel = draw_param(rngs, in_features, width)
        self.bias = nnx.Param(jnp.zeros(width))

    def blocks(self, inputs: Float[Array, "*T F"]) -> list[Float[Array, "*T U"]]:
        """Return the gates before their nonlinearities, in the order of the roles."""
        assert self.gates is not None
        summed = inputs @ self.kernel[...] + self.bias[...]
        return jnp.split(summed, len(self.gates.roles), -1)

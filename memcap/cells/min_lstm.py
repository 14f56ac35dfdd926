"""minLSTM (Feng et al., 2024, "Were RNNs all we needed?"): an LSTM whose gates see only
the input and add up to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import lax

from memcap.cells.diagonal import GatedDiagonalCell
from memcap.cells.gates import Gates

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from memcap.cells.diagonal import Coefficients


class MinLSTM(GatedDiagonalCell):
    """h' = f / (f + i) h + i / (f + i) (W x + b), with f and i sigmoids of the input.
    No output gate, and one number per unit.

    For f = sigmoid(u) and i = sigmoid(v), f / (f + i) is computed as (1 + exp(-v)) / (2
    + exp(-u) + exp(-v)), with all terms divided by the largest of them: if both gates
    were shut, the quotient itself would be 0 / 0.
    """

    name = "minLSTM"
    gates = Gates(("forget", "input", "candidate"), recurrent=None)

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        """Return f / (f + i), and i / (f + i) times the candidate."""
        u, v, candidate = self.blocks(inputs)
        largest = lax.stop_gradient(jnp.maximum(0, jnp.maximum(-u, -v)))
        one = jnp.exp(-largest)
        of_u = jnp.exp(-u - largest)
        of_v = jnp.exp(-v - largest)
        whole = 2 * one + of_u + of_v
        return (one + of_v) / whole, (one + of_u) / whole * candidate

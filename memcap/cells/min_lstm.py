"""minLSTM (Feng et al., 2024, "Were RNNs all we needed?"): gates see only inputs."""

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

    There is no output gate. The quotients are computed from exponentials, divided by
    the largest of them: if both gates were shut, they would be 0 / 0.
    """

    name = "minLSTM"
    gates = Gates(("forget", "input", "candidate"), recurrent=None)

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        u, v, candidate = self.blocks(inputs)
        largest = lax.stop_gradient(jnp.maximum(0, jnp.maximum(-u, -v)))
        one = jnp.exp(-largest)
        of_u = jnp.exp(-u - largest)
        of_v = jnp.exp(-v - largest)
        whole = 2 * one + of_u + of_v
        return (one + of_v) / whole, (one + of_u) / whole * candidate

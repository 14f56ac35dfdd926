"""minGRU (Feng et al., 2024, "Were RNNs all we needed?"): a gate sees only inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memcap.cells.diagonal import GatedDiagonalCell
from memcap.cells.gates import Gates
from memcap.cells.lstm import sigmoid

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from memcap.cells.diagonal import Coefficients


class MinGRU(GatedDiagonalCell):
    """h' = z h + (1 - z) (W x + b), z = sigmoid(W_z x + b_z): z keeps, as in Flax's
    GRU; in the paper 1 - z does.

    The candidate is linear and may be negative; only the paper's version in log space
    makes it positive.
    """

    name = "minGRU"
    gates = Gates(("forget", "candidate"), recurrent=None)

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        z, candidate = self.blocks(inputs)
        return sigmoid(z), sigmoid(-z) * candidate

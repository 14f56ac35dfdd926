"""minGRU (Feng et al., 2024, "Were RNNs all we needed?"): a GRU whose gate sees the input alone."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.diagonal import DiagonalCell
from memcap.cells.gates import Gates
from memcap.cells.plain import sigmoid


class MinGRU(DiagonalCell):
    """h' = z h + (1 - z) (W x + b), z = sigmoid(W_z x + b_z): z keeps, as in Flax's GRU; in the paper 1 - z does.

    The candidate is linear and may be negative, as in the paper's algorithm; only its version in log space makes it positive.
    """

    name: ClassVar[str] = "minGRU"
    gates = Gates(("forget", "candidate"), ("kernel",), None, ("bias",))
    pads = True

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features, self.hidden_features = in_features, hidden_features
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), (in_features, 2 * hidden_features)))
        self.bias = nnx.Param(nnx.initializers.zeros_init()(rngs.params(), (2 * hidden_features,)))

    def coefficients(self, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """z, and (1 - z) times the candidate."""
        z, candidate = jnp.split(inputs @ self.kernel[...] + self.bias[...], 2, -1)
        return sigmoid(z), sigmoid(-z) * candidate

"""The Real-Gated Linear Recurrent Unit of Griffin: one real number per unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import draw_param
from memcap.cells.diagonal import DiagonalCell

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from memcap.cells.diagonal import Coefficients

SHARPNESS = 8.0  # power of the decay where its gate is open
# below it sqrt(1 - a^2) is a line, so that its slope is at most 1000
LEAST_SQUARE = 1e-6


class RGLRU(DiagonalCell):
    """h' = a h + sqrt(1 - a^2) i v with v = W x + b, a = exp(-8 r softplus(l)) and
    sigmoids i and r of linear maps of v; l is learned.

    exp(-softplus(l)) starts with a square that is uniform from R_MIN^2 to R_MAX^2.
    Source: De et al. (2024), "Griffin", arXiv 2402.19427, and
    recurrentgemma/jax/layers.py, where the maps of v have blocks, one for each head,
    and a first input has a factor of 1 in place of sqrt(1 - a^2).

    Left out, and in no variant: the convolution over four steps between W and v, and
    the other branch, GeLU of a linear map, by which h is multiplied.
    """

    name = "RG_LRU"
    R_MIN = 0.9
    R_MAX = 0.999

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        units = hidden_features
        low = self.R_MIN**2
        high = self.R_MAX**2
        squared = jax.random.uniform(rngs.params(), (units,), minval=low, maxval=high)
        self.rate = nnx.Param(jnp.log(jax.lax.rsqrt(squared) - 1))
        self.kernel = draw_param(rngs, in_features, units)
        self.bias = nnx.Param(jnp.zeros(units))
        self.gate = draw_param(rngs, units, 2 * units)
        self.gate_bias = nnx.Param(jnp.zeros(2 * units))

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        value = inputs @ self.kernel[...] + self.bias[...]
        gates = nnx.sigmoid(value @ self.gate[...] + self.gate_bias[...])
        write, forget = jnp.split(gates, 2, -1)
        log_decay = -SHARPNESS * forget * nnx.softplus(self.rate[...])
        square = -jnp.expm1(2 * log_decay)
        root = square * jax.lax.rsqrt(jnp.maximum(square, LEAST_SQUARE))
        return jnp.exp(log_decay), root * write * value

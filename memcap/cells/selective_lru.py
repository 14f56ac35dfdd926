"""An LRU whose step size depends on the input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import draw_param
from memcap.cells.lru import LRU

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from memcap.cells.diagonal import Coefficients


class SelectiveLRU(LRU):
    """h' = lambda^d h + d gamma B x, with d = softplus(W_d x + b_d) for each unit: at d
    = 0 the state stays and x is ignored.

    This is the selection of Mamba (Gu & Dao, 2023, algorithm 2, S6; d is its Delta) on
    the recurrence of Orvieto et al. (2023). b_d starts where d = 1; with W_d = 0 it is
    the LRU. In Mamba B and the read-out C depend on the input as well; for one-hot
    inputs B x is any function of the symbol here, too. Mamba's lambda is real by
    default, with 16 numbers per channel.
    """

    name = "selective_LRU"

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.step_kernel = draw_param(rngs, in_features, hidden_features)
        self.step_bias = nnx.Param(jnp.full((hidden_features,), math.log(math.e - 1)))

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        step = nnx.softplus(inputs @ self.step_kernel[...] + self.step_bias[...])
        return jnp.exp(step * self.exponent()), step * super().coefficients(inputs)[1]

"""Gated linear attention: each number of a key has a decay of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from memcap.cells.additive import AdditiveCell
from memcap.cells.matrix import Gate

if TYPE_CHECKING:
    from flax import nnx
    from jaxtyping import Array, Float

TEMPERATURE = 16.0  # of the root of a gate, which then starts near 1


class GatedLinearAttention(AdditiveCell):
    """S' = diag(a) S + k v^T with K numbers a = sigmoid(W x + c)^(1 / 16).

    Source: Yang et al. (2024), "Gated linear attention transformers", arXiv 2312.06635,
    where W has rank 16; here it has any. k and q are not normalised.
    """

    name = "gla"
    qk_l2_norm = False

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        return [0.0] * self.keys

    def decay_and_strength(
        self, gates: list[Gate]
    ) -> tuple[Float[Array, "*T B K"], None]:
        return jax.nn.log_sigmoid(jnp.stack(gates, axis=-1)) / TEMPERATURE, None

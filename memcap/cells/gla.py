"""Gated linear attention as a recurrent cell: each number of a key decays by a factor of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp

from memcap.cells.additive import AdditiveCell

if TYPE_CHECKING:
    from flax import nnx
    from jaxtyping import Array, Float

TEMPERATURE = 16.0  # the root that is taken of a gate, so that it starts near 1


class GatedLinearAttention(AdditiveCell):
    """S' = diag(a) S + k v^T with a = sigmoid(W x + c)^(1 / 16), K of them (memcap/cells/matrix.py).

    Source: Yang et al. (2024), "Gated linear attention transformers", arXiv 2312.06635, where W
    has rank 16; here it has whatever rank it learns. k and q are not brought to length 1. The carry is
    S (K, U), as in the paper, and the last input.
    """

    name: ClassVar[str] = "gla"
    qk_l2_norm: ClassVar[bool] = False

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Start each gate at a half, and its root at .96."""
        return [0.0] * self.keys

    def decay_and_strength(self, gates: list[Float[Array, "*T B"]]) -> tuple[Float[Array, "*T B K"], None]:
        """Return a decay of each number of a key."""
        return jax.nn.log_sigmoid(jnp.stack(gates, axis=-1)) / TEMPERATURE, None

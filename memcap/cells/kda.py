"""Kimi Delta Attention: the delta rule, with a decay for each number of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from memcap.cells.delta_net import DeltaNet
from memcap.cells.gated_delta_net import GatedDeltaNet
from memcap.cells.matrix import Gate, decay_bias

if TYPE_CHECKING:
    from flax import nnx
    from jaxtyping import Array, Float


class KimiDeltaAttention(GatedDeltaNet):
    """DeltaNet on diag(a) S instead of S, with K numbers a = exp(-softplus(W x + c)).

    Source: Kimi Team (2025), "Kimi Linear", arXiv 2510.26692, and fla/layers/kda.py of
    flash-linear-attention. Left out: the bias and the bounded rank of the gate's map;
    and the convolution, the output gate, a sigmoid, and the learned factor of softplus,
    which `kda+conv4+gate+rate` has.
    """

    name = "kda"
    least_rate = 1.0
    sigmoid_gate = True

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        strength = DeltaNet.gate_biases(self, rngs)
        return strength + [decay_bias(rngs) for _ in range(self.keys)]

    def log_decay(self, gates: list[Gate]) -> Float[Array, "*T B K"]:
        return -jax.nn.softplus(jnp.stack(gates[1:], -1))

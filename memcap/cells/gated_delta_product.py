"""Gated DeltaProduct: the state decays before the writes of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from memcap.cells.delta_net import DeltaNet
from memcap.cells.delta_product import DeltaProduct
from memcap.cells.gated_delta_net import GatedDeltaNet
from memcap.cells.matrix import Gate, Window, decay_bias

if TYPE_CHECKING:
    from flax import nnx
    from jaxtyping import Array, Float


class GatedDeltaProduct(DeltaProduct, GatedDeltaNet):
    """DeltaProduct on a S instead of S, with a = exp(-softplus(w x + c)): one decay per
    step, before its first write.

    Source: Siems et al. (2025), "DeltaProduct", arXiv 2502.10297, and
    fla/layers/gated_deltaproduct.py of flash-linear-attention. Left out: the
    convolution, the output gate, and the learned factor of softplus, which
    `gated_delta_product+conv4+gate+rate` has.
    """

    name = "gated_delta_product"

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        strengths = self.writes * DeltaNet.gate_biases(self, rngs)
        return [*strengths, decay_bias(rngs)]

    def gates_by_write(self, shifted: Window) -> list[list[Gate]]:
        first, *others, log_decay = self.gates_of(shifted)
        return [[first, log_decay], *([strength] for strength in others)]

    def log_decay(self, gates: list[Gate]) -> Float[Array, "*T B"]:
        return super().log_decay(gates) if len(gates) > 1 else jnp.zeros_like(gates[0])

"""Gated DeltaNet: the state decays before each write."""

from typing import Any

import jax
from flax import nnx

from memcap.cells.delta_net import DeltaNet
from memcap.cells.matrix import Gate, decay_bias


class GatedDeltaNet(DeltaNet):
    """DeltaNet on a S instead of S, with a = exp(-softplus(w x + c)).

    Source: Yang, Kautz & Hatamizadeh (2025), "Gated delta networks". There softplus is
    scaled by a learned number per head, drawn up to 16: `gated_delta_net+rate`.
    """

    name = "gated_delta_net"

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        return [*super().gate_biases(rngs), decay_bias(rngs)]

    def log_decay(self, gates: list[Gate]) -> Gate:
        return -jax.nn.softplus(gates[1])

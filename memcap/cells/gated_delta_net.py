"""Gated DeltaNet as a recurrent cell: before each write the whole state decays by a
factor that the input sets."""

from typing import Any

import jax
from flax import nnx

from memcap.cells.delta_net import DeltaNet
from memcap.cells.matrix import Gate, decay_bias


class GatedDeltaNet(DeltaNet):
    """DeltaNet on a S instead of S, with a = exp(-softplus(w x + c)).

    Source: Yang, Kautz & Hatamizadeh (2025), "Gated delta networks". There softplus is
    scaled by a trained number per head, drawn up to 16, so that it starts to forget
    eight times as fast: `gated_delta_net+rate`.
    """

    name = "gated_delta_net"

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Start the strength at a half, and the decay small."""
        return [*super().gate_biases(rngs), decay_bias(rngs)]

    def log_decay(self, gates: list[Gate]) -> Gate:
        """Return the log decay of the second gate."""
        return -jax.nn.softplus(gates[1])

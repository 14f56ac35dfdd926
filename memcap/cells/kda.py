"""Kimi Delta Attention as a recurrent cell: the delta rule, and before each write each
number of a key decays by a factor of its own."""

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
    """DeltaNet on diag(a) S instead of S, with a = exp(-softplus(W x + c)), K of them
    (memcap/cells/matrix.py).

    Source: Kimi Team (2025), "Kimi Linear", arXiv 2510.26692, and fla/layers/kda.py of
    flash-linear-attention, where W has the rank of a value; here its rank is not
    bounded. The carry is S (K, U), as in the paper, and the last input.

    Also left out: the convolution, the output gate, a sigmoid, and the learned factor
    of softplus: `kda+conv4+gate+rate` has them (memcap/cells/layer_parts.py), but for
    the bias and the bounded rank of the gate's map.
    """

    name = "kda"
    least_rate = 1.0
    sigmoid_gate = True

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Start the strength at a half, and the decays small."""
        strength = DeltaNet.gate_biases(self, rngs)
        return strength + [decay_bias(rngs) for _ in range(self.keys)]

    def log_decay(self, gates: list[Gate]) -> Float[Array, "*T B K"]:
        """Return the log decay of each number of a key."""
        return -jax.nn.softplus(jnp.stack(gates[1:], -1))

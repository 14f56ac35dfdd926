"""M2RNN as a recurrent cell: a matrix that is turned, added to and bent at each step,
and of which a part is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.matrix import (
    Gate,
    Key,
    MatrixCell,
    State,
    Value,
    add_outer,
    decay_bias,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class M2RNN(MatrixCell):
    """S' = a S + (1 - a) tanh(S W + k v^T) with a = exp(-softplus(w x + c))
    (memcap/cells/matrix.py); W (U, U) starts as the identity.

    Source: Mishra et al. (2026), "M2RNN", arXiv 2603.14360, and
    lm_engine/modeling_utils/sequence_mixer_blocks/m2rnn of lm-engine. k and q are not
    normalised. The carry is S (K, U), as there, and the last input. There gradients of
    S are cut to at most 1 at each step.

    Also left out: the convolution, the output gate, a learned factor of softplus, and
    the skip of the value: `m2rnn+conv4+gate+rate+skip` has them
    (memcap/cells/layer_parts.py).
    """

    name = "m2rnn"
    qk_l2_norm = False
    norm_before_gate = False

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.recurrent = nnx.Param(jnp.eye(hidden_features))

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Start with nearly all of the state kept."""
        return [decay_bias(rngs)]

    def log_decay(self, gates: list[Gate]) -> Float[Array, "*T B"]:
        """Return the logarithm of the share that is kept."""
        return -jax.nn.softplus(gates[0])

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        """Keep a share, and take the rest from the new matrix."""
        kept = jnp.exp(self.log_decay(gates))[..., None, None]
        new = jnp.tanh(add_outer(state @ self.recurrent[...], key, value))
        return kept * state + (1 - kept) * new

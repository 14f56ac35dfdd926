"""M2RNN: a matrix that is turned, added to, bent, and partly kept at each step."""

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
    """S' = a S + (1 - a) tanh(S W + k v^T) with a = exp(-softplus(w x + c)); W (U, U)
    starts as the identity.

    Source: Mishra et al. (2026), "M2RNN", arXiv 2603.14360, and
    lm_engine/modeling_utils/sequence_mixer_blocks/m2rnn of lm-engine, where gradients
    of S are cut to at most 1 at each step. k and q are not normalised. Left out: the
    convolution, the output gate, a learned factor of softplus, and the skip of the
    value, which `m2rnn+conv4+gate+rate+skip` has.
    """

    name = "m2rnn"
    qk_l2_norm = False
    norm_before_gate = False

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.recurrent = nnx.Param(jnp.eye(hidden_features))

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        return [decay_bias(rngs)]

    def log_decay(self, gates: list[Gate]) -> Float[Array, "*T B"]:
        return -jax.nn.softplus(gates[0])

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        kept = jnp.exp(self.log_decay(gates))[..., None, None]
        new = jnp.tanh(add_outer(state @ self.recurrent[...], key, value))
        return kept * state + (1 - kept) * new

"""RWKV-7: removes at another key than it writes, at rates for each number of a key."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.lstm import sigmoid
from memcap.cells.matrix import (
    Gate,
    Key,
    MatrixCell,
    State,
    Value,
    add_outer,
    l2_normalize,
    retrieve,
)

FASTEST = math.exp(-0.5)  # -log of the least decay per step


class RWKV7(MatrixCell):
    """S' = diag(w) S - (a r) (S^T r)^T + k' v^T with w = exp(-sigmoid(W x + c) /
    sqrt(e)) and a = sigmoid(W' x + c'), K of each.

    r is z k at length 1, and k' = k (1 + (a - 1) y), with K learned numbers z and y;
    neither k nor q is normalised. Source: Peng et al. (2025), "RWKV-7 Goose", arXiv
    2503.14456, and RWKV-v7/rwkv_v7_numpy.py of RWKV-LM, where W and W' have bounded
    ranks, and W a tanh between its factors. Gates, z and y start as in its first layer.

    Left out, and in no variant: the mean of the group norm, which would leave nothing
    of one value; the bonus (q^T (s k)) v with K learned numbers s; the output gate,
    sigmoids between two linear maps; and the first layer's values in later ones. The
    learned mix of this input and the last one is part of the kernels over both.
    """

    name = "rwkv7"
    qk_l2_norm = False

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.gate[...] = jnp.zeros_like(self.gate[...])
        self.removal = nnx.Param(jnp.linspace(0.76, 0.66, self.keys))  # z
        self.replacement = nnx.Param(jnp.full(self.keys, 1.02))  # y

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Start with decays from slow to fast, and rates of about a half."""
        place = np.linspace(-1, 1, self.keys)
        bend = place * np.abs(place)
        return [*(3 * place - 2.5 + 2.5 * bend), *(0.2 * place - 0.19 + 0.3 * bend)]

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        decay, rate = jnp.split(sigmoid(jnp.stack(gates, -1)), 2, -1)
        removal = l2_normalize(key * self.removal[...])
        kept = jnp.exp(-FASTEST * decay)[..., None] * state
        kept = add_outer(kept, -rate * removal, retrieve(state, removal))
        return add_outer(kept, key * (1 + (rate - 1) * self.replacement[...]), value)

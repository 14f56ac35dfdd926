"""Mamba-2: a step size, computed from the input, sets what is forgotten and written."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.additive import AdditiveCell
from memcap.cells.matrix import Gate, decay_bias

# range of the initial rate of decay, drawn uniformly
LEAST_RATE = 1.0
MOST_RATE = 16.0


def log_rate(rngs: nnx.Rngs, least: float) -> nnx.Param:
    """Draw the logarithm of a rate from `least` to `MOST_RATE`."""
    rate = jax.random.uniform(rngs.params(), (1,), minval=least, maxval=MOST_RATE)
    return nnx.Param(jnp.log(rate))


class Mamba2(AdditiveCell):
    """S' = exp(-r d) S + d k v^T with d = softplus(w x + c); r > 0 is learned.

    Source: Dao & Gu (2024), "Transformers are SSMs", arXiv 2405.21060, where k is B x,
    q is C x, d is Delta, r is exp(A), and K is the size of the state, 128. r and d
    start as there. k and q are not normalised. Left out: the skip D x, which
    `mamba2+skip` has.
    """

    name = "mamba2"
    qk_l2_norm = False
    conv_bias = True
    norm_before_gate = False

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.log_rate = log_rate(rngs, LEAST_RATE)

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        return [decay_bias(rngs)]

    def decay_and_strength(self, gates: list[Gate]) -> tuple[Gate, Gate]:
        step = jax.nn.softplus(gates[0])
        return -jnp.exp(self.log_rate[...]) * step, step

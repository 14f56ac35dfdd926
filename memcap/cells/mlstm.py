"""mLSTM of xLSTM: a matrix with exponential gates, normalised when it is read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.matrix import (
    EPSILON,
    Gate,
    MatrixCell,
    Value,
    Window,
    add_outer,
    retrieve,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Float

# initial bias of f, and standard deviation of that of i
FORGET_BIAS = 3.0
INPUT_SPREAD = 0.1


class MLSTM(MatrixCell):
    """C' = f C + i k v^T and n' = f n + i k, with i = exp(w x + c) and f a sigmoid; the
    hidden state is C^T q / max(|n^T q|, 1).

    Source: Beck et al. (2024), "xLSTM", arXiv 2405.04517. i has no bound, so C and n
    are carried divided by exp(m), m' = max(log f + m, log i), as there. k is divided by
    sqrt(K), and neither k nor q is normalised. The gates' weights start at 0 and their
    biases as in the authors' code. The carry is C (K, U), n (K,) and m, as in the
    paper, and the last input.

    Left out: the convolution, the skip, the output gate, and the norm of the hidden
    state, which with one head would undo the division: `mlstm+conv4+gate+skip` has
    them.
    """

    name = "mlstm"
    qk_l2_norm = False
    # whether what is read has mean 0 and variance 1 over its numbers
    layer_norm = False

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.gate[...] = jnp.zeros_like(self.gate[...])

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        return [INPUT_SPREAD * jax.random.normal(rngs.params()), FORGET_BIAS]

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        state, before = super().initialize_carry(input_shape, rngs, carry_init)
        *batch, _ = input_shape
        return (state, jnp.zeros((*batch, self.keys)), jnp.zeros(tuple(batch))), before

    def update(self, state: Any, shifted: Window) -> Any:
        matrix, normalizer, stabilizer = state
        write, keep = self.gates_of(shifted)
        log_keep = jax.nn.log_sigmoid(keep) + stabilizer
        # The hidden state does not depend on m, so the gradient of m is left out.
        stabilizer = jax.lax.stop_gradient(jnp.maximum(log_keep, write))
        keep = jnp.exp(log_keep - stabilizer)[..., None]
        write = jnp.exp(write - stabilizer)[..., None]
        key = write * self.key_of(shifted) / math.sqrt(self.keys)
        matrix = add_outer(
            keep[..., None] * matrix, key, self.project(shifted, "value")
        )
        return matrix, keep * normalizer + key, stabilizer

    def normalize(self, read: Value) -> Value:
        """Return what was read, which is divided already."""
        return read

    def read(self, state: Any, shifted: Window) -> Value:
        """Return C^T q / max(|n^T q|, 1), both scaled by exp(-max(m, 0))."""
        matrix, normalizer, stabilizer = state
        query = self.key_of(shifted, "query")
        scale = jnp.exp(jnp.minimum(stabilizer, 0))[..., None]
        read = scale * retrieve(matrix, query)
        weight = scale * jnp.abs(jnp.sum(normalizer * query, axis=-1, keepdims=True))
        read = divided(read, weight, stabilizer)
        return jax.nn.standardize(read, epsilon=EPSILON) if self.layer_norm else read


def divided(
    read: Float[Array, "*T B U"], weight: Float[Array, "*T B 1"], stabilizer: Gate
) -> Float[Array, "*T B U"]:
    """Divide by the weight, at least 1, with both scaled by exp(-max(m, 0))."""
    least = jnp.exp(-jnp.maximum(stabilizer, 0))[..., None]
    return read / (jnp.maximum(weight, least) + EPSILON)

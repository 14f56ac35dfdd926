"""sLSTM of xLSTM: an LSTM with an exponential input gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step, draw_param
from memcap.cells.gates import Gates
from memcap.cells.lstm import sigmoid

if TYPE_CHECKING:
    from jaxtyping import Array, Float

# range of the units' initial forget biases, equally spaced
LEAST_BIAS = 3.0
MOST_BIAS = 6.0


class SLSTM(Cell):
    """c' = f c + i tanh(z) and n' = f n + i, with i = exp(i~) and f = sigmoid(f~); h' =
    sigmoid(o) c' / n'.

    Source: Beck et al. (2024), "xLSTM", arXiv 2405.04517. i has no bound, so c and n
    are carried divided by exp(m), m' = max(log f + m, log i). Then n is at least 1 from
    the first step on; n = 0 means that there was none yet. The carry is h, c, n and m,
    each (B, U), as in the paper. Its own initialiser has zero recurrent weights and
    forget biases from 3 to 6 (`small_init` in the authors' code, whose default is
    `powerlaw_blockdependent`).

    Left out: several heads (the recurrent weights are full), the norm of the hidden
    state, and the convolution before i and f, which `slstm+conv4` has. It is not
    padded: a constant added to i at all steps does not change the hidden state, so
    rounding alone moves i's biases, differently at another width.
    """

    name = "slstm"
    gates = Gates(("input", "forget", "candidate", "output"))

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        width = 4 * hidden_features
        self.kernel = draw_param(rngs, in_features, width)
        self.recurrent = nnx.Param(jnp.zeros((hidden_features, width)))
        forget = jnp.linspace(LEAST_BIAS, MOST_BIAS, hidden_features)
        biases = jnp.zeros((4, hidden_features)).at[1].set(forget)
        self.bias = nnx.Param(biases.reshape(width))

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        zeros = super().initialize_carry(input_shape, rngs, carry_init)
        return zeros, zeros, zeros, zeros

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        return self.step(carry, inputs @ self.kernel[...])

    def step(self, carry: Any, entered: Float[Array, "B G"]) -> Step:
        """Take one step from what the input adds to the gates."""
        hidden, cell, normalizer, stabilizer = carry
        gates = entered + hidden @ self.recurrent[...] + self.bias[...]
        write, keep, candidate, output = jnp.split(gates, 4, -1)
        log_keep = jnp.where(
            normalizer > 0, jax.nn.log_sigmoid(keep) + stabilizer, -jnp.inf
        )
        # The hidden state does not depend on m, so the gradient of m is left out.
        stabilizer = jax.lax.stop_gradient(jnp.maximum(log_keep, write))
        keep = jnp.exp(log_keep - stabilizer)
        write = jnp.exp(write - stabilizer)
        cell = keep * cell + write * jnp.tanh(candidate)
        normalizer = keep * normalizer + write
        hidden = sigmoid(output) * cell / normalizer
        return (hidden, cell, normalizer, stabilizer), hidden

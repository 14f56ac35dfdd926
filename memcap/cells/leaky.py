"""A leaky rate network: h' = (1 - a) h + a tanh(W_x x + W_h h + b), with a = .5: a step
is half a time constant.

With a = 1 it is Elman's. Source: Sussillo & Barak (2013), Opening the black box; a as
in Kurtkaya, Dinc et al. (2025), steps of 5 ms and a time constant of 10 ms. Another
leak is a subclass: `class Slow(Leaky): leak = 0.1`, called `my_module:Slow`.
"""

from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step
from memcap.cells.gates import Gates


class Leaky(Cell):
    """One number per unit; starts with Glorot and Bengio's weights and zero biases."""

    name: ClassVar[str] = "leaky"
    gates = Gates(("candidate",), ("kernel",), ("recurrent",), ("bias",))
    can_pad = True
    leak: ClassVar[float] = 0.5

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        start = nnx.initializers.glorot_uniform()
        self.kernel = nnx.Param(start(rngs.params(), (in_features, hidden_features)))
        self.recurrent = nnx.Param(
            start(rngs.params(), (hidden_features, hidden_features))
        )
        self.bias = nnx.Param(
            nnx.initializers.zeros_init()(rngs.params(), (hidden_features,))
        )

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        """Take one step: carry (B, U), inputs (B, F) -> carry, and the same as the hidden state."""
        rate = jnp.tanh(
            carry @ self.recurrent[...] + inputs @ self.kernel[...] + self.bias[...]
        )
        carry = (1 - self.leak) * carry + self.leak * rate
        return carry, carry

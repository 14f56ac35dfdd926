"""Parts of the published layers around mLSTM and sLSTM, by suffixes of their names.

    mlstm+conv4  queries and keys are linear maps of SiLU of a convolution over U linear
                 maps of the last 4 inputs; values see the last input, gates all three
    mlstm+gate   what is read has mean 0 and variance 1, and is multiplied by SiLU of a
                 linear map of the last input
    mlstm+skip   the convolution, times learned weights, is added to what is read
    slstm+conv4  the gates i and f see SiLU of a convolution over the last 4 inputs

`mlstm+conv4+gate+skip` and `slstm+conv4` are the published layers, but for what
sweeps/cells/cell_map/README.md lists.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Inputs, Step, draw_param
from memcap.cells.matrix import Gate, Value, Window, token_shift
from memcap.cells.mlstm import MLSTM
from memcap.cells.slstm import SLSTM

if TYPE_CHECKING:
    from jaxtyping import Array, Float


def conv_param(rngs: nnx.Rngs, window: int, *shape: int) -> nnx.Param:
    """Draw a parameter of a convolution as torch.nn.Conv1d does."""
    most = 1 / math.sqrt(window)
    taps = jax.random.uniform(rngs.params(), shape, minval=-most, maxval=most)
    return nnx.Param(taps)


class MLSTMConvolution(MLSTM):
    """Makes queries and keys from a convolution, and gates from these and values."""

    kernel_inputs = 1

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.up = draw_param(rngs, in_features, hidden_features)
        self.taps = conv_param(rngs, self.window, self.window, hidden_features)
        self.taps_bias = conv_param(rngs, self.window, hidden_features)
        self.query = draw_param(rngs, hidden_features, self.keys)
        self.key = draw_param(rngs, hidden_features, self.keys)
        self.gate = nnx.Param(jnp.zeros((2 * self.keys + hidden_features, 2)))

    def convolve(self, shifted: Window) -> Value:
        kernel = self.taps[...][:, None] * self.up[...]
        kernel = kernel.reshape(shifted.shape[-1], -1)
        return jax.nn.silu(shifted @ kernel + self.taps_bias[...])

    def project(self, shifted: Window, name: str) -> Float[Array, "B N"]:
        if name == "value":
            return shifted[..., : self.in_features] @ self.value[...]
        return self.convolve(shifted) @ getattr(self, name)[...]

    def gates_of(self, shifted: Window) -> list[Gate]:
        seen = [self.project(shifted, name) for name in ("query", "key", "value")]
        return super().gates_of(jnp.concatenate(seen, -1))


class MLSTMSkip(MLSTMConvolution):
    """Adds the convolution to what is read."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.skip = nnx.Param(jnp.ones(hidden_features))

    def read(self, state: Any, shifted: Window) -> Value:
        return super().read(state, shifted) + self.skip[...] * self.convolve(shifted)


class SLSTMConvolution(SLSTM):
    """Lets i and f see a convolution of the last inputs, which are carried."""

    window: ClassVar[int]  # number of inputs that the convolution sees
    gates = None  # no named initialiser draws the convolution

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        self.taps = conv_param(rngs, self.window, self.window, in_features)
        self.taps_bias = conv_param(rngs, self.window, in_features)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        *batch, features = input_shape
        carry = super().initialize_carry(input_shape, rngs, carry_init)
        return *carry, jnp.zeros((*batch, (self.window - 1) * features))

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        *state, before = carry
        shifted = token_shift(inputs, before)
        places = shifted.reshape(*inputs.shape[:-1], self.window, self.in_features)
        seen = jax.nn.silu(jnp.sum(places * self.taps[...], -2) + self.taps_bias[...])
        write_and_keep, others = jnp.split(self.kernel[...], 2, -1)
        entered = jnp.concatenate([seen @ write_and_keep, inputs @ others], -1)
        state, hidden = self.step(state, entered)
        return (*state, shifted[..., : -self.in_features]), hidden

"""The Legendre memory unit: a linear memory of a window of steps, and tanh units."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step, draw_param

if TYPE_CHECKING:
    from jaxtyping import Array, Float

KERNEL = nnx.initializers.glorot_normal()
ENCODER = nnx.initializers.lecun_uniform()


class LMU(Cell):
    """m' = A m + B u with u = e_x x + e_h h + e_m m, and h' = tanh(W_x x + W_h h + W_m
    m').

    A and B are fixed: m holds the first U Legendre coefficients of the last `window`
    values of the number u. The carry is h and m, each (B, U). There is no bias.

    Source: Voelker, Kajic & Eliasmith (2019), "Legendre memory units", and the authors'
    code (lmu/lmu.py), whose memory may have another size than h. In their test of
    capacity h is linear, W_m alone is learned, and u = x, which `lmu+window100+carry`
    can do, too.
    """

    name = "lmu"
    window: ClassVar[int] = 50  # steps

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        units = hidden_features
        self.write_input = draw_param(rngs, in_features, 1, start=ENCODER)
        self.write_hidden = draw_param(rngs, units, 1, start=ENCODER)
        self.write_memory = nnx.Param(jnp.zeros((units, 1)))
        self.kernel = draw_param(rngs, in_features, units, start=KERNEL)
        self.recurrent = draw_param(rngs, units, units, start=KERNEL)
        self.read_memory = draw_param(rngs, units, units, start=KERNEL)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> tuple[jax.Array, jax.Array]:
        zeros = super().initialize_carry(input_shape, rngs, carry_init)
        return zeros, zeros

    def __call__(
        self, carry: tuple[Float[Array, "B U"], Float[Array, "B U"]], inputs: Inputs
    ) -> Step:
        hidden, memory = carry
        value = (
            inputs @ self.write_input[...]
            + hidden @ self.write_hidden[...]
            + memory @ self.write_memory[...]
        )
        state_matrix, input_matrix = (
            matrix.astype(memory.dtype)
            for matrix in legendre_delay(self.hidden_features, self.window)
        )
        memory = memory @ state_matrix.T + value * input_matrix
        hidden = jnp.tanh(
            inputs @ self.kernel[...]
            + hidden @ self.recurrent[...]
            + memory @ self.read_memory[...]
        )
        return (hidden, memory), hidden


class OtherWindow(LMU):
    """Base of the variants that hold another number of steps."""


@cache
def legendre_delay(order: int, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Return A (order, order) and B (order,) of one step: the continuous system, held
    constant between steps."""
    from scipy.linalg import expm

    i, j = np.indices((order, order))
    scale = 2 * np.arange(order)[:, None] + 1
    system = np.zeros((order + 1, order + 1))
    system[:-1, :-1] = scale * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    system[:-1, -1:] = scale * (-1.0) ** np.arange(order)[:, None]
    step = expm(system / window)
    return step[:-1, :-1], step[:-1, -1]

"""IRNN: rectified units whose recurrent weights start as the identity."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.base import DenseCell, Inputs, Step
from memcap.cells.gates import Arrays, Init

SPREAD = 0.001  # standard deviation of the input weights at the start


class IRNN(DenseCell):
    """h' = max(0, W_h h + W_x x + b); the carry is h.

    Source: Le, Jaitly & Hinton (2015), "A simple way to initialize recurrent networks
    of rectified linear units", arXiv 1504.00941: W_h starts as the identity and b at 0.
    Named initialisers do the same, and their `gain` scales the identity.
    """

    name = "irnn"
    kernel_start = staticmethod(nnx.initializers.normal(SPREAD))
    recurrent_start = staticmethod(lambda _, shape: jnp.eye(*shape))

    @classmethod
    def draw(
        cls, rng: np.random.Generator, init: Init, features: int, units: int
    ) -> Arrays:
        arrays = super().draw(rng, init, features, units)
        return arrays | {("recurrent",): init.gain * np.eye(units)}

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        carry = jax.nn.relu(self.preactivation(carry, inputs))
        return carry, carry

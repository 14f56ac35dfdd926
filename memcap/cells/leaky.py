"""A leaky rate network."""

from typing import Any

import jax.numpy as jnp

from memcap.cells.base import DenseCell, Inputs, Step


class Leaky(DenseCell):
    """h' = (1 - a) h + a tanh(W_x x + W_h h + b) with a = 0.5: a step is half a time
    constant.

    With a = 1 it is Elman's. Source: Sussillo & Barak (2013), "Opening the black box";
    a as in Kurtkaya, Dinc et al. (2025), steps of 5 ms and a time constant of 10 ms.
    Another leak is a subclass: `class Slow(Leaky): leak = 0.1`, called
    `my_module:Slow`.
    """

    name = "leaky"
    leak = 0.5

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        rate = jnp.tanh(self.preactivation(carry, inputs))
        carry = (1 - self.leak) * carry + self.leak * rate
        return carry, carry

"""A linear recurrent network, whose memory is known exactly (Jaeger, 2001)."""

from typing import Any

from flax import nnx

from memcap.cells.base import DenseCell, Inputs, Step


class Linear(DenseCell):
    """h' = W_h h + W_x x + b; W_h starts orthogonal, by its own and by named
    initialisers.

    Repeating a stream of independent numbers after L steps without error takes exactly
    L + 1 units: the state must determine the last L + 1 inputs, N linear functions of
    them determine at most N, and a shift register does. There is no cheap parallel
    scan: joining two stretches of time would cost U^3.
    """

    name = "linear"
    recurrent_start = staticmethod(nnx.initializers.orthogonal())

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        carry = self.preactivation(carry, inputs)
        return carry, carry

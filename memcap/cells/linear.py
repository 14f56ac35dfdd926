"""A linear recurrent network: h' = W_h h + W_x x + b. Its memory is known exactly (Jaeger, 2001).

Repeating a stream of independent numbers after L steps without error takes exactly L +
1 units: the last L + 1 inputs are still to be output, so the state must determine them,
and N linear functions of them determine at most N. A shift register reaches that. The
units see each other, so there is no cheap parallel scan: joining two stretches of time
would cost U^3.
"""

from typing import Any

from flax import nnx

from memcap.cells.base import DenseCell, Inputs, Step


class Linear(DenseCell):
    """One number per unit, no nonlinearity; starts orthogonal, by its own and by named
    initialisers."""

    name = "linear"
    recurrent_start = staticmethod(nnx.initializers.orthogonal())

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        """Take one step: carry (B, U), inputs (B, F) -> carry, and the same as the hidden state."""
        carry = self.preactivation(carry, inputs)
        return carry, carry

"""A linear recurrent network: h' = W_h h + W_x x + b. Its memory is known exactly (Jaeger, 2001).

Repeating a stream of independent numbers after L steps without error takes exactly L +
1 units: the last L + 1 inputs are still to be output, so the state must determine them,
and N linear functions of them determine at most N. A shift register reaches that. The
units see each other, so there is no cheap parallel scan: joining two stretches of time
would cost U^3.
"""

from typing import Any, ClassVar

from flax import nnx

from memcap.cells.base import Cell, Inputs, Step
from memcap.cells.gates import Gates


class Linear(Cell):
    """One number per unit, no nonlinearity; starts orthogonal, by its own and by named
    initialisers."""

    name: ClassVar[str] = "linear"
    gates = Gates(("candidate",), ("kernel",), ("recurrent",), ("bias",))
    can_pad = True

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        start = nnx.initializers.glorot_uniform()
        recurrent_start = nnx.initializers.orthogonal()
        self.kernel = nnx.Param(start(rngs.params(), (in_features, hidden_features)))
        self.recurrent = nnx.Param(
            recurrent_start(rngs.params(), (hidden_features, hidden_features))
        )
        self.bias = nnx.Param(
            nnx.initializers.zeros_init()(rngs.params(), (hidden_features,))
        )

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        """Take one step: carry (B, U), inputs (B, F) -> carry, and the same as the hidden state."""
        carry = carry @ self.recurrent[...] + inputs @ self.kernel[...] + self.bias[...]
        return carry, carry

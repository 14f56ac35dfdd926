"""DeltaProduct as a recurrent cell: two steps of the delta rule per input, so that a
state can be turned."""

from typing import Any

from flax import nnx

from memcap.cells.base import draw_param
from memcap.cells.matrix import Gate, Window
from memcap.cells.signed_delta_net import SignedDeltaNet


class DeltaProduct(SignedDeltaNet):
    """`writes` steps S <- S + b k (v - S^T k)^T, each with its own k, v and b = 2 sigmoid(w x + c)
    (memcap/cells/matrix.py).

    Two reflections make a rotation, which no single write is. Source: Siems et al.
    (2025), "DeltaProduct", arXiv 2502.10297, with eigenvalues in [-1, 1]. The carry is
    S (K, U), as in the paper, and the last input; states between the writes of a step
    are not carried.

    Also left out: the factor of the gated variant, which `gated_delta_product` has; the
    convolution and the output gate, which `delta_product+conv4+gate` has
    (memcap/cells/layer_parts.py). With `writes = 1` it is `signed_delta_net`.
    """

    name = "delta_product"
    writes = 2  # steps per input

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        start = nnx.initializers.lecun_normal(batch_axis=(0,))
        features = self.kernel_inputs * in_features
        self.key = draw_param(rngs, self.writes, features, self.keys, start=start)
        self.value = draw_param(
            rngs, self.writes, features, hidden_features, start=start
        )

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Start each strength at half of its maximum."""
        return self.writes * super().gate_biases(rngs)

    def update(self, state: Any, shifted: Window) -> Any:
        """Return the state after all writes, one after another."""
        kernels = self.kernel_of("key"), self.kernel_of("value")
        gates = self.gates_by_write(shifted)
        for own, key, value in zip(gates, *kernels, strict=True):
            key = self.at_length(self.activate(shifted @ key))
            state = self.write(state, key, self.activate(shifted @ value), own)
        return state

    def gates_by_write(self, shifted: Window) -> list[list[Gate]]:
        """Return the gates of each write: its strength."""
        return [[strength] for strength in self.gates_of(shifted)]

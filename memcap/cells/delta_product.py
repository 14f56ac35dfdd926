"""DeltaProduct: two writes by the delta rule per input."""

from typing import Any

from flax import nnx

from memcap.cells.base import draw_param
from memcap.cells.matrix import Gate, Window
from memcap.cells.signed_delta_net import SignedDeltaNet


class DeltaProduct(SignedDeltaNet):
    """`writes` steps S <- S + b k (v - S^T k)^T, each with its own k, v and b = 2
    sigmoid(w x + c).

    Two reflections make a rotation, which no single write is. Source: Siems et al.
    (2025), "DeltaProduct", arXiv 2502.10297, with eigenvalues in [-1, 1]. With one
    write it is `signed_delta_net`.

    Left out: the decay, which `gated_delta_product` has; the convolution and the output
    gate, which `delta_product+conv4+gate` has.
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
        return self.writes * super().gate_biases(rngs)

    def update(self, state: Any, shifted: Window) -> Any:
        kernels = self.kernel_of("key"), self.kernel_of("value")
        gates = self.gates_by_write(shifted)
        for own, key, value in zip(gates, *kernels, strict=True):
            key = self.at_length(self.activate(shifted @ key))
            state = self.write(state, key, self.activate(shifted @ value), own)
        return state

    def gates_by_write(self, shifted: Window) -> list[list[Gate]]:
        return [[strength] for strength in self.gates_of(shifted)]

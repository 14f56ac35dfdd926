"""DeltaProduct as a recurrent cell: two steps of the delta rule per input, so that a state can be turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp
from flax import nnx

from memcap.cells.chunked import Terms
from memcap.cells.lstm import sigmoid
from memcap.cells.signed_delta_net import SignedDeltaNet

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class DeltaProduct(SignedDeltaNet):
    """`writes` steps S <- S + b k (v - S^T k)^T, each with its own k, v and b = 2 sigmoid(w x + c)
    (memcap/cells/matrix.py).

    Two reflections make a rotation, which no single write is. Source: Siems et al. (2025), "DeltaProduct",
    arXiv 2502.10297, with eigenvalues in [-1, 1]. The carry is S (K, U), as in the paper, and the
    last input: what is between two writes is carried by no step.

    Also left out: the factor of the gated variant. With `writes = 1` it is `signed_delta_net`.

    Attributes:
        writes: steps per input.
    """

    name: ClassVar[str] = "delta_product"
    writes: ClassVar[int] = 2

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(in_features, hidden_features, rngs=rngs)
        start, seen = nnx.initializers.lecun_normal(batch_axis=(0,)), 2 * in_features
        self.key = nnx.Param(start(rngs.params(), (self.writes, seen, self.keys)))
        self.value = nnx.Param(start(rngs.params(), (self.writes, seen, hidden_features)))

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Each strength starts at half of the greatest."""
        return self.writes * super().gate_biases(rngs)

    def update(self, state: Any, seen: Float[Array, "B F2"]) -> Any:
        """All writes, one after another."""
        for gate, key, value in zip(self.gates_of(seen), self.key[...], self.value[...], strict=True):
            state = self.write(state, self.key_of(seen, key), seen @ value, [gate])
        return state

    def terms(self, state: Any, seen: Float[Array, "T B F2"], resets: Bool[Array, " T"] | None) -> Terms:
        """See `ChunkedCell.terms`; a step's writes, one after another."""
        del resets

        def in_turn(writes: list[Float[Array, "T B ..."]]) -> Float[Array, "W B ..."]:
            return jnp.stack(writes, 1).reshape(-1, *writes[0].shape[1:])

        gates = self.gates_of(seen)
        log_decays = [log for gate in gates if (log := self.log_decay([gate])) is not None]
        return Terms(
            state,
            in_turn(log_decays)[..., None] if log_decays else None,
            in_turn([self.key_of(seen, key) for key in self.key[...]]),
            in_turn([seen @ value for value in self.value[...]]),
            self.key_of(seen, self.query[...]),
            None,
            in_turn([self.most * sigmoid(gate) for gate in gates]),
        )

"""DeltaNet as a recurrent cell: what a key had is taken away before its new value is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp

from memcap.cells.lstm import sigmoid
from memcap.cells.matrix import MatrixCell, added, look_up

if TYPE_CHECKING:
    from flax import nnx
    from jaxtyping import Array, Float


class DeltaNet(MatrixCell):
    """S' = S + b k (v - S^T k)^T with b = sigmoid(w x + c) (memcap/cells/matrix.py): eigenvalues in [0, 1].

    Source: Schlag, Irie & Schmidhuber (2021), "Linear transformers are secretly fast weight programmers";
    Yang et al. (2024), "Parallelizing linear transformers with the delta rule over sequence length".

    Attributes:
        most: greatest strength b of a write.
    """

    name: ClassVar[str] = "delta_net"
    most: ClassVar[float] = 1.0

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """The strength starts at half of the greatest."""
        del rngs
        return [0.0]

    def write(
        self,
        state: Float[Array, "B K U"],
        key: Float[Array, "B K"],
        value: Float[Array, "B U"],
        gates: list[Float[Array, " B"]],
    ) -> Float[Array, "B K U"]:
        """Decay, if it does; then move what the key has towards the value, by the strength."""
        log_decay = self.log_decay(gates)
        if log_decay is not None:
            state = jnp.exp(log_decay)[..., None, None] * state
        strength = self.most * sigmoid(gates[0])[..., None]
        return added(state, key, strength * (value - look_up(state, key)))

    def log_decay(self, gates: list[Float[Array, "*T B"]]) -> Float[Array, "*T B"] | None:
        """The logarithm of the factor of the whole state; None: it stays as it is."""
        del gates

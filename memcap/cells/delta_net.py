"""DeltaNet: a new value replaces what its key had."""

from typing import Any

from flax import nnx

from memcap.cells.lstm import sigmoid
from memcap.cells.matrix import (
    Gate,
    Key,
    MatrixCell,
    State,
    Value,
    add_outer,
    decay,
    retrieve,
)


class DeltaNet(MatrixCell):
    """S' = S + b k (v - S^T k)^T with b = sigmoid(w x + c): eigenvalues in [0, 1].

    Source: Schlag, Irie & Schmidhuber (2021), "Linear transformers are secretly fast
    weight programmers"; Yang et al. (2024), "Parallelizing linear transformers with the
    delta rule over sequence length".
    """

    name = "delta_net"
    # whether b goes up to 2, at which a write flips the sign of a key's value
    allow_neg_eigval = False

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        return [0.0]

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        state = decay(state, self.log_decay(gates))
        strength = self.beta_scale * sigmoid(gates[0])[..., None]
        return add_outer(state, key, strength * (value - retrieve(state, key)))

    @property
    def beta_scale(self) -> float:
        """The greatest strength b of a write."""
        return 2.0 if self.allow_neg_eigval else 1.0

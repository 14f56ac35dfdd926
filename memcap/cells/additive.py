"""Cells with a matrix that decays and is added to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memcap.cells.matrix import Gate, Key, MatrixCell, State, Value, add_outer, decay

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class AdditiveCell(MatrixCell):
    """Base of the cells with S' = diag(a) S + k v^T, where a, k and v depend only on
    the inputs; a subclass has `decay_and_strength`."""

    def decay_and_strength(
        self, gates: list[Gate]
    ) -> tuple[Gate | Float[Array, "*T B K"] | None, Gate | None]:
        """Return log a, one number or K (None: 0), and the factor of the value (None:
        1)."""
        raise NotImplementedError

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        log_decay, strength = self.decay_and_strength(gates)
        state = decay(state, log_decay)
        if strength is not None:
            value = strength[..., None] * value
        return add_outer(state, key, value)

"""Cells with a matrix that decays and is added to: S' = diag(a) S + k v^T, with a, k and v of the inputs
alone. On accelerators they go over time by chunks of steps: memcap/loops/chunkwise.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from memcap.cells.chunked import ChunkedCell, Terms
from memcap.cells.matrix import added

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class AdditiveCell(ChunkedCell):
    """Base of the cells with S' = diag(a) S + k v^T; a subclass has `decay_and_strength`."""

    def decay_and_strength(
        self, gates: list[Float[Array, "*T B"]]
    ) -> tuple[Float[Array, "*T B"] | Float[Array, "*T B K"] | None, Float[Array, "*T B"] | None]:
        """The logarithm of a, one number or K; and what the value is multiplied by. None: 0, and 1."""
        raise NotImplementedError

    def write(
        self,
        state: Float[Array, "B K U"],
        key: Float[Array, "B K"],
        value: Float[Array, "B U"],
        gates: list[Float[Array, " B"]],
    ) -> Float[Array, "B K U"]:
        """Decay, then add the value at the key."""
        log_decay, strength = self.decay_and_strength(gates)
        if log_decay is not None:
            factor = jnp.exp(log_decay)
            state = (factor[..., None] if factor.ndim > 1 else factor[..., None, None]) * state
        return added(state, key, value if strength is None else strength[..., None] * value)

    def terms(self, state: Any, seen: Float[Array, "T B F2"], resets: Bool[Array, " T"] | None) -> Terms:
        """See `ChunkedCell.terms`."""
        del resets
        value = seen @ self.value[...]
        log_decay, strength = self.decay_and_strength(self.gates_of(seen))
        if log_decay is None:
            log_decay = jnp.zeros(seen.shape[:-1], seen.dtype)
        return Terms(
            state,
            log_decay if log_decay.ndim == seen.ndim else log_decay[..., None],
            self.key_of(seen, self.key[...]),
            value if strength is None else strength[..., None] * value,
            self.key_of(seen, self.query[...]),
            None,
        )

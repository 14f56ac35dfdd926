"""Cells with a matrix that decays and is added to: S' = diag(a) S + k v^T, with a, k and v of the inputs
alone. On accelerators they go over time by chunks of steps: memcap/loops/chunkwise.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from memcap.cells.matrix import MatrixCell, added, even

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class Terms(NamedTuple):
    """What T steps do to a matrix, S[t] = diag(exp(log_decay[t])) S[t - 1] + key[t] value[t]^T, and read of
    it, S[t]^T query[t].

    Args:
        matrix: S before the first step.
        log_decay: at most 0, of each number of a key, or one for all of them.
        key, value, query: of each step.
        scales: what else the state has, before the first step and after each; None: nothing.
    """

    matrix: Float[Array, "B K V"]
    log_decay: Float[Array, "T B D"]
    key: Float[Array, "T B K"]
    value: Float[Array, "T B V"]
    query: Float[Array, "T B K"]
    scales: Float[Array, "T1 B"] | None


class AdditiveCell(MatrixCell):
    """Base of the cells with S' = diag(a) S + k v^T; a subclass has `decay_and_strength`.

    One whose state is more than S has `terms`, `hidden` and `state_of`, too, beside a step of its own.
    """

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
        """What the steps do.

        Args:
            state: before the first step, without the last input.
            seen: this input and the one before, of each step.
            resets: before which steps the state is set to zero; None: before none. S and the last input are
                the loop's to set.
        """
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

    def hidden(
        self, read: Float[Array, "*T B V"], scale: Float[Array, "*T B"] | None
    ) -> Float[Array, "*T B U"]:
        """What is shown of S^T q, with what else the state has."""
        del scale
        return even(read)

    def state_of(self, matrix: Float[Array, "B K V"], scale: Float[Array, " B"] | None) -> Any:
        """The state, without the last input, of S and of what else it has."""
        del scale
        return matrix

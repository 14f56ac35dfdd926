"""Cells whose matrix goes over time by chunks of steps on accelerators: memcap/loops/chunkwise.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from memcap.cells.matrix import MatrixCell, even

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class Terms(NamedTuple):
    """What T steps do to a matrix, S[t] = diag(exp(log_decay[t])) S[t - 1] + key[t] value[t]^T, and read of
    it, S[t]^T query[t].

    By the delta rule a value is what the key gets in place of what it has, by a strength: for value[t] stands
    strength[t] (value[t] - S^T key[t]), S being the matrix after the decay. A step may have several writes,
    one after another, each with its own decay.

    Args:
        matrix: S before the first step.
        log_decay: of each write, at most 0, of each number of a key, or one for all of them; None: 0.
        key, value: of each write, W of them, T or a multiple of T.
        query: of each step.
        scales: what else the state has, before the first step and after each; None: nothing.
        strength: of each write by the delta rule; None: values are added.
    """

    matrix: Float[Array, "B K V"]
    log_decay: Float[Array, "W B D"] | None
    key: Float[Array, "W B K"]
    value: Float[Array, "W B V"]
    query: Float[Array, "T B K"]
    scales: Float[Array, "T1 B"] | None
    strength: Float[Array, "W B"] | None = None

    @property
    def writes(self) -> int:
        """Of each step."""
        return len(self.key) // len(self.query)


class ChunkedCell(MatrixCell):
    """Base of these cells; a subclass has `terms`, beside a step of its own.

    One whose state is more than S has `hidden` and `state_of`, too.
    """

    def terms(self, state: Any, seen: Float[Array, "T B F2"], resets: Bool[Array, " T"] | None) -> Terms:
        """What the steps do.

        Args:
            state: before the first step, without the last input.
            seen: this input and the one before, of each step.
            resets: before which steps the state is set to zero; None: before none. S and the last input are
                the loop's to set.
        """
        raise NotImplementedError

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

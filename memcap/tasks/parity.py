"""Parity task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.tasks.base import Batch, Facts, LetterTask, Operand

if TYPE_CHECKING:
    from jaxtyping import Array, Int

_BLANK = 2


@dataclass(frozen=True)
class Parity(LetterTask):
    """Fair bits come, then a blank. Then the answer is whether the number of ones was odd.

    Example: 1 0 1 1 _ | lag 4 -> 1.

    Source: the parity check of Delétang et al. (2023), "Neural networks and the Chomsky
    hierarchy"; that no recurrence whose eigenvalues are all positive learns it: Grazzi
    et al. (2025), "Unlocking state-tracking in linear RNNs through negative
    eigenvalues"."""

    name = "parity"
    question = "whether something came an odd or an even number of times"
    letters = 2  # the bits
    vocabulary = _BLANK + 1  # the bits, and the blank
    outputs = 2  # even, odd

    def _layout(
        self,
        step: Int[Array, "T 1"],
        letters: Int[Array, "T B"],
        lag: Operand,
        length: Operand,
    ) -> Batch:
        import jax.numpy as jnp

        counts = (step >= length - 1 - lag) & (step < length - 1)
        inputs = jnp.where(counts, letters, _BLANK)
        return Batch(inputs, jnp.sum(jnp.where(counts, letters, 0), axis=0) % 2)

    def facts(self, lag: int, length: int) -> Facts:
        return Facts(held=1, bits=1.0, chance=0.5)

"""Even pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.tasks.base import Batch, Facts, LetterTask, Operand

if TYPE_CHECKING:
    from jaxtyping import Array, Int

_BLANK = 2


@dataclass(frozen=True)
class EvenPairs(LetterTask):
    """Fair bits come, then a blank. Then the answer is whether the number of pairs 01
    and 10 was even.

    Example: 0 0 1 0 _ | lag 4 -> 1: one pair 01 and one 10.

    It is even if and only if the first and the last bit are equal: one bit must be
    latched, and nothing marks it. `lag` is the number of bits.

    Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy"."""

    name = "even_pairs"
    letters = 2  # the bits
    vocabulary = _BLANK + 1  # the bits, and the blank
    outputs = 2  # odd, even
    smallest_lag = 2  # a single bit is like itself

    def _layout(
        self,
        step: Int[Array, "T 1"],
        letters: Int[Array, "T B"],
        lag: Operand,
        length: Operand,
    ) -> Batch:
        import jax.numpy as jnp

        first = letters[length - 1 - lag]
        last = letters[length - 2]
        is_bit = (step >= length - 1 - lag) & (step < length - 1)
        inputs = jnp.where(is_bit, letters, _BLANK)
        return Batch(inputs, (first == last).astype(jnp.int32))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one bit: the first one, then whether it is like the last."""
        return Facts(held=1, bits=1.0, chance=0.5)

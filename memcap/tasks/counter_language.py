"""Counter languages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@dataclass(frozen=True)
class CounterLanguage(Task):
    """A word has n letters a, n letters b, and so on; from the first b on, the answer
    is the next letter, or the end of the word.

    Example (letters a and b, blank _): a a a b b b _ _ | lag 4 -> . . . b b ! . ! (no
    answer is due at a dot; ! is due where the word is over).

    `lag` is the largest n: each sequence draws its n uniformly from 1 to `lag`, as a
    clock could replace the count of a fixed n. Blanks follow the word, and the last
    step asks once more whether it is over.

    Source: Gers & Schmidhuber (2001), "LSTM recurrent networks learn simple
    context-free and context-sensitive languages"; Suzgun, Belinkov & Shieber (2019),
    "On evaluating the generalization of LSTM models in formal languages". There a net
    also says at each a that a or b may follow."""

    symbols: int = knob(
        2, "number of letters: 2 are a and b, 4 are a to d", choices=(2, 3, 4)
    )
    name = "counter_language"
    filler = ""  # a word begins at the first step; blanks follow it
    answers = "every"
    smallest_lag = 2  # if each letter comes once, the next one is in sight

    @property
    def vocabulary(self) -> int:
        """The letters, then the blank."""
        return self.symbols + 1

    @property
    def outputs(self) -> int:
        """One logit per letter from b on, then one for the end."""
        return self.symbols

    def shortest(self, lag: int) -> int:
        return self.symbols * lag

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        number = integers(key, (batch,), 1, lag + 1)
        return self._layout(number, length, steps)

    def sequences_in_all(self, lag: int, length: int) -> int:
        return lag

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        return self._layout(numbers + 1, length, steps)

    def _layout(self, number: Int[Array, " B"], length: Operand, steps: int) -> Batch:
        import jax.numpy as jnp

        step = jnp.arange(steps)[:, None]
        inputs = jnp.minimum(
            step // number, self.symbols
        )  # the blank comes after the letters
        targets = jnp.clip((step + 1) // number - 1, 0, self.symbols - 1)
        in_word = (step >= number) & (step < self.symbols * number)
        mask = in_word | (step == length - 1)
        return Batch(inputs, jnp.where(mask, targets, 0), mask)

    def facts(self, lag: int, length: int) -> Facts:
        """Count the values to hold beside the letter just read.

        For a^n b^n: `lag` values of one number, the a's so far or the b's left. In
        longer words n is held, too: lag (lag + 1) / 2 pairs.

        Chance: a letter is answered by itself, right n - 1 times of n, or by the next
        one, right once. As it grows with the lag, the criterion allows one in 50 of the
        mistakes made without memory, as 0.99 does for a fair coin."""
        blocks = self.symbols - 1
        after_word = 1 - (length == self.shortest(lag)) / lag
        due = blocks * (lag + 1) / 2 + after_word
        chance = (blocks * max((lag - 1) / 2, 1) + after_word) / due
        held, values = (1, lag) if self.symbols == 2 else (2, lag * (lag + 1) // 2)
        return Facts(held, math.log2(values), chance, threshold=1 - (1 - chance) / 50)

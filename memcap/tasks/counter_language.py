"""Counter languages: n times a, n times b, and so on; say which letter is next, or that
the word is over."""

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

    `lag` is the largest n: each sequence has its own n, drawn uniformly from 1 to
    `lag`. If all had n = lag, a clock could replace the count of the a's; as it is, the
    first b comes at no known step, and a net that is right on all sequences of a lag
    counts up to it. A word begins at the first step, and blanks follow it. All
    sequences of a batch have their last answer at the last step, as in other tasks: it
    is once more whether the word is over, which is in sight unless the last letter
    comes at that step.

    With `recipe.lags` = uniform each batch has its own largest n, so that short words
    come more often.

    Source: Gers & Schmidhuber (2001), "LSTM recurrent networks learn simple
    context-free and context-sensitive languages"; Suzgun, Belinkov & Shieber (2019),
    "On evaluating the generalization of LSTM models in formal languages". There a net
    also says at each a that a or b may follow.
    """

    symbols: int = knob(
        2, "number of letters: 2 are a and b, 4 are a to d", choices=(2, 3, 4)
    )
    name = "counter_language"
    filler = ""  # a word begins at the first step; blanks follow it
    answers = "every"
    smallest_lag = 2  # if each letter comes once, the next one is in sight

    @property
    def vocabulary(self) -> int:
        """The letters, and the blank, in that order."""
        return self.symbols + 1

    @property
    def outputs(self) -> int:
        """One logit per letter from b on, and one for the end, in that order."""
        return self.symbols

    def shortest(self, lag: int) -> int:
        """Count the longest word."""
        return self.symbols * lag

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw inputs, targets and mask (T, B)."""
        number = integers(key, (batch,), 1, lag + 1)
        return self._layout(number, length, steps)

    def sequences_in_all(self, lag: int, length: int) -> int:
        """Return the lag: a word for each n."""
        return lag

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        """Return the words of n = 1 and these numbers more."""
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
        """Count the values that must be held beside the letter just read. For a^n b^n
        that is one number with `lag` values: after an a the n so far, after a b the
        number that are left. In longer words c is due n times again, so n is held
        beside the number of b's that are left: lag (lag + 1) / 2 pairs.

        Chance is that of the likelier answer to each letter: that it comes again, right
        n - 1 times out of n, or the next letter, right once; n is (lag + 1) / 2 on
        average. After the word the answer is in sight. As chance grows with the lag, so
        does the criterion: it allows one in 50 of the mistakes that are made without
        memory, as 0.99 does for a fair coin.
        """
        blocks = self.symbols - 1
        after_word = 1 - (length == self.shortest(lag)) / lag
        due = blocks * (lag + 1) / 2 + after_word
        chance = (blocks * max((lag - 1) / 2, 1) + after_word) / due
        held, values = (1, lag) if self.symbols == 2 else (2, lag * (lag + 1) // 2)
        return Facts(held, math.log2(values), chance, threshold=1 - (1 - chance) / 50)

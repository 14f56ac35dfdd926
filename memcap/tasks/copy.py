"""Copy task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import knob
from memcap.tasks.base import (
    Batch,
    Facts,
    Operand,
    RandomKey,
    Task,
    answer_mask,
    digits,
    integers,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@dataclass(frozen=True)
class Recall(Task):
    """Base of the tasks that show K symbols, wait, and ask for all of them in order."""

    items: int = knob(4, "number K of symbols to recall", at_least=1, at_most=1024)
    symbols: int = knob(2, "size A of the alphabet", at_least=2, at_most=1024)
    distractors: int = knob(
        0, "size of the distractors' alphabet; 0: blanks", at_least=0, at_most=1024
    )
    cue: str = knob(
        "once",
        "steps of the cue: once, before the recall; throughout, also at every step of the recall",
        choices=("once", "throughout"),
    )
    asks = ("items", "symbols")
    answers = "every"

    @property
    def filler(self) -> str:
        return "distractors" if self.distractors else "blanks"

    @property
    def cue_symbol(self) -> int:
        """The cue, after the symbols and the distractors (or one blank)."""
        return self.symbols + max(self.distractors, 1)

    @property
    def outputs(self) -> int:
        return self.symbols

    def shortest(self, lag: int) -> int:
        return 2 * self.items + lag

    def facts(self, lag: int, length: int) -> Facts:
        return Facts(
            self.items,
            bits=self.items * math.log2(self.symbols),
            chance=1 / self.symbols,
            answers_due=self.items,
            independent=True,
        )


@dataclass(frozen=True)
class Copy(Recall):
    """K symbols come, and after `lag` steps the net must repeat them in K steps. A cue
    ends the wait.

    Example (K = 3, A = 2, blank _, cue !): 1 0 1 _ _ ! _ _ _ | lag 3 -> . . . . . . 1 0
    1 (no answer is due at a dot).

    The cue is the last of the `lag` steps. With `distractors`, blanks are random
    symbols of an alphabet of their own: a fixed blank lag teaches a clock, which often
    fails at a lag two steps longer. With `waits` = drawn, each sequence waits for 1 to
    `lag` steps, after the rest of the blanks.

    With `coding` = number a step is one number: 0 a blank (from 0 on the distractors),
    then the symbols, then the cue. The example is then 2 1 2 0 0 3 0 0 0.

    Source: Hochreiter & Schmidhuber (1997); in this layout Arjovsky, Shah & Bengio
    (2016), sec. 4.1, with K = 10, A = 8, and a loss over all steps, not only recall.
    Bai, Kolter & Koltun (2018) show the symbols as numbers, and the cue throughout;
    drawn waits are the variable copy of Tallec & Ollivier (2018)."""

    waits: str = knob(
        "fixed",
        "length of the wait: `lag` steps, or drawn from 1 to `lag`",
        choices=("fixed", "drawn"),
        before="fixed",
    )
    coding: str = knob(
        "one_hot",
        "form of a symbol: a one-hot vector, or one number",
        choices=("one_hot", "number"),
        before="one_hot",
    )
    name = "copy"
    question = "several things in a row, in their order, until they are asked for"

    @property
    def vocabulary(self) -> int | None:
        """A symbols, the distractors (or one blank), the cue; None for numbers."""
        return self.cue_symbol + 1 if self.coding == "one_hot" else None

    @property
    def features(self) -> int:
        return self.vocabulary or 1

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax

        symbol_key, filler_key = jax.random.split(key)
        symbols = integers(symbol_key, (self.items, batch), 0, self.symbols)
        filler = integers(filler_key, (steps, batch), self.symbols, self.cue_symbol)
        wait = lag
        if self.waits == "drawn":
            wait = integers(jax.random.fold_in(key, 2), (batch,), 1, lag + 1)
        return self._layout(symbols, filler, wait, length)

    def sequences_in_all(self, lag: int, length: int) -> int | None:
        """Return A^K, for each length of the wait, if all filler is blank."""
        if self.distractors > 1:
            return None
        return self.symbols**self.items * (lag if self.waits == "drawn" else 1)

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        """Return the sequences whose symbols are the lowest K digits of these numbers.

        The rest of the number says how long a drawn wait is."""
        import jax.numpy as jnp

        symbols = digits(numbers, self.symbols, 0, self.items)
        blanks = jnp.full((steps, len(numbers)), self.symbols)
        wait = lag
        if self.waits == "drawn":
            wait = numbers // self.symbols**self.items + 1
        return self._layout(symbols, blanks, wait, length)

    def _layout(
        self,
        symbols: Int[Array, "K B"],
        filler: Int[Array, "T B"],
        wait: Operand | Int[Array, " B"],
        length: Operand,
    ) -> Batch:
        import jax.numpy as jnp

        step = jnp.arange(len(filler))
        item = step[:, None] - (length - 2 * self.items - wait)
        recall = step - (length - self.items)
        item = jnp.broadcast_to(item, filler.shape)
        symbol = jnp.take_along_axis(symbols, jnp.clip(item, 0, self.items - 1), axis=0)
        cued = (recall == -1) if self.cue == "once" else (recall >= -1)
        inputs = jnp.where((item >= 0) & (item < self.items), symbol, filler)
        inputs = jnp.where(cued[:, None], self.cue_symbol, inputs)
        mask = answer_mask(inputs, length - self.items, length)
        if self.coding == "number":
            digits = (inputs - self.symbols) % self.cue_symbol
            digits = jnp.where(inputs < self.cue_symbol, digits, self.cue_symbol)
            inputs = digits.astype(jnp.float32)[..., None]
        due = symbols[jnp.clip(recall, 0, self.items - 1)]
        return Batch(inputs, jnp.where(mask, due, 0), mask)

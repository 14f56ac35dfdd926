"""Copy: read K symbols, wait, then say them all in order."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, Task, integers, scored


@dataclass(frozen=True)
class Copy(Task):
    """K symbols, `lag` steps without news, K steps in which the symbols are due; a cue ends the wait.

    Example (K = 3, A = 2, blank _, cue !): 1 0 1 _ _ ! _ _ _ | lag 3 -> . . . . . . 1 0 1 (no answer is due at a dot).

    The cue is the last of the `lag` steps, so the length is 2 K + lag, and each symbol is held for K + lag steps. With
    `distractors`, all blanks are random symbols of an alphabet of their own. A fixed blank lag teaches a clock: a net
    trained on it often fails at a lag two steps longer.

    Source: Hochreiter & Schmidhuber (1997); in this layout Arjovsky, Shah & Bengio (2016), sec. 4.1, where T is the
    lag, K = 10, A = 8, and the loss is averaged over all steps; here only the K recall steps count.
    """

    items: int = knob(4, "number K of symbols to recall", at_least=1, at_most=1024)
    symbols: int = knob(2, "size A of the alphabet", at_least=2, at_most=1024)
    distractors: int = knob(0, "size of the distractors' alphabet; 0: blanks", at_least=0, at_most=1024)
    cue: str = knob(
        "once",
        "at the last step of the lag only, or there and throughout the recall (Bai et al. 2018)",
        choices=("once", "throughout"),
    )
    name: ClassVar[str] = "copy"
    question: ClassVar[str] = "several things in a row, in their order, until they are asked for"
    asks: ClassVar[tuple[str, ...]] = (
        "items",
        "symbols",
    )
    answers: ClassVar[Literal["last", "every"]] = "every"

    @property
    def vocabulary(self) -> int:
        """A symbols, the distractors (or one blank), and the cue, in that order."""
        return self.symbols + max(self.distractors, 1) + 1

    @property
    def outputs(self) -> int:
        """One logit a symbol."""
        return self.symbols

    def shortest(self, lag: int) -> int:
        """2 K + lag."""
        return 2 * self.items + lag

    def sample(self, key: jax.Array, lag: Operand, length: Operand, steps: int, batch: int) -> Batch:
        """Inputs, targets and mask (T, B). In a sequence longer than 2 K + lag the symbols come later, after filler."""
        symbol_key, filler_key = jax.random.split(key)
        symbols = integers(symbol_key, (self.items, batch), 0, self.symbols)
        filler = integers(filler_key, (steps, batch), self.symbols, self.vocabulary - 1)
        step = jnp.arange(steps)
        item, recall = step - (length - 2 * self.items - lag), step - (length - self.items)
        shown = ((item >= 0) & (item < self.items))[:, None]
        cued = (recall == -1) if self.cue == "once" else (recall >= -1)
        inputs = jnp.where(shown, symbols[jnp.clip(item, 0, self.items - 1)], filler)
        inputs = jnp.where(cued[:, None], self.vocabulary - 1, inputs)
        mask = scored(inputs, length - self.items, length)
        return Batch(inputs, jnp.where(mask, symbols[jnp.clip(recall, 0, self.items - 1)], 0), mask)

    def facts(self, lag: int, length: int) -> Facts:
        """K symbols, K log2 A bits, whatever the lag; chance is 1 / A."""
        del lag, length
        return Facts(held=self.items, bits=self.items * math.log2(self.symbols), chance=1 / self.symbols)

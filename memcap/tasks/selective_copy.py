"""Selective copy: read K symbols that come at random steps among blanks, then say them
all in order."""

import math
from dataclasses import dataclass

from memcap.config.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers, scored


@dataclass(frozen=True)
class SelectiveCopy(Task):
    """K symbols come at random steps among `lag` - 1 blanks; after a cue the net must
    repeat them in order.

    Example (K = 3, A = 2, blank _, cue !): _ 1 _ 0 1 ! _ _ _ | lag 3 -> . . . . . . 1 0
    1 (no answer is due at a dot).

    It has the symbols, blanks, cue and length 2 K + lag of `copy`, which shows its
    symbols in a row: there the answer is the symbol of K + lag steps ago, here the net
    must see at which steps the symbols come. All sets of places are equally likely. At
    lag 1 there are no blanks, and the two tasks are the same. With `distractors`, all
    blanks are random symbols of an alphabet of their own. With `cue` = throughout the
    recall looks different from the wait: otherwise gates that see only the input cannot
    keep a state at a blank of the wait and move it on at one of the recall.

    Source: Jing et al. (2019), "Gated orthogonal recurrent units", as the denoise task;
    Gu & Dao (2023), "Mamba", sec. 4.1.1 and app. E.1, with K = 16 in 4,096 steps, of a
    vocabulary of 16 with the blank.
    """

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
    name = "selective_copy"
    question = "several things out of many, in their order, until they are asked for"
    asks = ("items", "symbols")
    answers = "every"

    @property
    def vocabulary(self) -> int:
        """A symbols, the distractors (or one blank), and the cue, in that order."""
        return self._cue + 1

    @property
    def _cue(self) -> int:
        return self.symbols + max(self.distractors, 1)

    @property
    def outputs(self) -> int:
        """One logit per symbol."""
        return self.symbols

    def shortest(self, lag: int) -> int:
        """Return 2 K + lag."""
        return 2 * self.items + lag

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw inputs, targets and mask (T, B). In a sequence longer than 2 K + lag
        more filler comes first."""
        import jax
        import jax.numpy as jnp
        from jax import lax

        symbol_key, filler_key, place_key = jax.random.split(key, 3)
        symbols = integers(symbol_key, (self.items, batch), 0, self.symbols)
        filler = integers(filler_key, (steps, batch), self.symbols, self._cue)
        step = jnp.arange(steps)
        recall = step - (length - self.items)
        free = (recall < -1) & (recall >= -(self.items + lag))
        order = jnp.where(
            free[:, None], jax.random.uniform(place_key, (steps, batch)), -1
        )
        places = lax.top_k(order.T, self.items)[1].T
        is_item = (
            jnp.zeros((steps, batch), bool).at[places, jnp.arange(batch)].set(True)
        )
        item = jnp.cumsum(is_item, axis=0) - 1
        symbol = jnp.take_along_axis(symbols, jnp.clip(item, 0, self.items - 1), axis=0)
        cued = (recall == -1) if self.cue == "once" else (recall >= -1)
        inputs = jnp.where(cued[:, None], self._cue, jnp.where(is_item, symbol, filler))
        mask = scored(inputs, length - self.items, length)
        return Batch(
            inputs,
            jnp.where(mask, symbols[jnp.clip(recall, 0, self.items - 1)], 0),
            mask,
        )

    def facts(self, lag: int, length: int) -> Facts:
        """Hold K symbols, K log2 A bits, whatever the lag and wherever they came;
        chance is 1 / A."""
        bits = self.items * math.log2(self.symbols)
        return Facts(
            self.items,
            bits,
            chance=1 / self.symbols,
            answers_due=self.items,
            independent=True,
        )

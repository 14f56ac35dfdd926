"""Selective copy."""

from dataclasses import dataclass

from memcap.tasks.base import Batch, Operand, RandomKey, answer_mask, integers
from memcap.tasks.copy import Recall


@dataclass(frozen=True)
class SelectiveCopy(Recall):
    """K symbols come at random steps among `lag` - 1 blanks; after a cue the net must
    repeat them in order.

    Example (K = 3, A = 2, blank _, cue !): _ 1 _ 0 1 ! _ _ _ | lag 3 -> . . . . . . 1 0
    1 (no answer is due at a dot).

    Unlike in `copy`, the net must see at which steps the symbols come; at lag 1 the two
    tasks are the same. With `cue` = throughout the recall looks different from the
    wait: otherwise gates that see only the input cannot keep a state at a blank of the
    wait and move it on at one of the recall.

    Source: Jing et al. (2019), "Gated orthogonal recurrent units", as the denoise task;
    Gu & Dao (2023), "Mamba", sec. 4.1.1 and app. E.1, with K = 16 in 4,096 steps."""

    name = "selective_copy"
    question = "several things out of many, in their order, until they are asked for"

    @property
    def vocabulary(self) -> int:
        """A symbols, the distractors (or one blank), the cue."""
        return self.cue_symbol + 1

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp
        from jax import lax

        symbol_key, filler_key, place_key = jax.random.split(key, 3)
        symbols = integers(symbol_key, (self.items, batch), 0, self.symbols)
        filler = integers(filler_key, (steps, batch), self.symbols, self.cue_symbol)
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
        inputs = jnp.where(
            cued[:, None], self.cue_symbol, jnp.where(is_item, symbol, filler)
        )
        mask = answer_mask(inputs, length - self.items, length)
        due = symbols[jnp.clip(recall, 0, self.items - 1)]
        return Batch(inputs, jnp.where(mask, due, 0), mask)

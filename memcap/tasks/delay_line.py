"""Delay line (n-back)."""

import math
from dataclasses import dataclass
from typing import Literal

from memcap.knobs import knob
from memcap.tasks.base import (
    Batch,
    Facts,
    Operand,
    RandomKey,
    StreamTask,
    answer_mask,
    integers,
)


@dataclass(frozen=True)
class DelayLine(StreamTask):
    """Each step shows a fresh symbol, and the answer is the symbol of `lag` steps before.

    Example (S = 2): 0 1 1 0 1 | lag 2 -> . . 0 1 1 (no answer is due at a dot).
    The net holds all symbols in between, too. The last 20 symbols, this step's among
    them, are lag 19.

    The state carries the last `lag` symbols. A sequence of fewer than 2 lag + 1 steps
    is refused, as it ends before all that matter at once are due.

    Source: the pure delay of Jaeger (2001), "Short term memory in echo state networks";
    n-back in psychology."""

    symbols: int = knob(2, "size S of the alphabet", at_least=2, at_most=1024)
    reals: bool = knob(
        False,
        "true if steps show standard normal reals instead of symbols, scored by squared error",
    )
    name = "delay_line"
    # what a net must remember, in words for a user
    question = "at every step, all that came up to so many steps ago"
    asks = ("symbols",)  # the names of the knobs that this user is asked for

    @property
    def loss(self) -> Literal["classes", "values"]:
        return "values" if self.reals else "classes"

    @property
    def vocabulary(self) -> int | None:
        return None if self.reals else self.symbols

    @property
    def features(self) -> int:
        return 1 if self.reals else self.symbols

    @property
    def outputs(self) -> int:
        return self.features

    def length(self, lag: int) -> int:
        """Return 4 lag, too long to rely on the zero start state; more if lag < 5."""
        return max(4 * lag, 2 * lag + 10)

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        if self.reals:
            x = jax.random.normal(key, (steps, batch))
        else:
            x = integers(key, (steps, batch), 0, self.symbols)
        mask = answer_mask(x, lag, length)
        # The roll moves the end of the buffer to its start; no answer is due there.
        targets = jnp.where(mask, jnp.roll(x, lag, axis=0), 0)
        return Batch(x[:, :, None] if self.reals else x, targets, mask)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold lag + 1 symbols: the answer, which is the oldest, and those in `bits`.

        For reals chance is the variance, 1, and the criterion 0.05: a normal number
        known up to a squared error e takes log2(1 / e) / 2 bits."""
        if self.reals:
            error = 0.05
            bits = lag * (0.5 * math.log2(1 / error))
            return Facts(lag + 1, bits, chance=1.0, threshold=error, independent=True)
        bits = lag * math.log2(self.symbols)
        return Facts(lag + 1, bits, chance=1 / self.symbols, independent=True)

"""Counting task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import LONGEST, knob
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
class Count(Task):
    """The answer at every step is the count so far, the current step included, divided by `scale`.

    Examples: time 1 1 1 1 | scale 4 -> 0.25 0.5 0.75 1; tokens 0 1 1 0 | scale 4 -> 0 0.25 0.5 0.5.

    "time" is f(t) = t from a constant input; "tokens" counts the ones among fair coin
    flips. `lag` is how far the net counts. Without a `scale` the count is divided by
    the lag, so that no net can be right at two lags.

    Source: for tokens Gers & Schmidhuber (2001), as in `counter_language`."""

    kind: str = knob(
        "time",
        "what is counted: steps, or ones among random bits",
        choices=("time", "tokens"),
    )
    scale: int | None = knob(
        50,
        "count at which the answer is 1; null means the lag",
        at_least=1,
        at_most=LONGEST,
        before=None,
    )
    right: float | None = knob(
        None,
        "share of the counts that are right when they are rounded, at the least; null: the"
        " criterion is a root mean squared error of half a count",
        above=0,
        below=1,
        before=None,
    )
    name = "count"
    question = "how many steps have passed, or how often something came"
    asks = ("kind",)
    question_knobs = ("right=0.99",)
    filler = ""  # the count begins at the first step, and is due at each
    answers = "every"
    loss = "values"
    outputs = 1  # the count
    smallest_lag = 3  # up to 2, a constant answer is right to half a count

    @property
    def vocabulary(self) -> int:
        return 1 if self.kind == "time" else 2

    def shortest(self, lag: int) -> int:
        return lag

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax.numpy as jnp

        if self.kind == "time":
            inputs = jnp.zeros((steps, batch), jnp.int32)
        else:
            inputs = integers(key, (steps, batch), 0, 2)
        return self._layout(inputs, lag, length)

    def sequences_in_all(self, lag: int, length: int) -> int:
        """Return 1 for time, or 2^T for the bits of T steps."""
        return self.vocabulary**length

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        return self._layout(digits(numbers, 2, 0, steps), lag, length)

    def _layout(
        self, inputs: Int[Array, "T B"], lag: Operand, length: Operand
    ) -> Batch:
        import jax.numpy as jnp

        increments = inputs + 1 if self.kind == "time" else inputs
        targets = jnp.cumsum(increments, axis=0) / (self.scale or lag)
        return Batch(inputs, targets, answer_mask(targets, 0, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one number, up to `length` counts.

        Solved at a root mean squared error of half a count; with `right` at 1 - right
        times that squared error, so that by Markov's inequality at least the share
        `right` of rounded counts is right.

        Chance, in counts squared for T steps. Time: (T^2 - 1) / 12. Tokens, where the
        current bit is known: (T - 1) / 8, the mean variance of Binomial(t - 1, 1/2),
        plus (T^2 - 1) / 48, the variance of its mean."""
        scale = self.scale or lag
        if self.kind == "time":
            chance = (length**2 - 1) / 12 / scale**2
        else:
            chance = ((length - 1) / 8 + (length**2 - 1) / 48) / scale**2
        error = (0.5 / scale) ** 2 * (1 - (self.right or 0))
        bits = 0.5 * math.log2(chance / error)
        return Facts(held=1, bits=bits, chance=chance, threshold=error)

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Count `factor` times as far, on the same scale."""
        return (factor * lag if self.scale else lag), factor * lag

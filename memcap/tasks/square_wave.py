"""Square wave."""

import math
from dataclasses import dataclass

from memcap.knobs import knob
from memcap.tasks.base import (
    Batch,
    Facts,
    Operand,
    RandomKey,
    Task,
    answer_mask,
    integers,
)

_WRONG = 0.01  # wrong answers of a solved net, as a share of the ones that are due


@dataclass(frozen=True)
class SquareWave(Task):
    """A run of d ones comes among zeros. The answer is the same run, from `lag` steps
    after its end.

    Example (d = 2): 0 1 1 0 0 0 0 0 0 0 | lag 2 -> 0 0 0 0 0 1 1 0 0 0. An answer is
    due at every step.

    The run comes once, at a random step: the net must hold how long ago it was.

    A net that outputs only zeros is right at 1 - d / T of T steps, and a curriculum's
    `advance` must be above that. Solved means at most a hundredth of its errors, so at
    least 1 - d / 100 of the sequences without any.

    Source: Kent & Murray (2024), "A technical note on the architectural effects on
    maximum dependency lengths of recurrent neural networks", d = 5, from a summary."""

    ones: int = knob(5, "number d of ones in the run", at_least=1, at_most=1024)
    name = "square_wave"
    filler = ""  # an answer is due at each step, and the run may come at any
    answers = "every"
    vocabulary = 2  # zero, one
    outputs = 2  # one logit each

    def shortest(self, lag: int) -> int:
        """Return 3 d + 2 lag, so that the run may be at every place to tell apart."""
        return 3 * self.ones + 2 * lag

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw a batch; starts that leave room for the answer are equally likely."""
        import jax.numpy as jnp

        start = integers(key, (batch,), 0, length - 2 * self.ones - lag + 1)
        age = jnp.arange(steps)[:, None] - start
        inputs = ((age >= 0) & (age < self.ones)).astype(jnp.int32)
        since = age - self.ones - lag
        targets = ((since >= 0) & (since < self.ones)).astype(jnp.int32)
        return Batch(inputs, targets, answer_mask(inputs, 0, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one of d + lag + 1 states: nothing due, or the steps since the run was
        seen.

        Chance is 1 - d / T."""
        share = self.ones / length
        bits = math.log2(self.ones + lag + 1)
        return Facts(held=1, bits=bits, chance=1 - share, threshold=1 - _WRONG * share)

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Keep the lag, which no batch tells; the run may come later."""
        return lag, factor * self.length(lag)

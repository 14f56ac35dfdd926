"""Square wave: say a run of ones again, a fixed time after it has ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, Task, integers, scored

if TYPE_CHECKING:
    from jaxtyping import Array, Key

_WRONG = 0.01  # wrong answers of a solved net, as a share of the ones that are due


@dataclass(frozen=True)
class SquareWave(Task):
    """A run of d ones among zeros; the answer is the same run, from `lag` steps after its end on.

    Example (d = 2): 0 1 1 0 0 0 0 0 0 0 | lag 2 -> 0 0 0 0 0 1 1 0 0 0. An answer is due at every step.

    The run comes once, at a random step: a clock alone says nothing. Its place need not be held, only how
    long ago it was, so this is one event and a count. The first one after it is due d + `lag` steps later.

    Most answers are zeros, and a net that says nothing but zeros is right at 1 - d / T of T steps: accuracies
    are near 1 throughout, and a curriculum's `advance` must be above that. So solved is not .99: it is at
    most a hundredth of the errors that zeros make, which leaves at least 1 - d / 100 of the sequences without
    any.

    Source: Kent & Murray (2024), "A technical note on the architectural effects on maximum dependency lengths
    of recurrent neural networks", with d = 5, by a summary; how long their sequences are it does not say.
    """

    ones: int = knob(5, "number d of ones in the run", at_least=1, at_most=1024)
    name: ClassVar[str] = "square_wave"
    answers: ClassVar[Literal["last", "every"]] = "every"
    vocabulary: ClassVar[int] = 2  # zero, one
    outputs: ClassVar[int] = 2  # one logit each

    def shortest(self, lag: int) -> int:
        """Return 3 d + 2 lag: so many that at one moment the run may be at every place that is to be told
        apart."""
        return 3 * self.ones + 2 * lag

    def sample(self, key: Key[Array, ""], lag: Operand, length: Operand, steps: int, batch: int) -> Batch:
        """Draw inputs, targets and mask (T, B). Every start is as frequent that leaves room for the
        answer."""
        start = integers(key, (batch,), 0, length - 2 * self.ones - lag + 1)
        age = jnp.arange(steps)[:, None] - start
        inputs = ((age >= 0) & (age < self.ones)).astype(jnp.int32)
        since = age - self.ones - lag
        targets = ((since >= 0) & (since < self.ones)).astype(jnp.int32)
        return Batch(inputs, targets, scored(inputs, 0, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one count: zero to d + lag - 1 steps since the run was last seen, or that there is nothing to
        wait for: d + lag + 1 states, alike in what comes and unlike in what is due. Chance is 1 - d / T.
        """
        share = self.ones / length
        return Facts(
            held=1,
            bits=math.log2(self.ones + lag + 1),
            chance=1 - share,
            threshold=1 - _WRONG * share,
        )

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Keep the lag in a sequence `factor` times as long, in which the run may come late: no batch says
        which lag it has."""
        return lag, factor * self.length(lag)

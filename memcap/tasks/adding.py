"""Adding problem."""

import math
from dataclasses import dataclass

from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers


@dataclass(frozen=True)
class Adding(SpanTask):
    """Each step shows a number from U[0, 1] and a marker; at the end the sum of the two
    marked numbers is due.

    Example (marked with *): 0.3 0.9* 0.2 0.5 0.4* 0.7 | lag 5 -> 1.3.

    One marker falls in each half of the last `lag` + 1 steps. A net without memory can
    use the last one where it is marked: `chance` is a little below 1/6, the variance of
    the sum and the baseline that papers quote.

    Source: Hochreiter & Schmidhuber (1997), experiment 4; the form with one marker a
    half is that of Arjovsky, Shah & Bengio (2016), sec. 4.2."""

    name = "adding"
    filler = "numbers without a marker"
    question = "the sum of a few marked numbers"
    loss = "values"
    vocabulary = None
    features = 2  # the number and its marker
    outputs = 1  # the sum

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        value_key, first_key, second_key = jax.random.split(key, 3)
        value = jax.random.uniform(value_key, (steps, batch))
        start = length - 1 - lag
        half = (lag + 1) // 2
        first = integers(first_key, (batch,), start, start + half)
        second = integers(second_key, (batch,), start + half, length)
        step = jnp.arange(steps)[:, None]
        marked = (step == first) | (step == second)
        total = jnp.take_along_axis(value, jnp.stack([first, second]), axis=0)
        inputs = jnp.stack([value, marked.astype(value.dtype)], axis=-1)
        return Batch(inputs, total[0] + total[1])

    def facts(self, lag: int, length: int) -> Facts:
        """Hold the running sum; solved at an error of 0.01, as in most papers.

        Chance is 1/6, less the 1/12 that is seen when the last step is marked, once in
        ceil((lag + 1) / 2) sequences."""
        chance = 1 / 6 - 1 / 12 / (lag + 1 - (lag + 1) // 2)
        error = 0.01
        bits = 0.5 * math.log2(1 / 6 / error)
        return Facts(held=1, bits=bits, chance=chance, threshold=error)

"""Fading kernel."""

import math
from dataclasses import dataclass

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, answer_mask

_SHARE = 0.001  # of the answers' variance that a solved net's squared error may have


@dataclass(frozen=True)
class FadingKernel(SpanTask):
    """At step t comes a standard normal x(t), and the answer is the sum of x(t - s) /
    (1 + s)^p over all s from 0 to t.

    Example (p = 1): 6 0 0 -2 | lag 3 -> 6 3 2 -0.5.

    `lag` is the greatest age that counts. A gate's memory fades exponentially, and a
    power law is a sum of exponentials, one for each scale of time: the width grows with
    the lag, but more slowly.

    Source: Li, Han, E & Li (2021), "On the curse of memory in recurrent neural
    networks: approximation and optimization analysis", whose kernels have no end."""

    power: float = knob(1.0, "power p by which the weights fade", above=0, at_most=10)
    name = "fading_kernel"
    filler = ""  # an answer is due at each step, and earlier values are part of it
    answers = "every"
    loss = "values"
    vocabulary = None
    features = 1  # x
    outputs = 1  # the sum

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        x = jax.random.normal(key, (steps, batch))
        past = jnp.concatenate([jnp.zeros_like(x), x])

        # One age after another: the order of a product's sums would depend on the buffer's size.
        def add(age: jax.Array, total: jax.Array) -> jax.Array:
            weight = (1 + jnp.float32(age)) ** -self.power
            return total + weight * jax.lax.dynamic_slice_in_dim(
                past, steps - age, steps
            )

        targets = jax.lax.fori_loop(
            0, jnp.minimum(lag + 1, steps), add, jnp.zeros_like(x)
        )
        return Batch(x[:, :, None], targets, answer_mask(targets, 0, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold at least one number, to a thousandth of the variance.

        Chance knows x(t) and leaves the sum of w(s)^2 over s >= 1, where w(s) counts at
        length - s of the steps."""
        past = 0.0
        # sum() rounds by Python's version, but this is part of a key
        for s in range(1, lag + 1):
            past += (length - s) / length * (1 + s) ** (-2 * self.power)
        error = _SHARE * (1 + past)
        bits = 0.5 * math.log2(past / error)
        return Facts(held=1, bits=bits, chance=past, threshold=error)

"""Fading kernel: say at every step a sum of all that came, each value with a weight that fades as a power of
its age."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax
import jax.numpy as jnp

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, Task, scored

if TYPE_CHECKING:
    from jaxtyping import Array, Key

_SHARE = 0.001  # of the variance of the answers, that a solved net's squared error may have


@dataclass(frozen=True)
class FadingKernel(Task):
    """At step t comes a standard normal x(t), and the answer is the sum of x(t - s) / (1 + s)^p over all s
    from 0 to t.

    Example (p = 1): 6 0 0 -2 | lag 3 -> 6 3 2 -.5.

    `lag` is the greatest age that counts, and a sequence has `lag` + 1 steps, so that a shorter one asks the
    same. No gate holds that: what one unit keeps fades by a factor per step, an exponential, and a power is a
    sum of several, at each scale of time another one. So the width grows with the lag, slower than it.

    Source: Li, Han, E & Li (2021), "On the curse of memory in recurrent neural networks: approximation and
    optimization analysis", whose kernels have no end.
    """

    power: float = knob(1.0, "power p by which the weights fade", above=0, at_most=10)
    name: ClassVar[str] = "fading_kernel"
    answers: ClassVar[Literal["last", "every"]] = "every"
    loss: ClassVar[Literal["classes", "values"]] = "values"
    vocabulary: ClassVar[None] = None
    features: ClassVar[int] = 1  # x
    outputs: ClassVar[int] = 1  # the sum

    def shortest(self, lag: int) -> int:
        """Return the lag, and the current step."""
        return lag + 1

    def sample(self, key: Key[Array, ""], lag: Operand, length: Operand, steps: int, batch: int) -> Batch:
        """Draw inputs (T, B, 1), targets and mask (T, B). In a sequence longer than lag + 1 what is older
        than `lag` counts no more."""
        x = jax.random.normal(key, (steps, batch))
        past = jnp.concatenate([jnp.zeros_like(x), x])

        # One age after another: the order of a product's sums would depend on the buffer's size.
        def add(age: Array, total: Array) -> Array:
            weight = (1 + jnp.float32(age)) ** -self.power
            return total + weight * jax.lax.dynamic_slice_in_dim(past, steps - age, steps)

        targets = jax.lax.fori_loop(0, jnp.minimum(lag + 1, steps), add, jnp.zeros_like(x))
        return Batch(x[:, :, None], targets, scored(targets, 0, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one number at least, what is known of the next answer, to a thousandth of the variance. How
        many it takes is what is asked: each answer weighs all that came anew.

        The weight w(s) counts at length - s of the steps. Chance knows x(t), of weight 1, and leaves the
        variance of the rest: the sum of w(s)^2 over s from 1 on, its mean over steps.
        """
        past = 0.0
        for s in range(1, lag + 1):  # sum() rounds by Python's version, and a threshold is part of a key
            past += (length - s) / length * (1 + s) ** (-2 * self.power)
        threshold = _SHARE * (1 + past)
        return Facts(1, bits=0.5 * math.log2(past / threshold), chance=past, threshold=threshold)

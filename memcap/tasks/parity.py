"""Parity: say whether the ones among the bits so far are odd in number."""

from dataclasses import dataclass

from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers

_BLANK = 2


@dataclass(frozen=True)
class Parity(SpanTask):
    """Fair bits come, then a blank. Then the answer is whether the number of ones was odd.

    Example: 1 0 1 1 _ | lag 4 -> 1.

    `lag` is the number of bits, each of which counts: the steps from the first of them
    to the answer. In a longer sequence blanks come before.

    Source: the parity check of Delétang et al. (2023), "Neural networks and the Chomsky
    hierarchy"; that no recurrence whose eigenvalues are all positive learns it: Grazzi
    et al. (2025), "Unlocking state-tracking in linear RNNs through negative
    eigenvalues".
    """

    name = "parity"
    question = "whether something came an odd or an even number of times"
    vocabulary = _BLANK + 1  # the bits, and the blank
    outputs = 2  # even, odd

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw inputs (T, B), targets (B,)."""
        import jax.numpy as jnp

        step = jnp.arange(steps)[:, None]
        bits = integers(key, (steps, batch), 0, 2)
        counts = (step >= length - 1 - lag) & (step < length - 1)
        inputs = jnp.where(counts, bits, _BLANK)
        return Batch(inputs, jnp.sum(jnp.where(counts, bits, 0), axis=0) % 2)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one bit, whatever the lag; chance is 1/2."""
        return Facts(held=1, bits=1.0, chance=0.5)

"""Window parity."""

from dataclasses import dataclass

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers

_WRONG = 0.02  # share of answers that a solved net may get wrong


@dataclass(frozen=True)
class WindowParity(Task):
    """Bits come, -1 or 1. At the last step the answer is 1 if the ones among the last N
    = `lag` bits are odd in number, else -1.

    Example: 1 -1 1 1 1 -1 | lag 4 -> 1: three of the last four are ones.

    With `heads` = `lag` - 1 each N from 2 to `lag` has a read-out of its own. At a
    smaller lag, as under a curriculum, the heads for more bits should answer 0; at a
    larger one the last head answers for `lag` bits.

    Each sequence has `lag` + 2 to 4 `lag` + 1 bits, after zeros, so the net cannot know
    that the end is near.

    Source: the N-parity task of Khajehabdollahi, Zeraati et al. (2024), "Emergent
    mechanisms for long timescales depend on training curriculum and affect performance
    in memory tasks", ICLR, and its code."""

    heads: int = knob(
        1,
        "number of read-outs: 1, for the last `lag` bits; more, for the last 2, 3, ... bits each",
        at_least=1,
        at_most=200,
    )
    name = "window_parity"
    filler = "older bits"
    loss = "values"
    vocabulary = None
    features = 1  # the bit
    smallest_lag = 2

    @property
    def outputs(self) -> int:
        return self.heads

    def shortest(self, lag: int) -> int:
        return 4 * lag + 1

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        return lag, factor * self.length(lag)

    def at_number(self, lag: int, number: int) -> tuple[int, int]:
        return lag, number

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        bits_key, number_key = jax.random.split(key)
        bits = integers(bits_key, (steps, batch), 0, 2)
        number = integers(number_key, (batch,), lag + 2, length + 1)
        age = length - 1 - jnp.arange(steps)
        is_bit = (age[:, None] >= 0) & (age[:, None] < number)
        inputs = jnp.where(is_bit, 2 * bits - 1, 0)
        window = (jnp.arange(self.heads) + 2).at[-1].max(lag)
        counts = (age < window[:, None]) & (age >= 0)
        parity = (counts.astype(jnp.int32) @ bits) % 2
        targets = jnp.where(window[:, None] <= lag, 2.0 * parity - 1, 0.0)
        inputs = inputs[:, :, None].astype(jnp.float32)
        return Batch(inputs, targets if self.several_values else targets[0])

    def facts(self, lag: int, length: int) -> Facts:
        """Hold the last `lag` bits; chance is an error of 1 per head that is asked.

        The heads' errors may add up to that of one head with 2 % wrong answers."""
        due = max(1, min(self.heads, lag - 1))
        error = 4 * _WRONG / self.heads
        return Facts(lag, bits=float(lag), chance=due / self.heads, threshold=error)

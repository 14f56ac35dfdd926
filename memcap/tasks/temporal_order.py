"""Temporal order."""

from dataclasses import dataclass

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers

# the paper's steps from the first possible relevant symbol to the trigger
_TO_TRIGGER = 90
# of these, the step at which each relevant symbol's window opens
_OPENS = {2: (0, 40), 3: (0, 23, 56)}
_WIDE = 10  # steps until it closes
_DISTRACTORS = 4
_START = 6
_TRIGGER = 7


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Relevant symbols X and Y come once in each of two or three windows of time; a
    trigger asks for the order.

    Example (start E, distractors a-d, trigger B): E c a X d b d a Y b c a d B | lag 11
    -> XY, class 1 of XX XY YX YY.

    `lag` is the number of steps from the first that may hold a relevant symbol to the
    trigger. The places are the paper's, scaled by lag / 90: windows open at 0 and 4/9
    of the lag (with three symbols at 0, 0.26 and 0.62), each for 1/9 of it.

    Source: Hochreiter & Schmidhuber (1997), experiments 6a (two symbols, 4 classes) and
    6b (three, 8 classes)."""

    relevant: int = knob(2, "number of relevant symbols in a sequence", choices=(2, 3))
    name = "temporal_order"
    question = "in which order a few things came"
    asks = ("relevant",)
    filler = "distractors"  # after the start symbol, which stays at the first step
    vocabulary = _TRIGGER + 1  # X, Y, four distractors, start, trigger, in that order

    @property
    def outputs(self) -> int:
        """One logit per order, a binary number: X = 0, Y = 1, the earliest first."""
        return 2**self.relevant

    @property
    def smallest_lag(self) -> int:
        """3 or 4: below, the windows overlap."""
        return self.relevant + 1

    def shortest(self, lag: int) -> int:
        return lag + 2

    def length(self, lag: int) -> int:
        """Let a ninth of the lag pass before the first window opens."""
        return max(1, lag // 9) + lag + 1

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        symbol_key, place_key, filler_key = jax.random.split(key, 3)
        symbols = integers(symbol_key, (self.relevant, batch), 0, 2)
        places = integers(
            place_key, (self.relevant, batch), 0, _WIDE * lag // _TO_TRIGGER + 1
        )
        inputs = integers(filler_key, (steps, batch), 2, 2 + _DISTRACTORS)
        step = jnp.arange(steps)[:, None]
        for opens, symbol, place in zip(
            _OPENS[self.relevant], symbols, places, strict=True
        ):
            shown_at = length - 1 - lag + opens * lag // _TO_TRIGGER + place
            inputs = jnp.where(step == shown_at, symbol, inputs)
        inputs = jnp.where(
            step == 0, _START, jnp.where(step == length - 1, _TRIGGER, inputs)
        )
        order = jnp.sum(symbols << jnp.arange(self.relevant)[::-1, None], axis=0)
        return Batch(inputs, order)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold the relevant symbols, a bit each; the trigger tells nothing."""
        bits = float(self.relevant)
        return Facts(held=self.relevant, bits=bits, chance=1 / self.outputs)

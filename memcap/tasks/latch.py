"""Latch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Machine, Operand, RandomKey, Task, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@dataclass(frozen=True)
class Latch(Task):
    """The first step shows a symbol, `lag` distractors follow, and a trigger asks for the symbol.

    Example (S = 2, 4 distractors d-g, trigger ?): 1 f d g ? | lag 3 -> 1.

    Distractors come from another alphabet. With `distractors` = 0 the lag is blank,
    which teaches a clock that often fails at other lags. With `noise` a step is one
    number: -1 to 1 for the symbol, then Gaussian; there is no trigger.

    Source: Hochreiter & Schmidhuber (1997), experiment 2; Bengio et al. (1994)."""

    symbols: int = knob(
        2, "number S of symbols to tell apart", at_least=2, at_most=1024
    )
    distractors: int = knob(
        4, "size of the distractors' alphabet; 0: a blank lag", at_least=0, at_most=1024
    )
    noise: float = knob(
        0.0,
        "standard deviation of the numbers that follow the symbol's number; 0: steps show"
        " symbols, not numbers",
        at_least=0.0,
        at_most=10.0,
        before=0.0,
    )
    name = "latch"
    question = "one thing, seen once, until it is asked for"
    asks = ("symbols",)

    @property
    def filler(self) -> str:
        if self.noise:
            return "noise"
        return "distractors" if self.distractors else "blanks"

    @property
    def vocabulary(self) -> int | None:
        """S symbols, the distractors (or one blank), the trigger; None for noise."""
        return None if self.noise else self.symbols + max(self.distractors, 1) + 1

    @property
    def features(self) -> int:
        return self.vocabulary or 1

    @property
    def outputs(self) -> int:
        return self.symbols

    def shortest(self, lag: int) -> int:
        return lag + (1 if self.noise else 2)

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        symbol_key, filler_key = jax.random.split(key)
        symbol = integers(symbol_key, (batch,), 0, self.symbols)
        if self.vocabulary is None:
            is_first = jnp.arange(steps)[:, None] == length - 1 - lag
            level = 2 * symbol / (self.symbols - 1) - 1
            normal = jax.random.normal(filler_key, (steps, batch))
            # scaled last, so that compiled code rounds like uncompiled code
            numbers = jnp.where(is_first, level, normal) * jnp.where(
                is_first, 1, self.noise
            )
            return Batch(numbers[:, :, None], symbol)
        trigger = self.vocabulary - 1
        filler = integers(filler_key, (steps, batch), self.symbols, trigger)
        return self._layout(symbol, filler, lag, length)

    def sequences_in_all(self, lag: int, length: int) -> int | None:
        """Return S, where the lag is blank."""
        return None if self.noise or self.distractors > 1 else self.symbols

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        import jax.numpy as jnp

        blanks = jnp.full((steps, len(numbers)), self.symbols)
        return self._layout(numbers, blanks, lag, length)

    def _layout(
        self,
        symbol: Int[Array, " B"],
        filler: Int[Array, "T B"],
        lag: Operand,
        length: Operand,
    ) -> Batch:
        import jax.numpy as jnp

        step = jnp.arange(len(filler))[:, None]
        inputs = jnp.where(step == length - 2 - lag, symbol, filler)
        trigger = self.features - 1
        return Batch(jnp.where(step == length - 1, trigger, inputs), symbol)

    @property
    def machine(self) -> Machine | None:
        """Read distractors up to the symbol, hold it, answer after the trigger."""
        if self.noise:
            return None
        trigger = self.features - 1
        symbols = range(self.symbols)
        edges = [("start", s, f"new {s}") for s in symbols]
        edges += [(f"old {s}", trigger, f"due {s}") for s in symbols]
        for filler in range(self.symbols, trigger):
            edges += [("start", filler, "start")]
            edges += [(f"new {s}", filler, f"old {s}") for s in symbols]
            edges += [(f"old {s}", filler, f"old {s}") for s in symbols]
        return Machine(edges, {f"due {s}": s for s in symbols})

    def facts(self, lag: int, length: int) -> Facts:
        return Facts(held=1, bits=math.log2(self.symbols), chance=1 / self.symbols)

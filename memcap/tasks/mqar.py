"""Multi-query associative recall: read pairs of keys and values, then say the value of each key that is shown
again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from memcap.knobs import UserError, knob
from memcap.lazy import jax, jnp, lax
from memcap.tasks.base import Batch, Facts, Operand, Task

if TYPE_CHECKING:
    from jaxtyping import Array, Int, Key

POWER = 0.01  # gaps before a query come with probability in proportion to gap^(POWER - 1)


@dataclass(frozen=True)
class Mqar(Task):
    """N keys, each followed by its value; then each key comes once more, among blanks, and its value is due.

    Example (N = 2, keys a-d, values 0-3): a 2 c 0 _ c _ _ a | lag 5 -> . . . . . 0 . . 2 (no answer is due at
    a dot).

    `lag` is the number of steps from the last value to the last query, which is at the end; the other queries
    come soon after the pairs, with gaps of a power law. Keys and values are drawn without replacement, each
    from V symbols of its own.

    Source: Arora et al. (2024), "Zoology". Their generator: a vocabulary of 8,192, queries at every other
    step only, none of them set to the end, and random symbols between them. Here blanks are between them:
    among 32 symbols most would be keys, and look like queries.
    """

    pairs: int = knob(4, "number N of pairs, at most V", at_least=1, at_most=1024)
    symbols: int = knob(16, "number V of keys, and of values", at_least=4, at_most=4096)
    name: ClassVar[str] = "mqar"
    question: ClassVar[str] = "which value goes with which key"
    asks: ClassVar[tuple[str, ...]] = ("pairs", "symbols")
    answers: ClassVar[Literal["last", "every"]] = "every"

    def __post_init__(self) -> None:
        if self.pairs > self.symbols:
            raise UserError(
                f"task.pairs={self.pairs}: must be at most task.symbols={self.symbols}: no key comes in two"
                " pairs"
            )

    @property
    def vocabulary(self) -> int:
        """V keys, V values, and a blank, in that order."""
        return 2 * self.symbols + 1

    @property
    def outputs(self) -> int:
        """One logit a value."""
        return self.symbols

    @property
    def smallest_lag(self) -> int:
        """N: a step for each query."""
        return self.pairs

    def shortest(self, lag: int) -> int:
        """The pairs, and `lag` steps."""
        return 2 * self.pairs + lag

    def sample(self, key: Key[Array, ""], lag: Operand, length: Operand, steps: int, batch: int) -> Batch:
        """Inputs, targets and mask (T, B). In a sequence longer than 2 N + lag blanks come before the
        pairs."""
        keys_key, values_key, order_key, gap_key = jax.random.split(key, 4)
        keys = _some(keys_key, self.symbols, self.pairs, batch)
        values = _some(values_key, self.symbols, self.pairs, batch)
        step = jnp.arange(steps)[:, None]
        ends = length - lag - 1  # the step of the last value
        gap = step - ends
        weight = (POWER - 1) * jnp.log(jnp.maximum(gap, 1)) + jax.random.gumbel(gap_key, (steps, batch))
        early = lax.top_k(jnp.where((gap >= 1) & (gap < lag), weight, -jnp.inf).T, self.pairs - 1)[1].T
        places = jnp.concatenate([early, jnp.full((1, batch), length - 1)])
        queried = jnp.take_along_axis(places, _some(order_key, self.pairs, self.pairs, batch), 0)

        def put(symbols: Int[Array, "K B"], at: Int[Array, "K _"]) -> Int[Array, "T B"]:
            """(T, B): these symbols (N, B), plus one, at their steps (N, B) or (N, 1), and 0 elsewhere."""
            return jnp.sum(jnp.where(step == at[:, None], symbols[:, None] + 1, 0), 0)

        key_steps = ends - 2 * self.pairs + 2 * jnp.arange(self.pairs)[:, None] + 1
        due = put(values, queried)
        symbols = put(keys, key_steps) + put(keys, queried) + put(self.symbols + values, key_steps + 1)
        inputs = jnp.where(symbols > 0, symbols - 1, 2 * self.symbols)
        return Batch(inputs, jnp.maximum(due - 1, 0), due > 0)

    def facts(self, lag: int, length: int) -> Facts:
        """N keys and N values, whatever the lag. Chance is 1 / V.

        The bits are those of the values, whose keys are asked for: a state need not know which keys came. A
        table of both has log2 C(V, N) more: 26 bits instead of 15 for 4 pairs of 16 symbols.
        """
        del lag, length
        bits = sum(math.log2(self.symbols - i) for i in range(self.pairs))
        return Facts(held=2 * self.pairs, bits=bits, chance=1 / self.symbols)


def _some(key: Key[Array, ""], symbols: int, count: int, batch: int) -> Int[Array, "K B"]:
    """(count, B): so many of the symbols 0 to `symbols` - 1, without replacement, in random order."""
    return lax.top_k(jax.random.uniform(key, (batch, symbols)), count)[1].T

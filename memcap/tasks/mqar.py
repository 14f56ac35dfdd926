"""Multi-query associative recall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memcap.knobs import UserError, knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int

POWER = (
    0.01  # gaps before a query come with probability in proportion to gap^(POWER - 1)
)


@dataclass(frozen=True)
class Mqar(Task):
    """N keys, each followed by its value; then each key comes once more, among blanks,
    and its value is due.

    Example (N = 2, keys a-d, values 0-3): a 2 c 0 _ c _ _ a | lag 5 -> . . . . . 0 . .
    2 (no answer is due at a dot).

    `lag` is the number of steps from the last value to the last query, at the end; the
    other queries come soon after the pairs, with gaps of a power law. Keys and values
    are drawn without replacement, each from V symbols of its own.

    With R `rewrites` each key is written R + 1 times, with different values, of which
    the latest is due; the writes come in random order, so that neither step nor age
    tells it: a 2 c 0 c 3 a 1 _ c a -> . . . . . . . . . 3 1. In the `layout` "stacked"
    a pair takes one step, the sum of two one-hot vectors: a2 c0 _ c a -> . . . 0 2.

    With `fillers` = random a random key or value stands at each step after the pairs
    that has no query: a 2 c 0 d c a 3 a -> . . . . . 0 . . 2. Some look like a query or
    a pair, so the net must know where the real pairs end.

    Source: Arora et al. (2024), "Zoology". Their generator has a vocabulary of 8,192,
    queries at every other step only, none set to the end, and random symbols between
    them by default; of 32 symbols more look like queries, as each is one of the N keys
    with probability N / (2 V). Stacked pairs are in their later code
    (zoology/data/stacked_mqar.py), side by side; rewrites are not."""

    pairs: int = knob(4, "number N of pairs, at most V", at_least=1, at_most=1024)
    symbols: int = knob(16, "number V of keys, and of values", at_least=4, at_most=4096)
    layout: str = knob(
        "separate",
        "place of key and value: separate, at two steps; stacked, at one step",
        choices=("separate", "stacked"),
        before="separate",
    )
    rewrites: int = knob(
        0,
        "number R of further values per key; the latest one is due; N (R + 1) is at most V",
        at_least=0,
        at_most=1023,
        before=0,
    )
    fillers: str = knob(
        "blanks",
        "symbols after the pairs at steps without a query: blanks, or random ones of all keys and"
        " values",
        choices=("blanks", "random"),
        before="blanks",
    )
    name = "mqar"
    question = "which value goes with which key"
    asks = ("pairs", "symbols")
    filler = "blanks"
    answers = "every"

    def __post_init__(self) -> None:
        if self.pairs > self.symbols:
            raise UserError(
                f"task.pairs={self.pairs}: must be at most task.symbols={self.symbols}: no key"
                " comes in two pairs"
            )
        if self.writes > self.symbols:
            raise UserError(
                f"task.rewrites={self.rewrites}: task.pairs={self.pairs} keys are written"
                f" {self.writes} times, which must be at most task.symbols={self.symbols}: no"
                " value comes twice"
            )

    @property
    def writes(self) -> int:
        return self.pairs * (1 + self.rewrites)

    @property
    def steps_per_write(self) -> int:
        return 1 if self.layout == "stacked" else 2

    @property
    def vocabulary(self) -> int | None:
        """V keys, V values, blank; None where two of them come at one step."""
        return None if self.layout == "stacked" else self.features

    @property
    def features(self) -> int:
        return 2 * self.symbols + 1

    @property
    def outputs(self) -> int:
        return self.symbols

    @property
    def smallest_lag(self) -> int:
        """N: a step for each query."""
        return self.pairs

    @property
    def usual_lag(self) -> int:
        """2 N: half of the steps after the pairs have a query."""
        return 2 * self.pairs

    def shortest(self, lag: int) -> int:
        return self.steps_per_write * self.writes + lag

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp
        from jax import lax

        keys_key, values_key, order_key, gap_key = jax.random.split(key, 4)
        keys = _some(keys_key, self.symbols, self.pairs, batch)
        values = _some(values_key, self.symbols, self.writes, batch)
        step = jnp.arange(steps)[:, None]
        ends = length - lag - 1  # the step of the last value
        gap = step - ends
        weight = (POWER - 1) * jnp.log(jnp.maximum(gap, 1)) + jax.random.gumbel(
            gap_key, (steps, batch)
        )
        early = lax.top_k(
            jnp.where((gap >= 1) & (gap < lag), weight, -jnp.inf).T, self.pairs - 1
        )[1].T
        places = jnp.concatenate([early, jnp.full((1, batch), length - 1)])
        queried = jnp.take_along_axis(
            places, _some(order_key, self.pairs, self.pairs, batch), 0
        )

        def put(symbols: Int[Array, "K B"], at: Int[Array, "K _"]) -> Int[Array, "T B"]:
            """Put symbols (N, B), plus one, at their steps (N, B) or (N, 1); else 0."""
            return jnp.sum(jnp.where(step == at[:, None], symbols[:, None] + 1, 0), 0)

        start = (
            ends - self.steps_per_write * self.writes
        )  # the step before the first key
        # the write, and the key, of each value
        turns = jnp.arange(self.pairs)[:, None]
        written = keys
        if self.rewrites:
            turn_key = jax.random.fold_in(order_key, 1)
            turns = _some(turn_key, self.writes, self.writes, batch).reshape(
                -1, self.pairs, batch
            )
            turns = jnp.sort(turns, axis=0).reshape(
                self.writes, batch
            )  # a key's latest one is its last
            written = jnp.tile(keys, (1 + self.rewrites, 1))
        key_steps = start + self.steps_per_write * turns + 1
        due = put(values[self.writes - self.pairs :], queried)
        key_at = put(written, key_steps) + put(keys, queried)
        value_at = put(self.symbols + values, key_steps + (self.steps_per_write - 1))
        if self.fillers == "random":
            filler = integers(
                jax.random.fold_in(gap_key, 1), (steps, batch), 1, 2 * self.symbols + 1
            )
            key_at = jnp.where((gap >= 1) & (key_at == 0), filler, key_at)
        if self.layout == "stacked":
            symbol = jnp.arange(self.features) + 1
            key_at = jnp.where(key_at > 0, key_at, self.features)
            inputs = (key_at[..., None] == symbol) | (value_at[..., None] == symbol)
            inputs = inputs.astype(jnp.float32)
        else:
            symbols = key_at + value_at
            inputs = jnp.where(symbols > 0, symbols - 1, 2 * self.symbols)
        return Batch(inputs, jnp.maximum(due - 1, 0), due > 0)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold N keys and their N latest values; `bits` counts the values only.

        A state need not know which keys came. A table of both has log2 C(V, N) more: 26
        bits, not 15, for 4 pairs of 16 symbols."""
        held = 2 * self.pairs
        bits = sum(math.log2(self.symbols - i) for i in range(self.pairs))
        return Facts(held, bits, chance=1 / self.symbols, independent=True)


def _some(key: RandomKey, symbols: int, count: int, batch: int) -> Int[Array, "K B"]:
    """Draw (count, B) symbols below `symbols` without replacement, in random order."""
    import jax
    from jax import lax

    return lax.top_k(jax.random.uniform(key, (batch, symbols)), count)[1].T

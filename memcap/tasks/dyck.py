"""Dyck words."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers


@dataclass(frozen=True)
class Dyck(SpanTask):
    """A word of brackets of k types, nested at most m deep; where a close bracket comes
    next, its type is due.

    Example (k = 2, types ( and [, m = 3): ( [ ( ) ] ( ) | lag 6 -> . . . [ . . ( (no
    answer is due at a dot). A close right after its own bracket is in sight and does
    not count.

    The close of the first bracket is due at the last step, `lag` steps later. Words
    that nest at most m deep are drawn evenly, types too. At an odd lag a blank follows
    the first bracket, as brackets match over even numbers of steps.

    Source: Hewitt, Hahn, Ganguli, Liang & Manning (2020). There a net predicts every
    next symbol, and is right if the right close has more than 0.8 of the probability of
    all closes; here the likeliest of the k closes must be right."""

    types: int = knob(2, "number k of bracket types", at_least=2, at_most=1024)
    depth: int = knob(3, "greatest depth m of nesting", at_least=2, at_most=64)
    name = "dyck"
    question = "what is open, to close it in the right order"
    asks = ("types", "depth")
    filler = "blanks"
    answers = "every"

    @property
    def vocabulary(self) -> int:
        """The k open brackets, k close brackets, blank."""
        return 2 * self.types + 1

    @property
    def outputs(self) -> int:
        return self.types

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp
        from jax import lax

        type_key, open_key = jax.random.split(key)
        types = integers(type_key, (steps, batch), 0, self.types)
        chances = jax.random.uniform(open_key, (steps, batch))
        opens = jnp.asarray(_open_chances(self.depth - 1, steps), jnp.float32)
        first = length - 1 - lag
        level = jnp.arange(self.depth)[:, None]

        def type_at(depth: jax.Array, stack: jax.Array) -> jax.Array:
            return jnp.sum(jnp.where(level == depth, stack, 0), 0)

        def read(
            state: tuple[jax.Array, jax.Array], row: tuple[jax.Array, ...]
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            # depth within the first bracket (B,), types by depth (m, B)
            inside, stack = state
            step, kind, chance = row
            reads = (step > first + lag % 2) & (step < length)
            up = reads & (
                chance < opens[jnp.clip(length - 1 - step, 0, steps - 1), inside]
            )
            closed = type_at(inside, stack)
            inside = jnp.where(up, inside + 1, jnp.where(reads, inside - 1, inside))
            stack = jnp.where((level == inside) & (up | (step == first)), kind, stack)
            symbol = jnp.where(
                up | (step == first),
                kind,
                jnp.where(reads, self.types + closed, 2 * self.types),
            )
            return (inside, stack), jnp.stack([symbol, type_at(inside, stack)])

        start = jnp.zeros(batch, jnp.int32), jnp.zeros((self.depth, batch), jnp.int32)
        _, trace = lax.scan(read, start, (jnp.arange(steps), types, chances))
        inputs = trace[:, 0]
        top = trace[:, 1]
        step = jnp.arange(steps)[:, None]
        closes = (inputs >= self.types) & (inputs < 2 * self.types)
        mask = (closes & jnp.roll(closes, -1, axis=0) & (step < length - 1)) | (
            step == length - 1
        )
        return Batch(inputs, jnp.where(mask, top, 0), mask)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold the most open brackets, of which all but the one just read are carried.

        The paper counts m log2 k bits, with the bracket just read."""
        held = 1 + min(self.depth - 1, lag // 2)
        bits = max(1, held - 1) * math.log2(self.types)
        return Facts(held, bits, chance=1 / self.types)


@lru_cache(maxsize=64)
def _open_chances(depth: int, steps: int) -> np.ndarray:
    """Return (steps, m + 1): the chance of an open bracket, by steps left and depth.

    All words are equally likely."""
    table = np.zeros((steps, depth + 1))
    words = np.eye(depth + 1)[0]
    for after in range(steps):
        opened = np.append(words[1:], 0)
        closed = np.append(0, words[:-1])
        total = opened + closed
        table[after] = opened / np.where(total > 0, total, 1)
        words = total / total.sum()
    return table

"""Embedded Reber grammar."""

from dataclasses import dataclass

import numpy as np

from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers

_SYMBOLS = "BTPSXVE"
# Two branches from each state of the grammar (Reber, 1967), and their symbols; 7 is the end.
_NEXT = np.array([(1, 1), (2, 3), (2, 4), (3, 5), (3, 6), (4, 6), (7, 7), (7, 7)])
_WRITES = np.array([_SYMBOLS.index(symbol) for symbol in "BBTPSXTVXSPVEEEE"])
_WRITES = _WRITES.reshape(8, 2)
# symbols from the end, beyond which the shares below differ by less than a float32 tells
# (tests/tasks/test_facts.py)
_FAR = 128


def words_left(most: int) -> np.ndarray:
    """Return (most, 8): the number of words by symbols left and by state, as shares."""
    rows = [np.eye(8)[7]]
    while len(rows) < most:
        more = rows[-1][_NEXT].sum(1) * (np.arange(8) < 7)
        rows.append(more / more.sum())
    return np.stack(rows)


_LEFT = words_left(_FAR).astype(np.float32)


@dataclass(frozen=True)
class Reber(Task):
    """A begin, T or P, then a word of the Reber grammar of `lag` symbols, from its own
    begin to its end; then T or P is due.

    Example: B P B T S S X S E | lag 7 -> P.

    The word is full of T and P that look like the one to hold. All words of one length
    are equally likely.

    Source: Hochreiter & Schmidhuber (1997), experiment 1, where a net predicts every
    next symbol of words of any length; here only that with the long lag is judged."""

    name = "reber"
    filler = "repeats of the begin"
    vocabulary = len(_SYMBOLS)  # B T P S X V E, in that order
    outputs = 2  # T and P
    smallest_lag = 5  # the shortest words are BTXSE and BPVVE

    def shortest(self, lag: int) -> int:
        return lag + 2

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp
        from jax import lax

        symbol_key, branch_key = jax.random.split(key)
        symbol = integers(symbol_key, (batch,), 0, 2)
        branch = jax.random.uniform(branch_key, (steps, batch))
        following = jnp.asarray(_NEXT)
        writes = jnp.asarray(_WRITES)
        into = jnp.arange(steps) - (length - lag)  # steps since the word began
        words = jnp.asarray(_LEFT)[jnp.clip(lag - 1 - into, 0, _FAR - 1)]

        def step(
            state: jax.Array, at: tuple[jax.Array, ...]
        ) -> tuple[jax.Array, jax.Array]:
            into, words, choice = at
            ends = words[following[state]]
            second = (choice * ends.sum(-1) >= ends[:, 0]).astype(jnp.int32)
            state_after = following[state, second]
            return (
                jnp.where((into >= 0) & (into < lag), state_after, state),
                writes[state, second],
            )

        _, word = lax.scan(
            step, jnp.zeros(batch, following.dtype), (into, words, branch)
        )
        into = into[:, None]
        inputs = jnp.where(into < -1, 0, jnp.where(into == -1, 1 + symbol, word))
        return Batch(inputs.astype(jnp.int32), symbol)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one bit; the end of the word, all that is in sight, says nothing."""
        return Facts(held=1, bits=1.0, chance=1 / 2)

"""The sequences of an evaluation in blocks, as operands of a program; and its results.

`block(task, k, steps, batch)` returns block k: `batch` sequences in a buffer of
`steps`.
"""

import math
from typing import Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp

from memcap.tasks import Batch, FileTask, Task


class Block(NamedTuple):
    """Sequences of one length."""

    batch: Batch
    length: Any  # steps
    counts: Any = None  # (B,) bool, the sequences that count; None: all


class DrawnAtLength(NamedTuple):
    """Sequences of one lag and length that training never draws."""

    key: Any  # (2,) uint32
    lag: Any
    length: Any

    def block(self, task: Task, k: Any, steps: int, batch: int) -> Block:
        key = jax.random.fold_in(jax.random.wrap_key_data(self.key), k)
        sequences = task.unseen(key, self.lag, self.length, steps, batch)
        return Block(sequences, self.length)


class DrawnAtLengths(NamedTuple):
    """Sequences of one lag that training never draws; blocks have all lengths in turn.

    In a longer sequence the task's filler comes first.
    """

    key: Any  # (2,) uint32
    lag: Any
    shortest: Any
    longest: Any

    def block(self, task: Task, k: Any, steps: int, batch: int) -> Block:
        length = self.shortest + k % (self.longest + 1 - self.shortest)
        key = jax.random.fold_in(jax.random.wrap_key_data(self.key), k)
        return Block(task.unseen(key, self.lag, length, steps, batch), length)


class Enumerated(NamedTuple):
    """All sequences of one lag, at one length after another."""

    number: Any  # of sequences of a length
    lag: Any
    shortest: Any

    def block(self, task: Task, k: Any, steps: int, batch: int) -> Block:
        blocks_of_a_length = (self.number + batch - 1) // batch
        length = self.shortest + k // blocks_of_a_length
        numbers = k % blocks_of_a_length * batch + jnp.arange(batch)
        filled = jnp.minimum(numbers, self.number - 1)
        every = task.enumerated(filled, self.lag, length, steps)
        return Block(every, length, numbers < self.number)


class FilePart(NamedTuple):
    """All sequences of a part of a file."""

    split: Any  # the value of a `memcap.rule.Split`
    lag: Any
    length: Any

    def block(self, task: Task, k: Any, steps: int, batch: int) -> Block:
        task = cast(FileTask, task)
        sizes = self.lag, self.length, steps, batch
        sequences, counts = task.part(self.split, k, *sizes)
        return Block(sequences, self.length, counts)


Sequences: TypeAlias = DrawnAtLength | DrawnAtLengths | Enumerated | FilePart


class EvalOperands(NamedTuple):
    """The operands of one evaluation of a member."""

    sequences: Sequences
    blocks: Any  # number of them; 0 skips the evaluation
    units: Any  # as for training


class Scores(NamedTuple):
    """The results of an evaluation: scalars, NaN without a block."""

    mean: Any  # score over all answers
    whole: Any = math.nan  # share of the sequences without a wrong answer
    loss: Any = math.nan  # mean over all answers, of sequences that lie in a file

"""The sequences of an evaluation, in blocks: drawn at one length or at several,
enumerated, or those of a file; and what an evaluation returns.

Each kind of sequences holds operands of a program, scalars unless noted, and returns a
block by its number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp

from memcap.tasks import Batch, FileTask

if TYPE_CHECKING:
    from memcap.training.step import Trainer


class Block(NamedTuple):
    """Sequences of one length."""

    batch: Batch
    length: Any  # steps
    counts: Any = None  # (B,) bool, the sequences that count; None: all


class Drawn(NamedTuple):
    """Sequences of one lag and length that training never draws."""

    key: Any  # (2,) uint32
    lag: Any
    length: Any

    def block(self, trainer: Trainer, k: Any) -> Block:
        """Draw block k."""
        key = jax.random.fold_in(jax.random.wrap_key_data(self.key), k)
        sizes = trainer.max_eval_length, trainer.spec.evaluation.block
        batch = trainer.spec.task.unseen(key, self.lag, self.length, *sizes)
        return Block(batch, self.length)


class DrawnAtLengths(NamedTuple):
    """Sequences of one lag that training never draws; blocks have all lengths in turn. In
    a longer sequence the task's filler comes first."""

    key: Any  # (2,) uint32
    lag: Any
    shortest: Any
    longest: Any

    def block(self, trainer: Trainer, k: Any) -> Block:
        """Draw block k."""
        length = self.shortest + k % (self.longest + 1 - self.shortest)
        key = jax.random.fold_in(jax.random.wrap_key_data(self.key), k)
        sizes = trainer.max_length, trainer.spec.evaluation.block
        batch = trainer.spec.task.unseen(key, self.lag, length, *sizes)
        return Block(batch, length)


class Enumerated(NamedTuple):
    """All sequences of one lag, at one length after another."""

    number: Any  # of sequences of a length
    lag: Any
    shortest: Any

    def block(self, trainer: Trainer, k: Any) -> Block:
        """Return block k. The last one of a length is filled up."""
        size = trainer.spec.evaluation.block
        blocks_of_a_length = (self.number + size - 1) // size
        length = self.shortest + k // blocks_of_a_length
        numbers = k % blocks_of_a_length * size + jnp.arange(size)
        batch = trainer.spec.task.enumerated(
            jnp.minimum(numbers, self.number - 1), self.lag, length, trainer.max_length
        )
        return Block(batch, length, numbers < self.number)


class FilePart(NamedTuple):
    """All sequences of a part of a file."""

    part: Any  # the value of a `memcap.rule.Part`
    lag: Any
    length: Any

    def block(self, trainer: Trainer, k: Any) -> Block:
        """Return block k. The last one is filled up."""
        task = cast(FileTask, trainer.spec.task)
        sizes = trainer.max_eval_length, trainer.spec.evaluation.block
        batch, counts = task.part(self.part, k, self.lag, self.length, *sizes)
        return Block(batch, self.length, counts)


Sequences: TypeAlias = Drawn | DrawnAtLengths | Enumerated | FilePart


class EvalOperands(NamedTuple):
    """The operands of one evaluation of a member."""

    sequences: Sequences
    blocks: Any  # number of them; 0 skips the evaluation
    units: Any  # as for training


class Scores(NamedTuple):
    """The results of an evaluation: scalars, NaN without a block or where none is
    computed."""

    mean: Any  # score over all answers
    whole: Any = math.nan  # share of the sequences without a wrong answer
    loss: Any = math.nan  # mean over all answers, of sequences that lie in a file

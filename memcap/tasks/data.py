"""Your own sequences, from a file: how many units do they need?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np

from memcap.knobs import UserError, knob
from memcap.sequences import EXAMPLE, Sequences, read
from memcap.tasks.base import Batch, Facts, Operand, Task, integers
from memcap.tasks.chance import best_map

if TYPE_CHECKING:
    from jaxtyping import Array, Key, Shaped


@dataclass(frozen=True)
class Data(Task):
    """The net sees the last `lag` + 1 steps of a sequence: less lag asks how much of the past your sequences
    need.

    Example: a sequence 2 7 1 with target 4 | lag 1 -> 7 1 -> 4.

    The file is an .npz (numpy.savez) of N sequences of T steps with these arrays:

    * `inputs`: (N, T) whole numbers from 0, symbols; or (N, T, F) numbers.
    * `targets`: whole numbers from 0, classes; or other numbers, values. (N,), or (N, O) values, at the last
      step; (N, T), or (N, T, O), at every step.
    * `mask`, if an answer is not due at every step: (N, T), true where one is.
    * `lengths`, if not all sequences have T steps: (N,), how many of them count. Shorter ones begin later,
      after blanks.

    A share of the sequences is held out: training draws from the others, and the verdict is about these.
    Which are held out is a matter of `fold`, not of the member's seed. Scores of drawn sequences repeat those
    of few: 100 held-out sequences give an accuracy to a percent.
    """

    name: ClassVar[str] = "data"
    file: str = knob(EXAMPLE, "an .npz file of your sequences; example: 512 made-up ones, to see how it goes")
    held_out: float = knob(0.2, "share of the sequences that training never sees", above=0, below=1)
    fold: int = knob(0, "which split into training and held-out sequences", at_least=0, at_most=1000)
    criterion: float | None = knob(
        None, "accuracy, or mean squared error, that is a pass; null: .99, or 5 % of the variance"
    )
    bits: float = knob(1.0, "bits to hold, if you know them: for reference lines only", above=0, at_most=1e6)

    def __post_init__(self) -> None:
        read(self.file)

    @property
    def _all(self) -> Sequences:
        return read(self.file)

    @property
    # ty: ignore[incompatible-property-override]  # of a file, not of the class
    def answers(self) -> Literal["last", "every"]:
        """The answers that the file has."""
        return "last" if self._all.due is None else "every"

    @property
    def loss(self) -> Literal["classes", "values"]:
        """Classes where the targets are whole numbers."""
        return "values" if self._all.classes is None else "classes"

    @property
    def vocabulary(self) -> int | None:
        """The file's symbols and a blank; None for numbers."""
        symbols = self._all.symbols
        return None if symbols is None else symbols + 1

    @property
    def features(self) -> int:
        """F numbers, or the symbols one-hot."""
        return self.vocabulary or self._all.inputs.shape[2]

    @property
    def outputs(self) -> int:
        """Classes, or values of an answer."""
        file = self._all
        whole = file.targets.ndim == (1 if file.due is None else 2)
        return file.classes or (1 if whole else file.targets.shape[-1])

    def shortest(self, lag: int) -> int:
        """Count the steps that are seen.

        Raises:
            UserError: the file's sequences are shorter.
        """
        steps = self._all.steps
        if isinstance(lag, int) and lag >= steps:
            raise UserError(
                f"task.lag={lag}: {self.file} has sequences of {steps} steps, so lag must be at most"
                f" {steps - 1}"
            )
        return lag + 1

    def _drawn(
        self, key: Key[Array, ""], lag: Operand, length: Operand, steps: int, batch: int, unseen: bool
    ) -> Batch:
        ours = _split(len(self._all.inputs), self.held_out, self.fold)[unseen]
        which = jnp.asarray(ours)[integers(key, (batch,), 0, len(ours))]
        step = jnp.arange(steps)
        # the end of a sequence at the end of `length` steps
        source = jnp.clip(step + self._all.steps - length, 0, self._all.steps - 1)
        in_sequence = (step >= length - 1 - lag) & (step < length)

        def laid_out(array: np.ndarray, blank: Any) -> Shaped[Array, "T B ..."]:
            """Cut (N, T, ...) to the buffer."""
            rows = jnp.moveaxis(jnp.asarray(array)[which[:, None], source], 0, 1)
            return jnp.where(in_sequence.reshape(-1, *[1] * (rows.ndim - 1)), rows, blank)

        inputs = laid_out(self._all.inputs, 0 if self._all.symbols is None else self._all.symbols)
        if self._all.due is None:
            targets = jnp.asarray(self._all.targets)[which]
            return Batch(inputs, targets.T if self.several_values else targets.reshape(batch))
        targets = laid_out(self._all.targets, 0)
        targets = jnp.moveaxis(targets, -1, 0) if self.several_values else targets.reshape(steps, batch)
        return Batch(inputs, targets, laid_out(self._all.due, False))

    def sample(self, key: Key[Array, ""], lag: Operand, length: Operand, steps: int, batch: int) -> Batch:
        """Draw training sequences, with replacement."""
        return self._drawn(key, lag, length, steps, batch, unseen=False)

    def unseen(self, key: Key[Array, ""], lag: Operand, length: Operand, steps: int, batch: int) -> Batch:
        """Draw held-out sequences, with replacement."""
        return self._drawn(key, lag, length, steps, batch, unseen=True)

    def facts(self, lag: int, length: int) -> Facts:
        """Measure chance on the training sequences; what has to be held, nobody knows but you: `bits`,
        and one symbol."""
        threshold, targets = self.criterion, self._all.targets
        if threshold is None and self._all.classes:
            threshold = 0.99
        elif threshold is None:
            threshold = 0.05 * float(
                targets.var(axis=tuple(range(targets.ndim - self.several_values))).mean()
            )
        return Facts(1, self.bits, _chance(self, lag, length), threshold, self._all.digest)

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Return the same sequences: there are no longer ones."""
        return lag, self.length(lag)


@lru_cache(maxsize=1024)
def _chance(task: Data, lag: int, length: int) -> float:
    """Score a net without memory on training sequences; NumPy draws them, as facts need no JAX."""
    file = task._all
    ours, _ = _split(len(file.inputs), task.held_out, task.fold)
    which = np.random.default_rng(1).choice(ours, 8192)
    step = np.arange(length)
    source, blank = np.clip(step + file.steps - length, 0, file.steps - 1), step < length - 1 - lag
    inputs = file.inputs[which[:, None], source]
    inputs[:, blank] = 0 if file.symbols is None else file.symbols
    if file.due is None:
        targets = np.zeros((len(which), length, *file.targets.shape[1:]), file.targets.dtype)
        targets[:, -1] = file.targets[which]
        mask = np.zeros((len(which), length), bool)
        mask[:, -1] = True
    else:
        targets, mask = file.targets[which[:, None], source], file.due[which[:, None], source]
        mask[:, blank] = False
    if not task.several_values:
        targets = targets.reshape(mask.shape)
    return best_map(task, inputs, targets, mask).mean


@lru_cache(maxsize=8)
def _split(count: int, held_out: float, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the training sequences among all, and of the held-out ones, at least one of
    each."""
    order = np.random.default_rng([fold, count]).permutation(count).astype(np.int32)
    held = min(max(round(held_out * count), 1), count - 1)
    return np.sort(order[held:]), np.sort(order[:held])

"""Your own sequences, from a file: how many units do they need?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from memcap.knobs import UserError, knob
from memcap.own.file import EXAMPLE, Sequences, read
from memcap.own.folds import CLASSES, ORDERS, RANDOM, TIME, evenly, in_time
from memcap.rule import LossRule, ScoreRule
from memcap.tasks.base import Batch, Facts, FileTask, Operand, RandomKey, integers
from memcap.tasks.chance import best_map, sequences

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Int, Shaped

BEST = "best"
FEWEST = 10  # sequences whose loss can choose a width


@dataclass(frozen=True)
class Data(FileTask):
    """The net sees the last `lag` + 1 steps of a sequence: less lag asks how much of
    the past your sequences need.

    Example: a sequence 2 7 1 with target 4 | lag 1 -> 7 1 -> 4.

    The file is an .npz (numpy.savez) of N sequences of T steps with these arrays, of at
    most 64 MiB as float32; of more, take a part of the sequences, or their last steps:

    * `inputs`: (N, T) whole numbers from 0, symbols; or (N, T, F) numbers.
    * `targets`: whole numbers from 0, classes; or other numbers, values. (N,), or (N,
      O) values, at the last step; (N, T), or (N, T, O), at every step.
    * `mask`, if an answer is not due at every step: (N, T), true where one is.
    * `lengths`, if not all sequences have T steps: (N,), how many count. Shorter ones
      begin at the first step, too, and a net sees no blank.
    * `groups`, for sequences of one subject or machine: (N,) whole numbers. No group is
      on both sides of a split.
    * `split`, if it is not to be drawn: (N,) texts, train, validation or test; without
      validation a fifth of training's is drawn for it. Then `held_out`, `fold` and
      `order` mean nothing.

    The verdict is about a held-out share of the sequences, chosen by `fold`, not by the
    seed. An evaluation scores each once, whatever `evaluation.sequences` says: 100
    held-out sequences give an accuracy to a percent.

    With `criterion=best` no score passes by itself: training ends where the validation
    loss falls no more, and held-out losses tell which widths are enough
    (`memcap.own.losses`).
    """

    name = "data"
    filler = "blanks"
    default_lag = None
    mend_unsolved = (
        "if noise allows no more, task.criterion=best (memcap fit) compares widths by their"
        " loss"
    )
    mend_criterion = (
        "set task.criterion beyond that, or task.criterion=best, which compares nets by their"
        " loss"
    )
    file: str = knob(
        EXAMPLE,
        "an .npz file of your sequences; example: 512 made-up sequences to try it with",
    )
    held_out: float = knob(
        0.2, "share of the sequences that training never sees", above=0, below=1
    )
    fold: int = knob(
        0,
        "number of the split into training and held-out sequences",
        at_least=0,
        at_most=1000,
    )
    criterion: float | str | None = knob(
        None,
        "accuracy, or mean squared error, that is a pass; null: 0.99, or 5 % of the variance;"
        " best: a held-out loss that is no worse than the best width's beyond chance",
    )
    bits: float = knob(
        1.0,
        "bits to hold, if you know them: for reference lines only",
        above=0,
        at_most=1e6,
    )
    scale: bool = knob(
        False,
        "true if each number of `inputs` is scaled by its mean and spread in the training"
        " sequences; not for symbols",
        before=False,
    )
    scale_targets: bool = knob(
        False,
        "true if values of `targets` are scaled likewise, so that losses are shares of their"
        " variance; not for classes",
        before=False,
    )

    order: str = knob(
        RANDOM,
        "how sequences are held out: random; classes, of each class its share; time, the later"
        " ones, in the order of the groups or sequences",
        choices=ORDERS,
        before=RANDOM,
    )

    def __post_init__(self) -> None:
        if isinstance(self.criterion, str) and self.criterion != BEST:
            try:  # YAML reads 1e-3 as text
                object.__setattr__(self, "criterion", float(self.criterion))
            except ValueError:
                raise UserError(
                    f"task.criterion={self.criterion}: must be a number, null or best"
                ) from None
        if self.has_own_split and self.fold:
            raise UserError(
                f"task.fold={self.fold}: {self.file} has a split of its own; leave it 0"
            )
        if self.scale_targets and read(self.file).classes:
            object.__setattr__(self, "scale_targets", False)

    @property
    def file_content(self) -> Sequences:
        return _scaled(self)

    @property
    def has_own_split(self) -> bool:
        return read(self.file).split is not None

    @property
    def rule(self) -> type[ScoreRule]:
        return LossRule if self.criterion == BEST else ScoreRule

    def doubts(self, longest_lag: int) -> list[str]:
        if self.file == EXAMPLE:
            return []
        content = read(self.file)
        doubts = content.doubts
        if content.is_unscaled and not self.scale:
            doubts.append(
                "numbers far from mean 0 and spread 1 train badly; set task.scale=true"
            )
        if longest_lag < self.longest_lag:
            doubts.append(
                f"the nets see the last {longest_lag + 1} of {content.steps} steps;"
                f" task.lag={self.longest_lag} is all of them"
            )
        return [f"{self.file}: {doubt}" for doubt in doubts]

    @property
    # ty: ignore[incompatible-property-override]  # of a file, not of the class
    def answers(self) -> Literal["last", "every"]:
        return "last" if self.file_content.due is None else "every"

    @property
    def loss(self) -> Literal["classes", "values"]:
        """Classes if the targets are whole numbers."""
        return "values" if self.file_content.classes is None else "classes"

    @property
    def vocabulary(self) -> int | None:
        symbols = self.file_content.symbols
        return None if symbols is None else symbols + 1

    @property
    def features(self) -> int:
        """F numbers, or the symbols one-hot."""
        return self.vocabulary or self.file_content.inputs.shape[2]

    @property
    def outputs(self) -> int:
        file = self.file_content
        whole = file.targets.ndim == (1 if file.due is None else 2)
        return file.classes or (1 if whole else file.targets.shape[-1])

    @property
    def longest_lag(self) -> int:
        return self.file_content.steps - 1

    def shortest(self, lag: int) -> int:
        """Count the steps that are seen; raise UserError if sequences are shorter."""
        steps = self.file_content.steps
        if isinstance(lag, int) and lag >= steps:
            raise UserError(
                f"task.lag={lag}: {self.file} has sequences of {steps} steps, so lag must be at"
                f" most {steps - 1}"
            )
        return lag + 1

    def laid_out(
        self, which: Any, lag: Operand, length: Operand, steps: int, xp: Any
    ) -> Batch:
        """Return the last `lag` + 1 steps of some sequences, as arrays of `xp`
        (jax.numpy or NumPy)."""
        file = self.file_content
        step = xp.arange(steps)
        # the end of a sequence at the end of `length` steps
        source = xp.clip(step + file.steps - length, 0, file.steps - 1)
        in_sequence = (step >= length - 1 - lag) & (step < length)
        if file.lengths is not None:
            first = xp.maximum(xp.asarray(file.lengths)[which, None] - 1 - lag, 0)
            source = xp.clip(first + step - (length - 1 - lag), 0, file.steps - 1)

        def cut(array: np.ndarray, blank: Any) -> Shaped[Array, "T B ..."]:
            rows = xp.moveaxis(xp.asarray(array)[which[:, None], source], 0, 1)
            counts = in_sequence.reshape(-1, *[1] * (rows.ndim - 1))
            return xp.where(counts, rows, blank)

        inputs = cut(file.inputs, file.blank)
        if file.due is None:
            targets = xp.asarray(file.targets)[which]
            return Batch(inputs, targets.T if self.several_values else targets.ravel())
        targets = cut(file.targets, 0)
        targets = (
            xp.moveaxis(targets, -1, 0)
            if self.several_values
            else targets.reshape(steps, -1)
        )
        return Batch(inputs, targets, cut(file.due, False))

    def _drawn(self, key: RandomKey, part: int, batch: int) -> Int[Array, " B"]:
        import jax.numpy as jnp

        places = jnp.asarray(self.parts[part])
        return places[integers(key, (batch,), 0, len(places))]

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax.numpy as jnp

        return self.laid_out(self._drawn(key, 0, batch), lag, length, steps, jnp)

    def unseen(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw held-out sequences, each once if the batch has as many."""
        import jax.numpy as jnp

        if batch == self.part_sizes[1]:
            which = jnp.asarray(self.parts[2])
        else:
            which = self._drawn(key, 2, batch)
        return self.laid_out(which, lag, length, steps, jnp)

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places of training's, validation's (none where a score decides) and
        held-out sequences."""
        return _parts(self)

    @property
    def constant_bytes(self) -> int:
        file = self.file_content
        size = file.inputs.nbytes + file.targets.nbytes
        return size if file.due is None else size + file.due.nbytes

    @property
    def part_sizes(self) -> tuple[int, int]:
        return len(self.parts[1]), len(self.parts[2])

    def part(
        self,
        side: Operand,
        block: Operand,
        lag: Operand,
        length: Operand,
        steps: int,
        batch: int,
    ) -> tuple[Batch, Bool[Array, " B"]]:
        """Return a block of validation's (`side` 0) or held-out (1) sequences, and
        which count."""
        import jax.numpy as jnp

        both = self.parts[1:]
        most = max(map(len, both))
        places = jnp.asarray(np.stack([np.resize(part, most) for part in both]))
        at = block * batch + jnp.arange(batch)
        which = places[side, jnp.clip(at, 0, most - 1)]
        counts = at < jnp.asarray(self.part_sizes)[side]
        return self.laid_out(which, lag, length, steps, jnp), counts

    def facts(self, lag: int, length: int) -> Facts:
        """Measure chance on the training sequences; what must be held only the user
        knows."""
        file = self.file_content
        if isinstance(self.criterion, str):  # best; no score is a pass by itself
            criterion = 1.0 if file.classes else 0.0
        elif self.criterion is not None:
            criterion = self.criterion
        elif file.classes:
            criterion = 0.99
        else:
            axes = tuple(range(file.targets.ndim - self.several_values))
            criterion = 0.05 * float(file.targets.var(axis=axes).mean())
        chance = _chance(self, lag, length)
        return Facts(1, self.bits, chance, criterion, file.digest)

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        return lag, self.length(lag)


@lru_cache(maxsize=1024)
def _chance(task: Data, lag: int, length: int) -> float:
    """Score a net without memory; NumPy draws, as facts need no JAX."""
    which = np.random.default_rng(1).choice(task.parts[0], 8192)
    batch = task.laid_out(which, lag, length, length, np)
    return best_map(task, *sequences(task, batch, length)).mean


@lru_cache(maxsize=64)
def _parts(task: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of training's, validation's and held-out sequences: the file's
    own parts, or folds of a cross-validation, the next one for validation."""
    content = read(task.file)
    parts = content.split
    if parts is None:
        groups = content.groups
        groups = np.arange(len(content.inputs)) if groups is None else groups
        names, first, group = np.unique(groups, return_index=True, return_inverse=True)
        count = len(names)
        fold = task.fold
        order = task.order
        by_loss = task.rule.by_loss
        folds = min(max(round(1 / task.held_out), 3), count)
        # the place of each group in a random order of them
        rng = np.random.default_rng([fold // folds if by_loss else fold, count])
        ranks = np.argsort(rng.permutation(count))
        if order == CLASSES and content.classes:
            ranks = evenly(ranks, content.answers[first])
        if by_loss:
            if folds < 3 or len(content.inputs) < FEWEST:
                raise UserError(
                    f"task.criterion=best: {task.file} has too few sequences or groups:"
                    f" at least {FEWEST} sequences and 3 groups are needed"
                )
            if order == TIME and count < 2 * folds:
                raise UserError(
                    f"task.order=time: {task.file} has {count} sequences or groups, fewer"
                    f" than {2 * folds}"
                )
            away = (ranks * folds // count - fold) % folds
            parts = np.select([away == 0, away == 1], [2, 1], 0)
            if order == TIME:
                parts = in_time(count, folds, fold)
        else:
            tests = min(max(round(task.held_out * count), 1), count - 1)
            if order == TIME:
                ranks = np.arange(count)[::-1]
            parts = np.where(ranks < tests, 2, 0)
        parts = parts[group]
    training, validation, tests = (
        np.flatnonzero(parts == part).astype(np.int32) for part in range(3)
    )
    return training, validation, tests


@lru_cache(maxsize=16)
def _scaled(task: Data) -> Sequences:
    content = read(task.file)
    if task.scale and content.symbols is None:
        content = content.with_scaled_inputs(task.parts[0])
    if task.scale_targets:
        content = content.with_scaled_targets(task.parts[0])
    return content


def own_task(file: Path, order: str = RANDOM) -> Data:
    return Data(
        file=str(file), criterion=BEST, scale=True, scale_targets=True, order=order
    )

"""Your own sequences, from a file: how many units do they need?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np

from memcap.config.knobs import UserError, knob
from memcap.own.file import EXAMPLE, Sequences, read
from memcap.rule import LowestLoss, Score
from memcap.tasks.base import Batch, Facts, FileTask, Operand, RandomKey, integers
from memcap.tasks.chance import best_map

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Int, Shaped

BEST = "best"


@dataclass(frozen=True)
class Data(FileTask):
    """The net sees the last `lag` + 1 steps of a sequence: less lag asks how much of
    the past your sequences need.

    Example: a sequence 2 7 1 with target 4 | lag 1 -> 7 1 -> 4.

    The file is an .npz (numpy.savez) of N sequences of T steps with these arrays:

    * `inputs`: (N, T) whole numbers from 0, symbols; or (N, T, F) numbers.
    * `targets`: whole numbers from 0, classes; or other numbers, values. (N,), or (N,
      O) values, at the last step; (N, T), or (N, T, O), at every step.
    * `mask`, if an answer is not due at every step: (N, T), true where one is.
    * `lengths`, if not all sequences have T steps: (N,), how many of them count.
      Shorter ones begin later, after blanks.
    * `groups`, if sequences of one subject or machine belong together: (N,) whole
      numbers. No group is on both sides of a split.
    * `split`, if it is not to be drawn: (N,) texts, train, validation or test; without
      validation a fifth of training's is drawn for it. Then `held_out` and `fold` mean
      nothing.

    A share of the sequences is held out: training draws from the others, and the
    verdict is about these. Which are held out is a matter of `fold`, not of the
    member's seed. An evaluation scores each of them once, whatever
    `evaluation.sequences` says: 100 held-out sequences give an accuracy to a percent.

    With `criterion=best` no score is a pass by itself: training ends where the loss on
    a further share, the validation split, falls no more, and the losses on the held-out
    share tell which widths are enough (`memcap.own.losses`).
    """

    name = "data"
    default_lag = None
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
        "accuracy, or mean squared error, that is a pass; null: .99, or 5 % of the variance;"
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

    @property
    def file_content(self) -> Sequences:
        """The sequences of the file, scaled where they are to be."""
        file = read(self.file)
        if file.symbols is not None or not self.scale:
            return file
        return _scaled(self.file, self.held_out, self.fold, self.rule.by_loss)

    @property
    def has_own_split(self) -> bool:
        """Tell whether the file says which of its sequences train, and which judge."""
        return read(self.file).split is not None

    @property
    def rule(self) -> type[Score]:
        """The lowest loss, where no score is a pass by itself."""
        return LowestLoss if self.criterion == BEST else Score

    def doubts(self, longest_lag: int) -> list[str]:
        """Return those about the file, its scale, and steps that no net would see."""
        if self.file == EXAMPLE:
            return []
        content = read(self.file)
        found = [f"{self.file}: {doubt}" for doubt in content.doubts]
        if content.is_unscaled and not self.scale:
            found.append(
                f"{self.file}: numbers far from mean 0 and spread 1 train badly; set"
                " task.scale=true"
            )
        if longest_lag < self.longest_lag:
            seen = f"{self.file}: the nets see the last {longest_lag + 1} of {content.steps} steps"
            found.append(f"{seen}; task.lag={self.longest_lag} is all of them")
        return found

    @property
    def mend_unsolved(self) -> str:
        """Name the comparison that asks for no score."""
        return (
            "if noise allows no more, task.criterion=best (memcap fit) compares widths by their"
            " loss"
        )

    @property
    def mend_criterion(self) -> str:
        """Name the knob."""
        return (
            "set task.criterion beyond that, or task.criterion=best, which compares nets by their"
            " loss"
        )

    @property
    # ty: ignore[incompatible-property-override]  # of a file, not of the class
    def answers(self) -> Literal["last", "every"]:
        """The answers that the file has."""
        return "last" if self.file_content.due is None else "every"

    @property
    def loss(self) -> Literal["classes", "values"]:
        """Classes where the targets are whole numbers."""
        return "values" if self.file_content.classes is None else "classes"

    @property
    def vocabulary(self) -> int | None:
        """The file's symbols and a blank; None for numbers."""
        symbols = self.file_content.symbols
        return None if symbols is None else symbols + 1

    @property
    def features(self) -> int:
        """F numbers, or the symbols one-hot."""
        return self.vocabulary or self.file_content.inputs.shape[2]

    @property
    def outputs(self) -> int:
        """Classes, or values of an answer."""
        file = self.file_content
        whole = file.targets.ndim == (1 if file.due is None else 2)
        return file.classes or (1 if whole else file.targets.shape[-1])

    @property
    def longest_lag(self) -> int:
        """The lag at which all of a sequence is seen."""
        return self.file_content.steps - 1

    def shortest(self, lag: int) -> int:
        """Count the steps that are seen; raise UserError if the file's sequences are shorter."""
        steps = self.file_content.steps
        if isinstance(lag, int) and lag >= steps:
            raise UserError(
                f"task.lag={lag}: {self.file} has sequences of {steps} steps, so lag must be at"
                f" most {steps - 1}"
            )
        return lag + 1

    def _drawn(
        self,
        key: RandomKey,
        lag: Operand,
        length: Operand,
        steps: int,
        batch: int,
        unseen: bool,
    ) -> Batch:
        # Branches of its own in place of `parts`, which reads the file: scripts are
        # made of these lines.
        if self.rule.by_loss:
            ours = self.parts[2 * unseen]
        elif self.file_content.split is not None:
            ours = np.flatnonzero(self.file_content.split == 2 * unseen)
        elif self.file_content.groups is None:
            ours = _split(len(self.file_content.inputs), self.held_out, self.fold)[
                unseen
            ]
        else:
            ours = _split_groups(self.file_content.groups, self.held_out, self.fold)[
                unseen
            ]
        if unseen and batch == len(ours):
            which = jnp.asarray(ours)
        else:
            which = jnp.asarray(ours)[integers(key, (batch,), 0, len(ours))]
        return self.laid_out(which, lag, length, steps)

    def laid_out(
        self, which: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        """Return the last `lag` + 1 steps of the file's sequences at these places."""
        batch = which.shape[0]
        step = jnp.arange(steps)
        # the end of a sequence at the end of `length` steps
        source = jnp.clip(
            step + self.file_content.steps - length, 0, self.file_content.steps - 1
        )
        in_sequence = (step >= length - 1 - lag) & (step < length)

        def cut(array: np.ndarray, blank: Any) -> Shaped[Array, "T B ..."]:
            """Cut (N, T, ...) to the buffer."""
            rows = jnp.moveaxis(jnp.asarray(array)[which[:, None], source], 0, 1)
            return jnp.where(
                in_sequence.reshape(-1, *[1] * (rows.ndim - 1)), rows, blank
            )

        inputs = cut(
            self.file_content.inputs,
            0 if self.file_content.symbols is None else self.file_content.symbols,
        )
        if self.file_content.due is None:
            targets = jnp.asarray(self.file_content.targets)[which]
            return Batch(
                inputs, targets.T if self.several_values else targets.reshape(batch)
            )
        targets = cut(self.file_content.targets, 0)
        targets = (
            jnp.moveaxis(targets, -1, 0)
            if self.several_values
            else targets.reshape(steps, batch)
        )
        return Batch(inputs, targets, cut(self.file_content.due, False))

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw training sequences, with replacement."""
        return self._drawn(key, lag, length, steps, batch, unseen=False)

    def unseen(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw held-out sequences, with replacement; each of them once, if the batch is
        of as many."""
        return self._drawn(key, lag, length, steps, batch, unseen=True)

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The places of training's sequences, validation's (none where a score
        decides), and those held out."""
        return _parts(self.file, self.held_out, self.fold, self.rule.by_loss)

    @property
    def constant_bytes(self) -> int:
        """The bytes of the file's arrays."""
        file = self.file_content
        return sum(
            array.nbytes
            for array in (file.inputs, file.targets, file.due)
            if array is not None
        )

    @property
    def part_sizes(self) -> tuple[int, int]:
        """The number of validation's sequences, and of those held out."""
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
        """Return a block of validation's sequences (`side` 0), or of the held-out ones
        (1); and which of them count."""
        both = self.parts[1:]
        most = max(map(len, both))
        places = jnp.asarray(np.stack([np.resize(each, most) for each in both]))
        at = block * batch + jnp.arange(batch)
        which = places[side, jnp.clip(at, 0, most - 1)]
        return (
            self.laid_out(which, lag, length, steps),
            at < jnp.asarray([*map(len, both)])[side],
        )

    def facts(self, lag: int, length: int) -> Facts:
        """Measure chance on the training sequences; what has to be held, nobody knows
        but you: `bits`, and one symbol."""
        targets = self.file_content.targets
        if isinstance(self.criterion, str):  # best; no score is a pass by itself
            threshold = 1.0 if self.file_content.classes else 0.0
        elif self.criterion is not None:
            threshold = self.criterion
        elif self.file_content.classes:
            threshold = 0.99
        else:
            axes = tuple(range(targets.ndim - self.several_values))
            threshold = 0.05 * float(targets.var(axis=axes).mean())
        return Facts(
            1,
            self.bits,
            _chance(self, lag, length),
            threshold,
            self.file_content.digest,
        )

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Return the same sequences: there are no longer ones."""
        return lag, self.length(lag)


@lru_cache(maxsize=1024)
def _chance(task: Data, lag: int, length: int) -> float:
    """Score a net without memory on training sequences; NumPy draws them, as facts need no JAX."""
    file = task.file_content
    which = np.random.default_rng(1).choice(task.parts[0], 8192)
    step = np.arange(length)
    source = np.clip(step + file.steps - length, 0, file.steps - 1)
    blank = step < length - 1 - lag
    inputs = file.inputs[which[:, None], source]
    inputs[:, blank] = 0 if file.symbols is None else file.symbols
    if file.due is None:
        targets = np.zeros(
            (len(which), length, *file.targets.shape[1:]), file.targets.dtype
        )
        targets[:, -1] = file.targets[which]
        mask = np.zeros((len(which), length), bool)
        mask[:, -1] = True
    else:
        targets = file.targets[which[:, None], source]
        mask = file.due[which[:, None], source]
        mask[:, blank] = False
    if not task.several_values:
        targets = targets.reshape(mask.shape)
    return best_map(task, inputs, targets, mask).mean


@lru_cache(maxsize=8)
def _split(count: int, held_out: float, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the training sequences among all, and of the held-out ones,
    at least one of each."""
    order = np.random.default_rng([fold, count]).permutation(count).astype(np.int32)
    tests = min(max(round(held_out * count), 1), count - 1)
    return np.sort(order[tests:]), np.sort(order[:tests])


def _split_groups(
    groups: np.ndarray, held_out: float, fold: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same where the sequences of a group stay together."""
    names, ours = np.unique(groups, return_inverse=True)
    is_test = np.isin(ours, _split(len(names), held_out, fold)[1])
    return np.flatnonzero(~is_test).astype(np.int32), np.flatnonzero(is_test).astype(
        np.int32
    )


@lru_cache(maxsize=64)
def _parts(
    file: str, held_out: float, fold: int, by_loss: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of training's sequences, validation's, and those held out. They
    are the parts that the file has; or, by loss, folds of a cross-validation, of which
    the next one is validation, and folds beyond the last are of another one."""
    split = read(file).split
    groups = read(file).groups
    if split is not None:
        training, validation, test = (
            np.flatnonzero(split == part).astype(np.int32) for part in range(3)
        )
        return training, validation, test
    if not by_loss:
        count = len(read(file).inputs)
        sides = (
            _split(count, held_out, fold)
            if groups is None
            else _split_groups(groups, held_out, fold)
        )
        return sides[0], sides[0][:0], sides[1]
    groups = np.arange(len(read(file).inputs)) if groups is None else groups
    ours = np.unique(groups, return_inverse=True)[1]
    names = int(np.max(ours)) + 1
    folds = min(max(round(1 / held_out), 3), names)
    if folds < 3:
        raise UserError(
            f"task.criterion=best: {file} has too few sequences or groups; it takes at least 3"
        )
    order = np.random.default_rng([fold // folds, names]).permutation(names)
    part = np.empty(names, np.int64)
    part[order] = np.arange(names) * folds // names
    away = (part[ours] - fold) % folds  # 0: held out, 1: validation
    parts = away > 1, away == 1, away == 0
    training, validation, test = (
        np.flatnonzero(each).astype(np.int32) for each in parts
    )
    return training, validation, test


@lru_cache(maxsize=16)
def _scaled(file: str, held_out: float, fold: int, by_loss: bool) -> Sequences:
    """Return the sequences of a file scaled by those of training."""
    return read(file).scaled(_parts(file, held_out, fold, by_loss)[0])

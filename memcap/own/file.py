"""Read and check a file of sequences."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memcap.knobs import UserError
from memcap.store.files import BadFileError, read_npz
from memcap.terminal.words import plural

EXAMPLE = "example"
TEXTS = ("symbol_names", "class_names")  # for readers: the meaning of the numbers
# a file with lengths may say that all of them begin at the first step; published rows
# have the digests of such files
AFTER = "after"
NAMES = ("inputs", "targets", "mask", "lengths", "groups", "split", "padding", *TEXTS)
# what a script of `--code` reads, and memcap does not
OF_SCRIPTS = ("lags", "longer_inputs", "longer_targets", "longer_mask")
PARTS = ("train", "validation", "test")  # of a file's own split
LARGEST = 64 * 2**20  # bytes of arrays, which are constants of the compiled programs
MOST = 1e18  # its square still fits into float32
MOST_CLASSES = 4096
FEW = 200  # sequences; fewer seldom tell a width
LOST = 1e-3  # of the range of a feature; what is smaller does no harm


class Scale(NamedTuple):
    """Mean and spread of numbers, (F,) or ()."""

    mean: np.ndarray = np.zeros(())
    spread: np.ndarray = np.ones(())

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Scale":
        """Measure numbers (K, F) or (K,) in float64; a constant has spread 1."""
        digits = 6 if numbers.dtype == np.float32 else 15
        numbers = numbers.astype(np.float64)
        spread = _rounded(numbers.std(0), digits)
        return cls(_rounded(numbers.mean(0), digits), np.where(spread > 0, spread, 1))

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Return numbers (..., F) standardized, float32."""
        return ((numbers - self.mean) / self.spread).astype(np.float32)


UNSCALED = Scale()


@dataclass(frozen=True)
class Sequences:
    """The checked arrays of a file. Shorter sequences begin at the first of the T
    steps.

    Args:
        inputs: (N, T) int32 symbols below `symbols`, which itself marks steps after the
            end; or (N, T, F) float32, or float64 where float32 loses digits.
        targets: (N,), (N, O), (N, T) or (N, T, O): int32 classes below `classes`, or
            values typed as `inputs`.
        due: (N, T) bool, where an answer is due; None: at the last step.
        digest: digest of the file's bytes; "" for the example.
        lengths: (N,) steps that count; None: all.
        groups: (N,) int64, see `memcap.own.task.Data`; None: each is its own.
        split: (N,) places in `PARTS`; None: parts are drawn.
        input_scale: of scaled inputs, (F,).
        target_scale: of scaled values, () or (O,).
    """

    inputs: np.ndarray
    targets: np.ndarray
    due: np.ndarray | None
    symbols: int | None
    classes: int | None
    digest: str
    lengths: np.ndarray | None = None
    groups: np.ndarray | None = None
    split: np.ndarray | None = None
    input_scale: Scale = UNSCALED
    target_scale: Scale = UNSCALED

    @property
    def steps(self) -> int:
        return self.inputs.shape[1]

    @property
    def blank(self) -> int:
        return self.symbols or 0

    @property
    def answers(self) -> np.ndarray:
        if self.due is None:
            return self.targets
        last = self.steps - 1 - self.due[:, ::-1].argmax(1)
        return self.targets[np.arange(len(self.targets)), last]

    @property
    def counts(self) -> np.ndarray:
        """Return which steps are within a sequence, (N, T)."""
        if self.lengths is None:
            return np.ones(self.inputs.shape[:2], bool)
        return np.arange(self.steps) < self.lengths[:, None]

    def with_scaled_inputs(self, places: np.ndarray) -> "Sequences":
        """Return each feature standardized by the sequences at `places`, with blanks at
        0."""
        scale = Scale.of(self.inputs[places][self.counts[places]])
        inputs = np.where(self.counts[..., None], scale.apply(self.inputs), 0)
        return replace(self, inputs=inputs.astype(np.float32), input_scale=scale)

    def with_scaled_targets(self, places: np.ndarray) -> "Sequences":
        """Return values standardized likewise; those not due are 0."""
        targets = self.targets[places]
        due = np.ones(len(self.targets), bool) if self.due is None else self.due
        scale = Scale.of(targets[due[places]])
        shown = due.reshape(due.shape + (1,) * (self.targets.ndim - due.ndim))
        values = np.where(shown, scale.apply(self.targets), 0)
        return replace(self, targets=values.astype(np.float32), target_scale=scale)

    def words(self, file: str) -> tuple[str, ...]:
        size = f"{file}: {len(self.inputs):,} sequences of {self.steps:,} steps."
        kind = f"one of {self.symbols} symbols"
        if self.symbols is None:
            kind = f"numbers, {self.inputs.shape[2]}"
        answer = f"one of {self.classes} classes" if self.classes else "values"
        return (size, f"Inputs: {kind} a step. Target: {answer}.", *self.split_words)

    @property
    def split_words(self) -> tuple[str, ...]:
        if self.split is None:
            return ()
        training, validation, tests = np.bincount(self.split, minlength=3)
        parts = f"{training:,} sequences train, {validation:,} say where to stop, {tests:,} judge"
        return (f"Split of its own: {parts}.",)

    @property
    def doubts(self) -> list[str]:
        doubts = []
        count = len(self.inputs)
        if count < FEW:
            doubts.append(f"{count} sequences: nets will differ mostly by chance")
        copies = self._copies()
        if copies:
            verb = "occurs" if copies == 1 else "occur"
            doubts.append(
                f"{plural(copies, 'sequence')} {verb} more than once, and may be on both"
                " sides of a split: leave copies out, or give them one group"
            )
        if self.classes is not None:
            return doubts
        targets = self.targets[:1000]
        several = targets.ndim == (2 if self.due is None else 3)
        one_hot = (targets.sum(-1) == 1) & (targets.max(-1) == 1)
        text = "targets are {}, so they count as values; as classes: targets.{}"
        if several and one_hot.all():
            doubts.append(text.format("one-hot numbers", "argmax(-1)"))
        elif (targets == targets.round()).all() and len(np.unique(targets)) <= 20:
            doubts.append(text.format("whole numbers as floats", "astype(int)"))
        return doubts

    def _copies(self) -> int:
        """Count sequences of numbers with a copy in another group or part."""
        if self.symbols is not None:
            return 0
        sides = self.groups if self.split is None else self.split
        sides = np.arange(len(self.inputs)) if sides is None else sides
        rows = [row.tobytes() for row in self.inputs]
        return len({*zip(rows, sides.tolist(), strict=True)}) - len({*rows})

    @property
    def is_unscaled(self) -> bool:
        if self.symbols is not None:
            return False
        numbers = self.inputs[:1000]
        offsets = np.abs(numbers.mean((0, 1)))
        return bool(max(offsets.max(), numbers.std((0, 1)).max()) > 10)


@lru_cache(maxsize=8)
def read(file: str) -> Sequences:
    """Read the sequences of a file.

    Raises:
        UserError: it cannot be read, or has another form than `Data` says.
    """
    if file == EXAMPLE:
        inputs, targets = _example()
        return Sequences(inputs, targets, None, 6, 2, "")
    path = Path(file)
    if path.exists() and not (path.is_file() or path.is_dir()):  # a FIFO would block
        raise _wrong(file, "is no regular file")
    try:
        arrays = read_npz(path, lambda npz: dict(npz), LARGEST)
    except BadFileError as error:
        raise _wrong(file, str(error)) from error.__cause__  # which tells if it is gone
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return checked(file, arrays, digest[:16])


def _example() -> tuple[np.ndarray, np.ndarray]:
    """Draw 512 sequences of 256 symbols; the 12th last one is the class."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(2, 6, (512, 256)).astype(np.int32)
    inputs[:, -12] = rng.integers(0, 2, 512)
    return inputs, inputs[:, -12].copy()


def _wrong(file: str, what: str) -> UserError:
    return UserError(
        f"task.file={file}: {what}; python -m pydoc memcap.own.task says what such a file must"
        " hold"
    )


def checked(file: str, arrays: dict[str, np.ndarray], digest: str) -> Sequences:
    """Return the sequences of a file's arrays; raise UserError for what `Data` does not
    allow."""

    def refuse(is_wrong: Any, what: str) -> None:
        if is_wrong:
            raise _wrong(file, what)

    _check_arrays(arrays, refuse)
    inputs = arrays["inputs"]
    targets = arrays["targets"]
    count, steps = inputs.shape[:2]
    symbols = int(inputs.max()) + 1 if inputs.ndim == 2 else None
    classes = int(targets.max()) + 1 if targets.dtype.kind in "biu" else None
    refuse(
        max(symbols or 0, classes or 0) > MOST_CLASSES,
        "has symbols or classes above 4,095; number them from 0 without gaps",
    )
    due = None
    if targets.ndim > 1 and targets.shape[1] == steps:
        due = arrays.get("mask", np.ones((count, steps))).astype(bool)
    lengths = arrays.get("lengths")
    answers = targets if due is None else targets[due]
    with np.errstate(over="ignore"):  # too large numbers are refused below
        inputs = inputs.astype(np.int32 if symbols else float_of(inputs[:, 0]))
        targets = targets.astype(np.int32 if classes else float_of(answers))
    last = np.full(count, steps - 1)
    if lengths is not None:
        last = lengths - 1
        step = np.arange(steps)
        inputs[step > last[:, None]] = symbols or 0
        if due is None:
            due = step == last[:, None]
            targets = np.repeat(targets[:, None], steps, 1)
        due &= step <= last[:, None]
    refuse(
        due is not None and not due[np.arange(count), last].all(),
        "`mask` must ask for an answer at the last step of every sequence",
    )
    for name, array in {"inputs": inputs, "targets": targets}.items():
        refuse(
            (np.abs(array) > MOST).any(),
            f"`{name}` holds numbers above {MOST:g}, too large for float32; scale them",
        )
    refuse(
        not np.ptp(targets if due is None else targets[due], axis=0).any(),
        "`targets` are the same for all sequences: there is nothing to tell apart",
    )
    groups = arrays.get("groups")
    split = arrays.get("split")
    if split is not None:
        split = _parts_of(split, groups)
        for name, size in zip(PARTS, np.bincount(split, minlength=3), strict=True):
            refuse(not size, f"`split` leaves no sequences for {name}")
    return Sequences(
        inputs, targets, due, symbols, classes, digest, lengths, groups, split
    )


def float_of(numbers: np.ndarray) -> type[np.floating]:
    """Return float32, or float64 where float32 merges numbers, as of time stamps."""
    numbers = numbers.astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        lost = np.ptp(numbers - numbers.astype(np.float32), 0)
        loses = (lost > LOST * np.ptp(numbers, 0)).any()
    return np.float64 if loses else np.float32


def _rounded(numbers: np.ndarray, digits: int) -> np.ndarray:
    """Round, so that a machine's last bits do not count."""
    texts = [f"{number:.{digits}g}" for number in numbers.ravel()]
    return np.array(texts, float).reshape(numbers.shape)


def _check_arrays(arrays: dict[str, np.ndarray], refuse: Any) -> None:
    for name in ("inputs", "targets"):
        refuse(name not in arrays, f"has no array `{name}`")
    for name, array in arrays.items():
        refuse(
            name not in (*NAMES, *OF_SCRIPTS),
            f"has an array `{name}`, which means nothing; it may have {', '.join(NAMES)}",
        )
        if name == "split" or (name in TEXTS and array.dtype.kind == "U"):
            continue
        if name == "padding":
            refuse(array != AFTER, f"`padding` must be {AFTER!r}")
            continue
        refuse(
            array.dtype.kind not in "biuf",
            f"`{name}` must hold numbers, not {array.dtype}",
        )
        refuse(
            not np.isfinite(array).all(), f"`{name}` holds numbers that are not finite"
        )
    inputs = arrays["inputs"]
    whole = inputs.dtype.kind in "biu"
    refuse(
        inputs.ndim != 3 and not (whole and inputs.ndim == 2),
        "`inputs` must be (N, T) whole numbers or (N, T, F) numbers, not"
        f" {inputs.shape} of {inputs.dtype}",
    )
    count, steps = inputs.shape[:2]
    refuse(
        count < 2 or steps < 2 or inputs.size == 0,
        f"`inputs` has shape {inputs.shape}; it must have at least 2 sequences of at least 2"
        " steps",
    )
    refuse(inputs.ndim == 2 and inputs.min() < 0, "`inputs` has symbols below 0")
    targets = arrays["targets"]
    shape = f"`targets` has shape {targets.shape}"
    refuse(targets.shape[:1] != (count,), f"{shape}, for {count} sequences")
    every = targets.ndim > 1 and targets.shape[1] == steps
    refuse(
        targets.size == 0 or targets.ndim > 2 + every,
        f"{shape}; it must be ({count},), ({count}, O), or the same at each of {steps} steps",
    )
    if targets.dtype.kind in "biu":
        refuse(
            targets.ndim != 1 + every,
            f"{shape}; classes, whole numbers, are one an answer; of one-hot labels write"
            " targets.argmax(-1)",
        )
        refuse(
            targets.min() < 0 or targets.max() < 1,
            "`targets` must be classes from 0, of which there are at least two",
        )
    if "mask" in arrays:
        refuse(
            not every or arrays["mask"].shape != (count, steps),
            f"`mask` must be ({count}, {steps}), beside targets at every step",
        )
    if "lengths" in arrays:
        lengths = arrays["lengths"]
        in_range = (lengths >= 1) & (lengths <= steps)
        refuse(
            not _are_whole(lengths, count) or not in_range.all(),
            f"`lengths` must be ({count},) whole numbers from 1 to {steps}",
        )
    groups = arrays.get("groups", np.arange(count))
    refuse(
        not _are_whole(groups, count) or len(np.unique(groups)) < 2,
        f"`groups` must be ({count},) whole numbers, of at least two groups",
    )
    split = arrays.get("split", np.full(count, "train"))
    refuse(
        split.shape != (count,) or not np.isin(split, PARTS).all(),
        f"`split` must be ({count},) texts: {', '.join(PARTS)}",
    )
    refuse(
        len({*zip(groups, split, strict=True)}) > len({*groups}),
        "`split` has sequences of one group in several parts",
    )


def _are_whole(numbers: np.ndarray, count: int) -> bool:
    return numbers.shape == (count,) and numbers.dtype.kind in "iu"


def _parts_of(split: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return 0 (train), 1 (validation) or 2 (test) for each sequence. Without
    validation, it gets a fifth of training, by whole groups."""
    parts = 1 * (split == "validation") + 2 * (split == "test")
    if not (parts == 1).any():
        names = np.arange(len(split)) if groups is None else groups
        order = np.random.default_rng(0).permutation(np.unique(names[parts == 0]))
        chosen = order[: max(len(order) // 5, 1)]
        parts[(parts == 0) & np.isin(names, chosen)] = 1
    return parts

"""A file of sequences: read, and checked in every way that a user can get it wrong."""

import hashlib
import io
import math
import os
import stat
import zipfile
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from memcap.config.knobs import UserError

EXAMPLE = "example"
TEXTS = ("symbol_names", "class_names")  # for readers: the meaning of the numbers
PARTS = ("train", "validation", "test")  # of a file's own split
LARGEST = 64 * 2**20  # bytes of arrays, which are constants of the compiled programs
UNPACKED = 2 * LARGEST + 2**16  # bytes in the file, with numbers of 8 bytes and headers
TOO_MUCH = (
    f"more than {LARGEST >> 20} MiB of numbers; take a part of the sequences, "
    "or their last steps"
)
MOST = 1e18  # its square still fits into float32


@dataclass(frozen=True)
class Sequences:
    """The checked arrays of a file, with each sequence moved to the end of the T steps.

    Args:
        inputs: (N, T) int32 symbols below `symbols`, which itself marks steps before a
            sequence begins; or (N, T, F) float32.
        targets: (N,), (N, O), (N, T) or (N, T, O): int32 classes below `classes`, or
            float32 values.
        due: (N, T) bool, where an answer is due; None: at the last step.
        digest: digest of the file's bytes; "" for the example.
        source: NumPy statements that make the arrays of the file, called INPUTS, TARGETS and DUE.
        lengths: (N,) how many of the T steps count; None: all.
        groups: (N,) int64, sequences of one group are never on both sides of a split;
            None: each is its own.
        split: (N,) the place in `PARTS` of each sequence's part; None: parts are drawn.
    """

    inputs: np.ndarray
    targets: np.ndarray
    due: np.ndarray | None
    symbols: int | None
    classes: int | None
    digest: str
    source: str
    lengths: np.ndarray | None = None
    groups: np.ndarray | None = None
    split: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """T."""
        return self.inputs.shape[1]

    def scaled(self, places: np.ndarray) -> "Sequences":
        """Return the sequences scaled so that those at `places` have mean 0 and spread
        1 in each feature, with blanks at 0."""
        there = (
            np.arange(self.steps)
            >= self.steps
            - (
                np.full(len(self.inputs), self.steps)
                if self.lengths is None
                else self.lengths
            )[:, None]
        )
        seen = self.inputs[places][there[places]].astype(np.float64)
        mean, spread = (
            [float(f"{each:.6g}") for each in of] for of in (seen.mean(0), seen.std(0))
        )
        spread = [each or 1.0 for each in spread]
        inputs = np.where(there[..., None], (self.inputs - mean) / spread, 0).astype(
            np.float32
        )
        line = (
            f"INPUTS = ((INPUTS - {mean}) / {spread}).astype(np.float32)  # mean and spread of"
            " training's"
        )
        if self.lengths is not None:
            there = (
                f'np.arange({self.steps}) >= {self.steps} - FILE["lengths"][:, None]'
            )
            line += f"\nINPUTS[~({there})] = 0"
        return replace(self, inputs=inputs, source=f"{self.source}\n{line}")

    def words(self, file: str) -> tuple[str, ...]:
        """Say how large a file is, and how its own split divides it."""
        size = f"{file}: {len(self.inputs):,} sequences of {self.steps:,} steps."
        return (size, *self.split_words)

    @property
    def split_words(self) -> tuple[str, ...]:
        """A sentence about the file's own split, if it has one."""
        if self.split is None:
            return ()
        training, validation, tests = np.bincount(self.split, minlength=3)
        parts = f"{training:,} sequences train, {validation:,} say where to stop, {tests:,} judge"
        return (f"Split of its own: {parts}.",)

    @property
    def doubts(self) -> list[str]:
        """Return possible mistakes in the file, a sentence each."""
        targets = self.targets[:1000]
        if self.classes is not None:
            return []
        several = (
            targets.ndim == (2 if self.due is None else 3) and targets.shape[-1] > 1
        )
        if several and (targets.sum(-1) == 1).all() and (targets.max(-1) == 1).all():
            return [
                "targets are one-hot numbers, so they count as values; as classes:"
                " targets.argmax(-1)"
            ]
        if (targets == targets.round()).all() and len(np.unique(targets)) <= 20:
            return [
                "targets are not integers, so they count as values; as classes:"
                " targets.astype(int)"
            ]
        return []

    @property
    def is_unscaled(self) -> bool:
        """Tell whether some feature's mean is far from 0, or its spread from 1."""
        if self.symbols is not None:
            return False
        numbers = self.inputs[:1000].reshape(-1, self.inputs.shape[-1])
        return bool((np.abs(numbers.mean(0)) > 10).any() or (numbers.std(0) > 10).any())


@lru_cache(maxsize=8)
def read(file: str) -> Sequences:
    """Read the sequences of a file.

    Raises:
        UserError: it cannot be read, or is not such a file; says what is wrong.
    """
    if file == EXAMPLE:
        return _example()
    try:
        mode = os.stat(file).st_mode
        if not (
            stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        ):  # a FIFO would block for ever
            raise _wrong(file, "is no regular file")
        with open(file, "rb") as opened:
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # the latter for a zero byte in its name
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"task.file={file}: cannot be read ({why}); name an .npz file of your sequences"
        ) from error
    if len(content) > LARGEST:
        raise _wrong(
            file,
            f"is larger than {LARGEST >> 20} MiB; take a part of the sequences, or their last"
            " steps",
        )
    try:
        if _unpacked(content) > UNPACKED:
            raise _wrong(file, f"holds {TOO_MUCH}")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
        raise _wrong(
            file,
            "is no .npz file of plain arrays"
            f" ({' '.join(str(error).split()) or type(error).__name__})",
        ) from error
    return checked(file, arrays, hashlib.sha256(content).hexdigest()[:16])


def _unpacked(content: bytes) -> int:
    """Read from an archive's headers the bytes of its arrays, or of its members if
    these are more."""
    heads = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    arrays = members = 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            members += info.file_size
            if members > UNPACKED:
                break
            with archive.open(info) as member:
                shape, _, dtype = heads[np.lib.format.read_magic(member)](member)
            arrays += math.prod(shape) * dtype.itemsize
    return max(arrays, members)


def _wrong(file: str, what: str) -> UserError:
    return UserError(
        f"task.file={file}: {what}; python -m pydoc memcap.own.task says what such a file must"
        " hold"
    )


def checked(file: str, arrays: dict[str, np.ndarray], digest: str) -> Sequences:
    """Return the sequences of a file's arrays.

    Raises:
        UserError: they do not have the form of `memcap.own.task`; says what is wrong.
    """
    _check_arrays(file, arrays)
    inputs = arrays["inputs"]
    targets = arrays["targets"]
    lengths = arrays.get("lengths")
    count, steps = _count_and_steps(file, inputs)
    every = _answers_every_step(file, targets, count, steps)
    classes = _classes(file, targets, every)
    symbols = _symbols(file, inputs)
    if (symbols or 0) > 4096 or (classes or 0) > 4096:
        raise _wrong(
            file, "has symbols or classes above 4,095; number them from 0 without gaps"
        )
    due = _due(file, arrays, every, count, steps)
    with np.errstate(over="ignore"):  # too large numbers are refused below
        inputs = inputs.astype(np.int32 if symbols else np.float32)
    if lengths is not None:
        whole = lengths.shape == (count,) and lengths.dtype.kind in "iu"
        if not whole or lengths.min() < 1 or lengths.max() > steps:
            raise _wrong(
                file, f"`lengths` must be ({count},) whole numbers from 1 to {steps}"
            )
        inputs = at_the_end(inputs, lengths, symbols or 0)
        if due is not None:
            targets = at_the_end(targets, lengths, 0)
            due = at_the_end(due, lengths, False)
    if due is not None and not due[:, -1].all():
        raise _wrong(
            file, "`mask` must ask for an answer at the last step of every sequence"
        )
    with np.errstate(over="ignore"):
        targets = targets.astype(np.int32 if classes else np.float32)
    for name, array in (("inputs", inputs), ("targets", targets)):
        if not (np.abs(array) <= MOST).all():
            raise _wrong(
                file,
                f"`{name}` holds numbers above {MOST:g}, too large for float32; scale them",
            )
    if not np.ptp(targets if due is None else targets[due], axis=0).any():
        raise _wrong(
            file,
            "`targets` are the same for all sequences: there is nothing to tell apart",
        )
    source = _source(
        file, symbols, classes, due is not None, "mask" in arrays, lengths is not None
    )
    groups = arrays.get("groups")
    if groups is not None:
        if (
            groups.shape != (count,)
            or groups.dtype.kind not in "iu"
            or len(np.unique(groups)) < 2
        ):
            raise _wrong(
                file,
                f"`groups` must be ({count},) whole numbers, of at least two groups",
            )
        source += '\nGROUPS = FILE["groups"]'
    split = _split(file, arrays, count)
    if split is not None:
        source += f'\nSPLIT = parts_of(FILE["split"], {"None" if groups is None else "GROUPS"})'
    return Sequences(
        inputs, targets, due, symbols, classes, digest, source, lengths, groups, split
    )


def _split(file: str, arrays: dict[str, np.ndarray], count: int) -> np.ndarray | None:
    """Return the part of each sequence; None: the file has no split of its own."""
    split = arrays.get("split")
    groups = arrays.get("groups")
    if split is None:
        return None
    if (
        split.shape != (count,)
        or split.dtype.kind != "U"
        or not np.isin(split, PARTS).all()
    ):
        raise _wrong(file, f"`split` must be ({count},) texts: {', '.join(PARTS)}")
    if groups is not None:
        parts = np.unique([groups, np.unique(split, return_inverse=True)[1]], axis=1)[0]
        if len(parts) > len(np.unique(parts)):
            raise _wrong(file, "`split` has sequences of one group in several parts")
    parts = parts_of(split, groups)
    for name, size in zip(PARTS, np.bincount(parts, minlength=len(PARTS)), strict=True):
        if not size:
            raise _wrong(file, f"`split` leaves no sequences for {name}")
    return parts


def parts_of(split: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Return 0 for each sequence of training, 1 of validation, 2 of test. If validation
    has none, it gets a fifth of training's, by whole groups."""
    parts = 1 * (split == "validation") + 2 * (split == "test")
    if not (parts == 1).any():
        names = np.arange(len(split)) if groups is None else groups
        trained = np.unique(names[parts == 0])
        chosen = np.random.default_rng(0).permutation(trained)[
            : max(len(trained) // 5, 1)
        ]
        parts[(parts == 0) & np.isin(names, chosen)] = 1
    return parts


def _check_arrays(file: str, arrays: dict[str, np.ndarray]) -> None:
    """Check that there are inputs and targets, and only finite numbers."""
    longer = ("longer_inputs", "longer_targets", "longer_mask")
    beside = ("lags", *longer)  # what a script of `--code` reads, and memcap does not
    names = ("inputs", "targets", "mask", "lengths", "groups", "split", *TEXTS)
    for name in ("inputs", "targets"):
        if name not in arrays:
            raise _wrong(file, f"has no array `{name}`")
    for name, array in arrays.items():
        if name not in (*names, *beside):
            raise _wrong(
                file,
                f"has an array `{name}`, which means nothing; it may have {', '.join(names)}",
            )
        if name == "split" or (name in TEXTS and array.dtype.kind == "U"):
            continue
        if array.dtype.kind not in "biuf":
            raise _wrong(file, f"`{name}` must hold numbers, not {array.dtype}")
        if not np.isfinite(array).all():
            raise _wrong(file, f"`{name}` holds numbers that are not finite")
    if sum(array.size for array in arrays.values()) * 4 > LARGEST:
        raise _wrong(file, f"holds {TOO_MUCH}")


def _count_and_steps(file: str, inputs: np.ndarray) -> tuple[int, int]:
    """Return N and T of the inputs."""
    whole = inputs.dtype.kind in "biu"
    if inputs.ndim != (2 if whole else 3) and not (whole and inputs.ndim == 3):
        shape = f"{inputs.shape} of {inputs.dtype}"
        raise _wrong(
            file,
            f"`inputs` must be (N, T) whole numbers or (N, T, F) numbers, not {shape}",
        )
    count, steps = inputs.shape[:2]
    if count < 2 or steps < 2 or inputs.size == 0:
        least = "it must have at least 2 sequences of at least 2 steps"
        raise _wrong(file, f"`inputs` has shape {inputs.shape}; {least}")
    return count, steps


def _answers_every_step(file: str, targets: np.ndarray, count: int, steps: int) -> bool:
    """Tell whether there is a target at every step, not only at the last."""
    if targets.shape[:1] != (count,):
        raise _wrong(
            file, f"`targets` has shape {targets.shape}, for {count} sequences"
        )
    every = targets.ndim > 1 and targets.shape[1] == steps
    if targets.size == 0 or targets.ndim > (3 if every else 2):
        shapes = f"({count},), ({count}, O), or the same at each of {steps} steps"
        raise _wrong(file, f"`targets` has shape {targets.shape}; it must be {shapes}")
    return every


def _classes(file: str, targets: np.ndarray, every: bool) -> int | None:
    """Count the classes; None if targets are values."""
    if targets.dtype.kind not in "biu":
        return None
    if targets.ndim != (2 if every else 1):
        what = (
            "classes, whole numbers, are one an answer; of one-hot labels write"
            " targets.argmax(-1)"
        )
        raise _wrong(file, f"`targets` has shape {targets.shape}; {what}")
    if targets.min() < 0 or targets.max() < 1:
        raise _wrong(
            file, "`targets` must be classes from 0, of which there are at least two"
        )
    return int(targets.max()) + 1


def _symbols(file: str, inputs: np.ndarray) -> int | None:
    """Count the symbols; None if inputs are vectors."""
    if inputs.dtype.kind not in "biu" or inputs.ndim != 2:
        return None
    if inputs.min() < 0:
        raise _wrong(file, "`inputs` has symbols below 0")
    return int(inputs.max()) + 1


def _source(
    file: str,
    symbols: int | None,
    classes: int | None,
    every: bool,
    mask: bool,
    lengths: bool,
) -> str:
    """Write statements that read a checked file."""
    kinds = {
        "inputs": "int32" if symbols else "float32",
        "targets": "int32" if classes else "float32",
    }
    lines = [
        f'{name.upper()} = FILE["{name}"].astype(np.{kind})'
        for name, kind in kinds.items()
    ]
    if every:
        due = (
            'FILE["mask"].astype(bool)' if mask else "np.ones(TARGETS.shape[:2], bool)"
        )
        lines.append(f"DUE = {due}")
    if lengths:
        blanks = {"INPUTS": symbols or 0} | (
            {"TARGETS": 0, "DUE": False} if every else {}
        )
        lines += [
            f'{name} = at_the_end({name}, FILE["lengths"], {blank})'
            for name, blank in blanks.items()
        ]
    return "\n".join([f"FILE = dict(np.load({file!r}))", *lines])


def _due(
    file: str, arrays: dict[str, np.ndarray], every: bool, count: int, steps: int
) -> np.ndarray | None:
    mask = arrays.get("mask")
    if mask is None:
        return np.ones((count, steps), bool) if every else None
    if not every or mask.shape != (count, steps):
        raise _wrong(
            file, f"`mask` must be ({count}, {steps}), beside targets at every step"
        )
    return mask.astype(bool)


def at_the_end(array: np.ndarray, lengths: np.ndarray, blank: Any) -> np.ndarray:
    """Move the first `lengths` steps of each sequence to the end."""
    moved = np.full_like(array, blank)
    for place, length in enumerate(lengths):
        moved[place, array.shape[1] - length :] = array[place, :length]
    return moved


def _example() -> Sequences:
    inputs, targets = example()
    return Sequences(inputs, targets, None, 6, 2, "", "INPUTS, TARGETS = example()")


def example() -> tuple[np.ndarray, np.ndarray]:
    """Draw 512 sequences of 256 symbols: the one 11 steps before the last is 0 or 1,
    which is the class; the others are 2 to 5."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(2, 6, (512, 256)).astype(np.int32)
    inputs[:, -12] = rng.integers(0, 2, 512)
    return inputs, inputs[:, -12].copy()

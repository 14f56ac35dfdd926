"""A file of sequences: read, and checked in every way that a user can get it wrong."""

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from memcap.knobs import UserError

EXAMPLE = "example"
LARGEST = 64 * 2**20  # bytes of arrays: they are constants of the compiled programs


@dataclass(frozen=True)
class Sequences:
    """What a file holds, checked, each sequence moved to the end of the T steps.

    Args:
        inputs: (N, T) int32 symbols below `symbols`, which itself stands for steps before a sequence begins;
            or (N, T, F) float32.
        targets: (N,), (N, O), (N, T) or (N, T, O): int32 classes below `classes`, or float32 values.
        due: (N, T) bool, where an answer is due; None: at the last step.
        digest: of the file's bytes; "" of the example.
    """

    inputs: np.ndarray
    targets: np.ndarray
    due: np.ndarray | None
    symbols: int | None
    classes: int | None
    digest: str

    @property
    def steps(self) -> int:
        """T."""
        return self.inputs.shape[1]


@lru_cache(maxsize=8)
def read(file: str) -> Sequences:
    """The sequences of a file.

    Raises:
        UserError: it cannot be read, or is no such file; says what is wrong.
    """
    if file == EXAMPLE:
        return _example()
    try:
        with open(file, "rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise UserError(
            f"task.file={file}: cannot be read ({error.strerror}); name an .npz file of your sequences"
        ) from error
    if len(content) > LARGEST:
        raise _wrong(file, f"is larger than {LARGEST >> 20} MiB")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # of zipfile, zlib and NumPy, a dozen kinds
        raise _wrong(
            file, f"is no .npz file of plain arrays ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error
    return _checked(file, arrays, hashlib.sha256(content).hexdigest()[:16])


def _wrong(file: str, what: str) -> UserError:
    return UserError(f"task.file={file}: {what}; docs/sequences.md says what such a file must hold")


def _checked(file: str, arrays: dict[str, np.ndarray], digest: str) -> Sequences:
    known = ("inputs", "targets", "mask", "lengths")
    for name in ("inputs", "targets"):
        if name not in arrays:
            raise _wrong(file, f"has no array `{name}`")
    for name, array in arrays.items():
        if name not in known:
            raise _wrong(file, f"has an array `{name}`, which means nothing; it may have {', '.join(known)}")
        if array.dtype.kind not in "biuf":
            raise _wrong(file, f"`{name}` must hold numbers, not {array.dtype}")
        if not np.isfinite(array).all():
            raise _wrong(file, f"`{name}` holds numbers that are not finite")
        if sum(array.size for array in arrays.values()) * 4 > LARGEST:
            raise _wrong(file, f"holds more than {LARGEST >> 20} MiB of numbers")
    inputs, targets = arrays["inputs"], arrays["targets"]
    whole = inputs.dtype.kind in "biu"
    if inputs.ndim != (2 if whole else 3) and not (whole and inputs.ndim == 3):
        raise _wrong(
            file,
            f"`inputs` must be (N, T) whole numbers or (N, T, F) numbers, not {inputs.shape} of"
            f" {inputs.dtype}",
        )
    count, steps = inputs.shape[:2]
    if count < 2 or steps < 2 or inputs.size == 0:
        raise _wrong(
            file, f"`inputs` has shape {inputs.shape}; it must have at least 2 sequences of at least 2 steps"
        )
    if targets.shape[:1] != (count,):
        raise _wrong(file, f"`targets` has shape {targets.shape}, for {count} sequences")
    every = targets.ndim > 1 and targets.shape[1] == steps
    if targets.size == 0 or targets.ndim > (3 if every else 2):
        raise _wrong(
            file,
            f"`targets` has shape {targets.shape}; it must be ({count},), ({count}, O), or the same at each"
            f" of {steps} steps",
        )
    classes = None
    if targets.dtype.kind in "biu":
        if targets.ndim != (2 if every else 1):
            raise _wrong(
                file, f"`targets` has shape {targets.shape}; classes, whole numbers, are one an answer"
            )
        if targets.min() < 0 or targets.max() < 1:
            raise _wrong(file, "`targets` must be classes from 0, of which there are at least two")
        classes = int(targets.max()) + 1
    symbols = None
    if whole and inputs.ndim == 2:
        if inputs.min() < 0:
            raise _wrong(file, "`inputs` has symbols below 0")
        symbols = int(inputs.max()) + 1
    if (symbols or 0) > 4096 or (classes or 0) > 4096:
        raise _wrong(file, "has symbols or classes above 4,095; number them from 0 without gaps")
    due = _due(file, arrays, every, count, steps)
    lengths = arrays.get("lengths")
    inputs = inputs.astype(np.int32 if symbols else np.float32)
    if lengths is not None:
        if (
            lengths.shape != (count,)
            or lengths.dtype.kind not in "iu"
            or lengths.min() < 1
            or lengths.max() > steps
        ):
            raise _wrong(file, f"`lengths` must be ({count},) whole numbers from 1 to {steps}")
        inputs = _at_the_end(inputs, lengths, symbols or 0)
        if due is not None:
            targets, due = _at_the_end(targets, lengths, 0), _at_the_end(due, lengths, False)
    if due is not None and not due[:, -1].all():
        raise _wrong(file, "`mask` must ask for an answer at the last step of every sequence")
    return Sequences(
        inputs, targets.astype(np.int32 if classes else np.float32), due, symbols, classes, digest
    )


def _due(file: str, arrays: dict[str, np.ndarray], every: bool, count: int, steps: int) -> np.ndarray | None:
    mask = arrays.get("mask")
    if mask is None:
        return np.ones((count, steps), bool) if every else None
    if not every or mask.shape != (count, steps):
        raise _wrong(file, f"`mask` must be ({count}, {steps}), beside targets at every step")
    return mask.astype(bool)


def _at_the_end(array: np.ndarray, lengths: np.ndarray, blank: Any) -> np.ndarray:
    """The first `lengths` steps of each sequence, moved to the end."""
    moved = np.full_like(array, blank)
    for place, length in enumerate(lengths):
        moved[place, array.shape[1] - length :] = array[place, :length]
    return moved


def _example() -> Sequences:
    """512 sequences of 256 symbols: the one 11 steps before the last is 0 or 1, which is the class; the
    others are 2 to 5."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(2, 6, (512, 256)).astype(np.int32)
    inputs[:, -12] = rng.integers(0, 2, 512)
    return Sequences(inputs, inputs[:, -12].copy(), None, 6, 2, "")

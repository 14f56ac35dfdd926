"""The weights of a study's members: an npz file per shard of rows, with arrays under
KEY/path/of/array."""

import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from memcap.config.knobs import UserError
from memcap.store import files
from memcap.store.files import BadFileError, State, state_of

T = TypeVar("T")
# states of files whose digest was right, as members of one file are often read one by one
_sound: set[State] = set()


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Return a nested dict as {"outer/inner": array}."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        place = f"{prefix}{name}"
        arrays |= (
            flat(value, f"{place}/")
            if isinstance(value, dict)
            else {place: np.asarray(value)}
        )
    return arrays


def nested(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Invert `flat`."""
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *outer, last = path.split("/")
        node = tree
        for name in outer:
            node = node.setdefault(name, {})
        node[last] = array
    return tree


def write_weights(path: Path, weights: dict[str, dict[str, Any]]) -> None:
    """Write the nested weights of members by key, whole or not at all, with a digest."""
    write_sealed(path, flat(weights))


def write_sealed(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file of memcap's own, whole or not at all, with a digest."""

    def fill(file: IO[bytes]) -> None:
        np.savez(file, allow_pickle=False, **arrays)
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = files.DIGEST_PLACEHOLDER

    files.write(path, fill)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file for another library, whole or not at all.

    Raises:
        UserError: its name does not end in .npz, or it cannot be written.
    """
    if path.suffix != ".npz":
        raise UserError(f"{path}: must end in .npz")
    with files.output_of(path):
        files.write(
            path,
            lambda file: np.savez(file, allow_pickle=False, **arrays),
            with_digest=False,
        )


def weights_of(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Return the nested weights of one row's member; refuse a folder without them, or a
    bad file."""
    key = row["key"]
    population = row["population"]
    bad = ""
    for path in folder.rglob("weights/*.npz"):
        if (
            path.stem != population
        ):  # it may contain any characters, also those of patterns
            continue
        try:
            if arrays := read_weights(path, key):
                return nested(arrays)
        except BadFileError as error:
            bad = f"{path}: {error}"
    if bad:
        raise UserError(
            f"{bad}; to have the weights of member {key}, train it again in another folder"
            " (out=FOLDER)"
        )
    raise UserError(
        f"{folder}: holds no weights of member {key} (weights/{population}.npz)"
    )


def read_weights(path: Path, key: str) -> dict[str, np.ndarray]:
    """Read a member's arrays by path, as `flat` returns them, empty if there are none;
    see `read_sealed`."""
    prefix = f"{key}/"
    return read_sealed(
        path,
        lambda stored: {
            n.removeprefix(prefix): stored[n]
            for n in stored.files
            if n.startswith(prefix)
        },
    )


def sizes(path: Path) -> dict[str, int]:
    """Count the real numbers of each member in a file, by key; a complex number counts
    as two. All arrays are read. Errors are those of `read_sealed`."""

    def count(stored: Any) -> dict[str, int]:
        numbers: dict[str, int] = {}
        for name in stored.files:
            array = stored[name]
            key = name.partition("/")[0]
            numbers[key] = numbers.get(key, 0) + array.size * (
                2 if np.iscomplexobj(array) else 1
            )
        return numbers

    return read_sealed(path, count)


def read_sealed(path: Path, take: Callable[[Any], T]) -> T:
    """Return what `take` returns for the open archive; raise BadFileError if the file
    is damaged, cannot be read, or lacks what `take` expects."""
    with files.reading("a readable npz file"):
        state = state_of(path)
        with files.open_regular(path) as file:
            if state not in _sound:
                files.check(file)
                _sound.add(state)
            _check_size(file)
            with np.load(file, allow_pickle=False) as stored:
                return take(stored)


def _check_size(file: IO[bytes]) -> None:
    """Check the headers of an open archive: memcap does not compress, so arrays cannot
    have more bytes than the file.

    Raises:
        BadFileError: they have more.
        Exception: it is not an archive of arrays.
    """
    size = file.seek(0, os.SEEK_END)
    heads = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    total = 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            total += info.file_size
            if total <= size:
                with archive.open(info) as member:
                    shape, _, dtype = heads[np.lib.format.read_magic(member)](member)
            if total > size or math.prod(shape) * dtype.itemsize > info.file_size:
                raise BadFileError(
                    f"its {size:,} bytes claim to hold more; memcap packs nothing"
                )
    file.seek(0)

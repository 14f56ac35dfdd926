"""The weights of a study's members: an npz file per shard of rows, with arrays under
KEY/path/of/array."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from memcap.config.member import member_of
from memcap.knobs import UserError
from memcap.store import files
from memcap.store.files import BadFileError

T = TypeVar("T")
MEND = "to have the weights of member {}, train it again in another folder (out=FOLDER)"


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Return a nested dict as {"outer/inner": array}."""
    arrays: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            arrays |= flat(value, f"{path}/")
        else:
            arrays[path] = np.asarray(value)
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
    """Write the nested weights of members by key, whole or not at all."""
    write_npz(path, flat(weights))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file, whole or not at all."""
    files.write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file for another library, whole or not at all.

    Raises:
        UserError: its name does not end in .npz, or it cannot be written.
    """
    if path.suffix != ".npz":
        raise UserError(f"{path}: must end in .npz")
    with files.output_of(path):
        save = partial(np.savez_compressed, allow_pickle=False, **arrays)
        files.write(path, save)


def read_npz(path: Path, take: Callable[[Any], T]) -> T:
    """Return what `take` returns for the open archive; raise BadFileError if the file
    is damaged, cannot be read, or lacks what `take` expects."""
    with (
        files.reading("a readable npz file"),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as npz,
    ):
        return take(npz)


def read_weights(path: Path) -> dict[str, Any]:
    """Read the nested weights of all members in a file, by key. Errors are those of
    `read_npz`."""
    return read_npz(path, lambda npz: nested(dict(npz)))


def _of_member(npz: Any, key: str) -> dict[str, Any]:
    """Return the nested weights of a member in an open archive; none if it has none."""
    names = [name for name in npz.files if name.startswith(f"{key}/")]
    return nested({name: npz[name] for name in names}).get(key, {})


def weights_of(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Return the nested weights of one row's member; refuse a folder without them, or a
    bad file."""
    key = row["key"]
    name = f"{row['population']}.npz"
    wrong = f"{folder}: holds no weights of member {key} (weights/{name})"
    for path in folder.rglob("weights/*.npz"):
        if path.name != name:  # it may contain any characters, also those of patterns
            continue
        try:
            weights = read_npz(path, partial(_of_member, key=key))
            if weights:
                return weights
        except BadFileError as error:
            wrong = f"{path}: {error}; {MEND.format(key)}"
    raise UserError(wrong)


def sound_weights_of(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Return weights as `weights_of` does; refuse those of another net, too."""
    weights = weights_of(folder, row)
    try:
        check_weights(row, weights)
    except BadFileError as error:
        name = f"weights/{row['population']}.npz"
        raise UserError(
            f"{folder}: {name}: {error}; {MEND.format(row['key'])}"
        ) from error
    return weights


def check_weights(row: dict[str, Any], weights: dict[str, Any]) -> None:
    """Raise BadFileError if weights are not those of the row's net, in all arrays,
    shapes and types, or not finite."""
    member = member_of(json.loads(row["config"]))
    try:
        member.architecture.check(weights)
    except ValueError as error:
        raise BadFileError(f"member {row['key']}: {error}") from error

"""Files of a study: written whole or not at all, and on the disk before they have
names.

Tables are STEM.DIGEST.parquet; one with another digest is not parsed. Weights are npz
files with arrays under KEY/path/of/array.
"""

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import polars as pl

from memcap.config.member import member_of
from memcap.knobs import UserError
from memcap.models.model import Params
from memcap.runtime import signals
from memcap.store.columns import Row

DRAFT = re.compile(r"\..+\.(parquet|npz|json|png|pdf|csv)\.[0-9a-f]{8}")
# Seconds; a younger file may be one that another job, perhaps of another host, writes.
STALE_AFTER = 600.0
SEALED = re.compile(r"(.+?)(?:\.([0-9a-f]{16}))?\.parquet")
SCHEMA_VERSION = "1"  # raised if a column is removed or changes its meaning
MEND = "to have the weights of member {}, train it again in another folder (out=FOLDER)"

T = TypeVar("T")
State = tuple[Path, int, int, int]  # of a file, which changes when the file does


class BadFileError(Exception):
    """A file that is damaged or not of the expected kind; the message does not name
    it."""


@contextlib.contextmanager
def reading(kind: str) -> Generator[None]:
    """Turn every error in reading a file of some `kind` into a BadFileError."""
    try:
        yield
    except BadFileError:
        raise
    except OSError as error:
        raise BadFileError(f"cannot be read ({error.strerror or error})") from error
    # Rust may panic on a file without a digest; NumPy may raise nearly anything.
    except (Exception, pl.exceptions.PanicException) as error:
        raise BadFileError(f"not {kind}") from error


def read_all(
    paths: Iterable[Path], read: Callable[[Path], T]
) -> tuple[dict[Path, T], dict[Path, BadFileError]]:
    """Read files; return the sound ones, and the faults of the others, without those
    that their job has removed."""
    sound = {}
    bad = {}
    for path in paths:
        try:
            sound[path] = read(path)
        except BadFileError as error:
            if os.path.lexists(path):
                bad[path] = error
    return sound, bad


def state_of(path: Path) -> State:
    with reading("a file"):
        status = path.stat()
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def read_table(path: Path, kind: str, columns: list[str] | None = None) -> pl.DataFrame:
    """Read a Parquet file, or some of its columns, if its digest is right. If it has
    just been replaced by one of the same stem, read that.

    Raises:
        BadFileError: it is damaged, or not of this kind.
    """
    with reading(kind):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            later = of_stem(path)
            if not later:
                raise
            return read_table(later[0], kind, columns)
        if digest_of(path) not in (None, _digest(content)):
            raise BadFileError("damaged: its bytes are not those of its digest")
        there = pl.read_parquet_schema(content)  # an older table lacks later columns
        present = [name for name in columns or there if name in there]
        return pl.read_parquet(content, columns=present)


def stem(path: Path) -> str:
    """Return the name of a table without digest and ending."""
    match = SEALED.fullmatch(path.name)
    return match[1] if match else path.stem


def digest_of(path: Path) -> str | None:
    match = SEALED.fullmatch(path.name)
    return match[2] if match else None


def write_table(path: Path, table: pl.DataFrame) -> None:
    content = parquet(table)
    write(path, lambda file: file.write(content))


def write_sealed(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file with its digest in its name; then remove older files of its
    stem. Readers survive both of them, and neither."""
    content = parquet(table)
    sealed = path.with_name(f"{path.stem}.{_digest(content)}.parquet")
    write(sealed, lambda file: file.write(content))
    for other in of_stem(path):
        if other != sealed:
            other.unlink(missing_ok=True)


def of_stem(path: Path) -> list[Path]:
    name = stem(path)
    likely = path.parent.glob(f"{glob.escape(name)}*.parquet")
    return [other for other in likely if stem(other) == name]


def parquet(table: pl.DataFrame) -> bytes:
    content = BytesIO()  # polars itself would raise errors of its own on a full disk
    table.write_parquet(content, metadata={"memcap_schema": SCHEMA_VERSION})
    return content.getvalue()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def write(path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Write a file whole or not at all, by `fill`; return once it is on the disk.

    Raises:
        OSError: it cannot be written; an older file is unchanged. A device or a FIFO
            is never replaced.
    """
    if path.is_dir() or not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with signals.saving():
        _write(path, fill, sync=True)


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, without waiting for the disk."""
    _write(path, lambda file: file.write(content), sync=False)


def _write(path: Path, fill: Callable[[IO[bytes]], Any], sync: bool) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            fill(file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def output_of(path: Path, mend: str = "choose another file with -o") -> Generator[None]:
    """Turn errors in writing a file of the user's into a UserError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{path}: cannot be written ({why}); {mend}") from error


def stale_files(folder: Path) -> list[Path]:
    """Find the regular files in a folder that nobody can still be writing; follow no
    link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [
        path
        for path in folder.iterdir()
        if path.is_file()
        and not path.is_symlink()
        and time.time() - path.stat().st_mtime >= STALE_AFTER
    ]


def write_weights(path: Path, weights: dict[str, Params]) -> None:
    from flax.traverse_util import flatten_dict

    write_npz(path, flatten_dict(weights, sep="/"))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file for another library.

    Raises:
        UserError: its name does not end in .npz, or it cannot be written.
    """
    if path.suffix != ".npz":
        raise UserError(f"{path}: must end in .npz")
    with output_of(path):
        save = partial(np.savez_compressed, allow_pickle=False, **arrays)
        write(path, save)


def read_npz(path: Path, take: Callable[[Any], T], most: int | None = None) -> T:
    """Return what `take` returns for the open archive. Raise BadFileError if the file
    is bad, or before unpacking if its arrays would take more than `most` bytes as
    float32."""
    with (
        reading("a readable npz file"),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as npz,
    ):
        if most is not None and _bytes(npz.zip) > most:
            raise BadFileError(f"holds more than {most >> 20} MiB of numbers")
        return take(npz)


def _bytes(archive: Any) -> int:
    """Count the bytes of the arrays in an open zip file, by their headers."""
    total = 0
    for name in archive.namelist():
        with archive.open(name) as part:
            np.lib.format.read_magic(part)
            shape, _, dtype = np.lib.format.read_array_header_1_0(part)
            size = dtype.itemsize
            total += math.prod(shape) * (size if size > 8 else 4)
    return total


def read_weights(path: Path) -> Params:
    """Read the nested weights of all members in a file, by key."""
    return read_npz(path, lambda npz: _nested(dict(npz)))


def _nested(arrays: dict[str, np.ndarray]) -> Params:
    from flax.traverse_util import unflatten_dict

    return unflatten_dict(arrays, sep="/")


def _of_member(npz: Any, key: str) -> Params:
    names = [name for name in npz.files if name.startswith(f"{key}/")]
    return _nested({name: npz[name] for name in names}).get(key, {})


def weights_of(folder: Path, row: Row) -> Params:
    """Return the nested weights of a row's member; refuse a bad or missing file."""
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


def sound_weights_of(folder: Path, row: Row) -> Params:
    """Return `weights_of`; refuse those of another net, too."""
    weights = weights_of(folder, row)
    try:
        check_weights(row, weights)
    except BadFileError as error:
        name = f"weights/{row['population']}.npz"
        raise UserError(
            f"{folder}: {name}: {error}; {MEND.format(row['key'])}"
        ) from error
    return weights


def check_weights(row: Row, weights: Params) -> None:
    """Raise BadFileError unless weights are finite and have the arrays, shapes and
    types of the row's net."""
    member = member_of(json.loads(row["config"]))
    try:
        member.architecture.check(weights)
    except ValueError as error:
        raise BadFileError(f"member {row['key']}: {error}") from error

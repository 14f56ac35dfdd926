"""Files that are written whole or not at all, reach the disk before a call returns, and
carry a digest of their own bytes.

The digest stands inside the file, where its format has room for text: 64 hexadecimal
digits after `MARK`, the SHA-256 of all bytes of the file with zeros in these 64 places.
So a file cannot lose its digest, and other programs can still read it.

Writers share a folder's lock (`flock`) while they write. So a process that holds the
lock exclusively knows which files a killed process has left unfinished.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Generator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import polars as pl

from memcap.config.knobs import UserError
from memcap.runtime import signals
from memcap.terminal.words import warn_once

MARK = b"memcap sha256 "
NO_DIGITS = b"0" * 64
DIGEST_PLACEHOLDER = (
    MARK + NO_DIGITS
)  # writers put this into a file, and `write` fills it in
# the mark is within this many last bytes: in the footer of Parquet, in the comment of a zip archive
TAIL = 1 << 16
CHUNK = 1 << 20
# seconds; another host may still be writing a younger file, as not every file system
# shares locks between hosts
STALE_AFTER = 60.0
# seconds to wait for an exclusive lock, which memcap itself holds for some milliseconds
PATIENCE = 10.0
_impatient: set[Path] = set()  # folders whose lock was waited for in vain
State = tuple[Path, int, int, int]  # state of a file, which changes when the file does
# names that `write` gives, and `replace` to heartbeats and to reports of mirrors
UNFINISHED = re.compile(
    r"\..+\.(parquet|npz)\.[0-9a-f]{8}|\.[0-9a-f]{16}(\.mirror)?\.json"
)


class BadFileError(Exception):
    """A file that is damaged or not of the expected kind. The message says why, without
    the file's name."""


@contextlib.contextmanager
def reading(kind: str) -> Generator[None]:
    """Turn every error in reading a file into a BadFileError; `kind` says what the file
    should be."""
    try:
        yield
    except BadFileError:
        raise
    except OSError as error:
        raise BadFileError(f"cannot be read ({error.strerror or error})") from error
    # Rust may panic on a file without a digest; zipfile and NumPy may raise nearly anything.
    except (Exception, pl.exceptions.PanicException) as error:
        raise BadFileError(f"not {kind}") from error


def open_regular(path: Path) -> IO[bytes]:
    """Open a file to read it.

    Raises:
        BadFileError: a FIFO or the like, which could block for ever.
        OSError: it cannot be opened, or is a folder.
    """
    file = open(  # noqa: SIM115, as the caller closes it
        path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)
    )
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise BadFileError("not a regular file")
    return file


def content(path: Path) -> tuple[BytesIO, bool]:
    """Read the bytes of a file, and check them. Also return whether they have a digest.

    Raises:
        BadFileError: they are damaged, or it is not a regular file.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        content = BytesIO(file.read())
    return content, check(content)


def state_of(path: Path) -> State:
    """Return the state of a file; raise BadFileError if it cannot be read."""
    with reading("a file"):
        status = path.stat()
    return path, status.st_ino, status.st_mtime_ns, status.st_size


def write(
    path: Path, fill: Callable[[IO[bytes]], Any], with_digest: bool = True
) -> None:
    """Write a file whole or not at all; it is on disk, with its name, when this returns.

    `fill` writes the content into the open file, with `DIGEST_PLACEHOLDER` near its end if it is
    `with_digest`.

    Raises:
        OSError: it cannot be written; an older file is unchanged. A device or a FIFO is
            never replaced.
    """
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with signals.saving(), shared_lock(path.parent):
        try:
            with unfinished.open("x+b") as file:
                fill(file)
                if with_digest:
                    _write_digest(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    _sync(path.parent)


@contextlib.contextmanager
def output_of(path: Path, mend: str = "choose another file with -o") -> Generator[None]:
    """Turn errors in writing a file that the user asked for into a UserError, which
    says how to `mend` it."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{path}: cannot be written ({why}); {mend}") from error


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, without a digest, and without waiting for the disk."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


@contextlib.contextmanager
def shared_lock(folder: Path) -> Generator[None]:
    """Hold a shared lock of a folder within the context, so that nobody can lock it
    exclusively. On a file system without locks nobody can anyway.

    A process that holds it exclusively for longer than `PATIENCE` is not memcap
    cleaning up: it is named, and the file is written without the lock, which writing a
    file whole does not need.
    """
    with _opened(folder) as descriptor:
        _share(descriptor, folder)
        yield


@contextlib.contextmanager
def exclusive_lock(folder: Path) -> Generator[bool]:
    """Lock a folder exclusively within the context; yield false if somebody is writing,
    or without locks."""
    with _opened(folder) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def _opened(folder: Path) -> Generator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _share(descriptor: int, folder: Path) -> None:
    """Take a folder's shared lock as soon as it is free; go on without it after a
    while, or at a signal."""
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - began
        except OSError:  # a file system without locks
            return
        else:
            _impatient.discard(folder)
            return
        if waited > PATIENCE / 10:
            holder = _holder(os.fstat(descriptor))
            warn_once(
                f"{folder}: locked by {holder}; waits, and writes without it in {PATIENCE:g}"
                " seconds"
            )
        if waited > PATIENCE or folder in _impatient or signals.pending():
            _impatient.add(folder)
            return
        time.sleep(0.01)


def _holder(status: os.stat_result) -> str:
    """Name the process that has locked a file or folder, if Linux tells."""
    device = (
        f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    )
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if device in words and "WRITE" in words:
                process = words[words.index(device) - 1]
                return f"process {process} ({Path('/proc', process, 'comm').read_text().strip()})"
    return "another process"


def remove_unfinished(folder: Path) -> None:
    """Remove the files that `write` and `replace` had no time to finish or to remove."""
    with exclusive_lock(folder) as nobody_writes:
        for path in folder.iterdir() if nobody_writes else ():
            if UNFINISHED.fullmatch(path.name) and is_stale(path):
                path.unlink(missing_ok=True)


def is_stale(path: Path) -> bool:
    """Return whether nobody can still be writing a file."""
    return time.time() - path.stat().st_mtime >= STALE_AFTER


def make_folder(path: Path) -> None:
    """Make a folder and its parents, and sync their names to disk."""
    new = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in new:
        _sync(each.parent)


def has_digest(file: IO[bytes]) -> bool:
    """Return whether an open file has a digest, right or wrong. Files written by memcap
    0.1 have none."""
    return _place(file) is not None


def check(file: IO[bytes]) -> bool:
    """Compare an open file with its digest; raise BadFileError if it differs. Return
    whether it has one."""
    place = _place(file)
    if place is None:
        return False
    file.seek(place)
    if file.read(len(NO_DIGITS)) != _digits(file, place):
        raise BadFileError(
            "damaged: its bytes are not those that were written (sha256)"
        )
    file.seek(0)
    return True


def _write_digest(file: IO[bytes]) -> None:
    file.flush()
    place = _place(file)
    assert place is not None, "nowhere to put the digest"
    digits = _digits(file, place)
    file.seek(place)
    file.write(digits)


def _place(file: IO[bytes]) -> int | None:
    """Return the position of the digits; None without a mark. Leave the file at its start."""
    start = max(0, file.seek(0, os.SEEK_END) - TAIL)
    file.seek(start)
    mark = file.read().rfind(MARK)
    file.seek(0)
    return None if mark < 0 else start + mark + len(MARK)


def _digits(file: IO[bytes], place: int) -> bytes:
    """Compute the SHA-256 of a file, maybe larger than memory, with zeros in place of
    its digits."""
    digest = hashlib.sha256()
    file.seek(0)
    remaining = place
    while remaining:
        chunk = file.read(min(remaining, CHUNK))
        digest.update(chunk)
        remaining -= len(chunk)
    digest.update(NO_DIGITS)
    file.seek(place + len(NO_DIGITS))
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest().encode()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)

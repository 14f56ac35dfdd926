"""The cache folder, $XDG_CACHE_HOME/memcap or ~/.cache/memcap, from which code is
loaded.

If another user owns or may write it, this process and its children use a private one.
"""

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from memcap.terminal.words import warn_once

PRIVATE_VARIABLE = (
    "MEMCAP_PRIVATE_CACHE"  # set if other users may write the usual cache
)


def folder() -> Path:
    """Return the folder; for a user without a home, one that cannot be made."""
    usual = Path(os.environ.get(PRIVATE_VARIABLE) or _usual_folder())
    places = (usual, *(usual / part for part in ("native", "xla")))
    why = next(filter(None, map(not_ours, places)), None)
    return usual if why is None else _private_folder(why)


def _usual_folder() -> Path:
    if own := os.environ.get("XDG_CACHE_HOME"):
        return Path(own) / "memcap"
    try:
        return Path.home() / ".cache" / "memcap"
    except RuntimeError:
        return Path(os.devnull) / "memcap"


def not_ours(path: Path) -> str | None:
    """Say why a path may hold another user's code, or return None."""
    try:
        status = path.stat()
    except OSError:
        return None
    if status.st_uid != os.geteuid():
        return f"{path}: belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path}: other users may write it"
    return None


def is_others(status: os.stat_result) -> bool:
    """Return whether another user wrote a file in our folder, or could have.

    A link is nobody's, and group write permission does not count: the folder keeps the
    group out.
    """
    return status.st_uid != os.geteuid() or bool(status.st_mode & stat.S_IWOTH)


def _private_folder(why: str) -> Path:
    private = tempfile.mkdtemp(prefix="memcap-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    os.environ[PRIVATE_VARIABLE] = private
    warn_once(
        f"{why}, so no code from there is run, and nothing is cached beyond this command; remove"
        " it, or set XDG_CACHE_HOME to a folder of your own"
    )
    return Path(private)


def make(place: Path) -> None:
    """Make a folder of the cache, which nobody else may write, whatever the umask."""
    for each in dict.fromkeys((folder(), place)):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.mkdir(mode=0o700, exist_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all; without it, it is made again."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        make(path.parent)
        try:
            draft.write_bytes(content)
            draft.chmod(0o600)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)

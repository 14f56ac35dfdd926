"""Shards: the files of rows of a study, written whole or not at all, and the weights
beside them. Needs no JAX.

    DIR/rows/PROGRAM-TOKEN-N.parquet    rows of one program's members in one job,
                                        rewritten whole as they end
    DIR/weights/PROGRAM-TOKEN-N.npz     its members' weights, under KEY/path/of/array
    DIR/curves/PROGRAM-TOKEN-N.parquet  their curves (curves.py)
    DIR/rows.parquet                    all shards folded into one, by `memcap collect`
    DIR/jobs/TOKEN.*                    the job's heartbeat and list of members (heartbeat.py)
    DIR/checkpoints/TOKEN.npz           members in training (checkpoints.py), if there are any

PROGRAM has 16 hexadecimal digits. TOKEN has 8 digits for the session, which all jobs of
one command share, and 8 for the job, so two jobs in one folder never write the same
file; before memcap 0.2 it had only the latter.

A member's key is the hash of its whole config and seed, so a rerun replaces its row and
never adds one. Each file carries a digest of its bytes (files.py), and each row's key
is compared with its config. A file that fails one of these checks is named, left where
it is and skipped, so a rerun trains again, into new files, the members that only this
file had.
"""

import contextlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from memcap.config.knobs import UserError
from memcap.store import files, parquet
from memcap.store.files import BadFileError, State
from memcap.store.published import is_published, rows_files
from memcap.store.row_checks import BadRowsError, check_rows
from memcap.store.rows import COUNTED, RESULTS, complete, frame, one_per_key, stack
from memcap.store.weights import write_weights
from memcap.terminal.words import warn_once

OUTPUTS = Path("outputs")  # where studies are by default
SESSION_DIGITS = 8  # in a token; the job has as many
NAME = re.compile(r"[0-9a-f]{16}-(?:[0-9a-f]{8}){1,2}-\d+")  # a shard that a job wrote
UNFINISHED_FIGURE = re.compile(
    r"\.\w+\.[a-z0-9_]{8}"
)  # a folder in which `figures.save` writes first

# in the metadata of tables: raised if a column is removed or changes its meaning
SCHEMA_VERSION = "1"
TABLE = "a readable table of rows"
TOGETHER = 256  # files read at once
MOST_TABLES = 1 << 15  # tables kept in memory
_sound: set[State] = set()  # files whose rows this process has checked


class Table(NamedTuple):
    """The rows of one file, whether a digest vouches for its bytes, and whether it has
    all results."""

    rows: pl.DataFrame
    has_digest: bool
    whole: bool = True


_tables: dict[State, Table] = {}  # by the files that this process has read


def new_session() -> str:
    """Draw the 8 hexadecimal digits with which the tokens of all jobs of a command begin."""
    return secrets.token_hex(SESSION_DIGITS // 2)


def new_token(session: str = "") -> str:
    """Draw 16 hexadecimal digits, with those of the session first, for the files of one
    run of a job."""
    return (session or new_session()) + secrets.token_hex(SESSION_DIGITS // 2)


def session_of(name: str) -> str:
    """Return the session of a token or a shard's name; "" if memcap 0.1, or no job,
    made the name."""
    token = token_of(name) or name
    return token[:SESSION_DIGITS] if len(token) == 2 * SESSION_DIGITS else ""


def token_of(name: str) -> str:
    """Return the token of the job that wrote a shard, from the shard's name; "" if no
    job made the name."""
    return name.split("-")[1] if NAME.fullmatch(name) else ""


def shard_name(program: str, token: str, number: int) -> str:
    """Return the stem of a shard's files."""
    return f"{program}-{token}-{number}"


def check_study(name: str) -> None:
    """Raise UserError if a study's name would lead to another folder."""
    if name in (".", "..") or set(name) & {"/", "\\", "\0"}:
        raise UserError(
            f"study={name}: must be a name, without / and \\; for another folder set out (in"
            " Python: folder)"
        )


def prepare(folder: Path) -> None:
    """Make the folder, refuse one that cannot be written, and remove the files that
    killed jobs left."""
    try:
        for part in ("rows", "weights"):
            files.make_folder(folder / part)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"out={folder}: cannot be written ({error.strerror or error}); set out to another"
            " folder"
        ) from error
    remove_stale_files(folder)


def write(
    folder: Path,
    name: str,
    rows: Sequence[dict[str, Any]],
    weights: dict[str, dict[str, Any]],
) -> None:
    """Write a shard's weights, then its rows: a row that exists has its weights."""
    with files.shared_lock(
        folder / "weights"
    ):  # so that nobody takes the weights for orphans
        write_weights(folder / "weights" / f"{name}.npz", weights)
        write_table(folder / "rows" / f"{name}.parquet", frame(rows))


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write one Parquet file, whole or not at all, with a digest."""
    content = (
        BytesIO()
    )  # polars itself would raise errors of its own if the disk is full
    metadata = {
        "memcap_schema": SCHEMA_VERSION,
        "memcap": files.DIGEST_PLACEHOLDER.decode(),
    }
    table.write_parquet(content, metadata=metadata)
    files.write(path, lambda file: file.write(content.getbuffer()))


def no_rows(folder: Path) -> UserError:
    """Return the error for a place without rows."""
    return UserError(
        f"{folder}: holds no rows; train a study first, as in: memcap train sweeps=first_study"
    )


def paths(folder: Path, below: bool = True) -> list[Path]:
    """Find all files of rows in a study's folder and, unless `below` is false, in the
    folders below it: folded files, then shards. The path of a file is returned as it
    is."""
    if is_published(folder):
        return rows_files(str(folder))
    if folder.is_file():
        return [folder]
    search = folder.rglob if below else folder.glob
    folded = search("rows.parquet")
    parts = search("rows/*.parquet")
    return [
        *sorted(folded),
        *sorted(parts, key=attrgetter("parts")),
    ]  # much faster than comparing the paths


def read(folder: Path, strict: bool = False) -> pl.DataFrame:
    """Read all rows at or below a folder, one per key (`memcap.store.rows.PREFERENCE`).
    They include rows of tasks and cells that cannot be imported, which
    `memcap.store.read` leaves out.

    Args:
        folder: folder of a study or of several, or one Parquet file; or a name of
            `memcap.store.published`, such as `atlas`.
        strict: refuse a bad file; otherwise refuse only `folder` itself, and name others on stderr.
    """
    tables, bad = read_files(folder)
    for path, why in bad.items():
        if path == folder:
            raise UserError(
                f"{path}: {why}; give the folder of a study, or its rows.parquet"
            )
        if strict:
            raise UserError(f"{path}: {why}; without --strict the other files are read")
        warn_once(
            f"{path}: {why}; skipped; rerun the study to retrain what only it held"
        )
    return one_per_key([table.rows for table in tables.values()])


def read_files(
    folder: Path, below: bool = True, whole: bool = True
) -> tuple[dict[Path, Table], dict[Path, BadFileError]]:
    """Read all files of rows, those of `paths`; return the tables of the sound files,
    and the errors of the bad ones. Raise UserError if the folder does not exist. Unless
    `whole`, the results of `ORIGIN` may be null, which is faster."""
    if not (rows_files(str(folder)) if is_published(folder) else folder.exists()):
        raise UserError(
            f"{folder}: no such folder or file; train a study first, as in: memcap train"
            " sweeps=first_study"
        )
    states: list[State] = []
    bad: dict[Path, BadFileError] = {}
    for path in paths(folder, below):
        try:
            states.append(files.state_of(path))
        except BadFileError as error:
            bad[path] = error
    new = [
        state
        for state in states
        if state not in _tables or (whole and not _tables[state].whole)
    ]
    if len(_tables) + len(new) > MOST_TABLES:
        _tables.clear()
        new = states
    some = [new[first : first + TOGETHER] for first in range(0, len(new), TOGETHER)]
    with ThreadPoolExecutor(
        2
    ) as pool:  # polars unpacks one lot while the headers of the next are checked
        for damaged in pool.map(partial(_read_together, whole=whole), some):
            bad |= damaged
    tables = {state: _tables[state] for state in states if state[0] not in bad}
    bad |= _check(
        {state: table for state, table in tables.items() if state not in _sound}
    )
    return {path: table for (path, *_), table in tables.items() if path not in bad}, bad


def _read_together(states: Sequence[State], whole: bool) -> dict[Path, BadFileError]:
    """Read some files into `_tables`; return the errors of those that cannot be read."""
    bad: dict[Path, BadFileError] = {}
    results = frozenset(RESULTS if whole else COUNTED)
    alike: dict[
        tuple[str, ...], list[tuple[State, BytesIO, bool, int]]
    ] = {}  # by their columns
    for state in states:
        try:
            with files.reading(TABLE):
                content, has_digest = files.content(state[0])
                names, rows = parquet.check_size(
                    content.getvalue(), results, len(states)
                )
        except BadFileError as error:
            bad[state[0]] = error
        else:
            alike.setdefault(tuple(names), []).append(
                (state, content, has_digest, rows)
            )
    for names, group in alike.items():
        columns = [name for name in names if name in results]
        try:
            table = complete(
                parquet.read_together([content for _, content, _, _ in group], columns),
                names,
            )
        except (
            Exception,
            pl.exceptions.PanicException,
        ):  # one file is bad; reading each alone finds it
            for state, *_ in group:
                try:
                    _tables[state] = _table(state[0])
                except BadFileError as error:
                    bad[state[0]] = error
            continue
        first = 0
        for state, _, has_digest, rows in group:
            _tables[state] = Table(table.slice(first, rows), has_digest, whole)
            first += rows
    return bad


def _check(tables: dict[State, Table]) -> dict[Path, BadFileError]:
    """Return the errors in the rows of some files, checked together first, which takes
    no longer than one."""
    try:
        check_rows(stack([table.rows for table in tables.values()]))
    except BadRowsError:
        bad = {}
        for state, table in tables.items():
            try:
                check_rows(table.rows)
            except BadRowsError as error:
                bad[state[0]] = error
            else:
                _sound.add(state)
        return bad
    _sound.update(tables)
    return {}


def read_file(path: Path) -> pl.DataFrame:
    """Read the rows of one file; raise BadFileError if it is damaged, no table of rows,
    or has rows that do not belong to their members."""
    rows = _table(path).rows
    check_rows(rows)
    return rows


def _table(path: Path) -> Table:
    """Read one file and check its bytes, but not its rows. Errors are those of `read_file`."""
    with files.reading(TABLE):
        content, has_digest = files.content(path)
        there = pl.read_parquet_schema(content)
        columns = [
            name for name in RESULTS if name in there
        ]  # the others follow from the configs
        return Table(complete(parquet.read(content, columns)), has_digest)


def collect(folder: Path, strict: bool = False) -> tuple[Path, pl.DataFrame]:
    """Fold all shards of a study into DIR/rows.parquet. The shards stay; folding again
    gives the same rows. Refuse a folder without rows, a bad rows.parquet, which would
    be overwritten, and what `read` refuses.
    """
    path = folder / "rows.parquet"
    if folder.is_file() or is_published(folder):
        raise UserError(f"{folder}: cannot be written into; give the folder of a study")
    if why := read_files(folder)[1].get(path):
        raise UserError(
            f"{path}: {why}; it would be written over: move it elsewhere, and collect again"
        )
    rows = read(folder, strict)
    if rows.is_empty():
        raise no_rows(folder)
    with files.output_of(path, "give the folder of a study"):
        write_table(path, rows)
    remove_stale_files(folder)
    return path, rows


def remove_stale_files(folder: Path) -> None:
    """Remove what killed jobs left: unfinished files and heartbeats, weights and curves
    without rows, curves of members that no job trains any more, and Hydra's empty
    folders.

    Files stay if another job is writing them, if they are younger than
    `files.STALE_AFTER`, or if they may not be removed.
    """
    for part in (
        folder,
        *(
            folder / name
            for name in ("rows", "weights", "curves", "checkpoints", "jobs")
        ),
    ):
        with contextlib.suppress(OSError):
            files.remove_unfinished(part)
    for remove in (_remove_orphans, _remove_running_curves, _remove_unfinished_figures):
        with contextlib.suppress(OSError):
            remove(folder)
    for path in (*folder.glob("hydra/*/*"), *folder.glob("hydra/*")):
        with contextlib.suppress(OSError):  # not a folder, or not empty
            if not path.samefile("."):
                path.rmdir()


def _remove_orphans(folder: Path) -> None:  # weights and curves without rows
    with files.exclusive_lock(folder / "weights") as nobody_writes:
        if not nobody_writes:
            return
        with_rows = {path.stem for path in (folder / "rows").glob("*.parquet")}
        beside = [
            *(folder / "weights").glob("*.npz"),
            *(folder / "curves").glob("*.parquet"),
        ]
        orphans = [
            path
            for path in beside
            if path.stem not in with_rows and NAME.fullmatch(path.stem)
        ]
        tables, bad = read_files(folder) if orphans else ({}, {})
        folded = {
            name for table in tables.values() for name in table.rows["population"]
        }
        # If a file of rows is bad or was moved away, it may have their rows.
        for path in orphans if folded and not bad else ():
            if path.stem not in folded and files.is_stale(path):
                path.unlink()


def _remove_running_curves(folder: Path) -> None:
    for path in (folder / "curves").glob("*.running.parquet"):
        if files.is_stale(path):
            path.unlink(missing_ok=True)


def _remove_unfinished_figures(folder: Path) -> None:
    with files.exclusive_lock(folder / "figures") as nobody_writes:
        for path in (folder / "figures").iterdir() if nobody_writes else ():
            if UNFINISHED_FIGURE.fullmatch(path.name):
                shutil.rmtree(path)

"""A check that a study's folder is complete: sound files, and the whole weights of each
row's member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap.config.knobs import UserError
from memcap.store import curves, heartbeat, shards
from memcap.store.files import BadFileError, has_digest, is_stale
from memcap.store.published import is_published
from memcap.store.row_checks import BadRowsError
from memcap.store.rows import one_per_key
from memcap.store.weights import read_sealed, sizes
from memcap.studies.checkpoints import states_of

SHOWN_KEYS = 3


@dataclass(frozen=True)
class VerifyReport:
    """The files that were checked, and their faults."""

    rows: int  # one per member
    row_files: int  # number of sound files, as are the next three
    weight_files: int
    curve_files: int
    checkpoint_files: int
    without_digest: (
        int  # number of these without a digest, because memcap 0.1 wrote them
    )
    wrong: tuple[str, ...]  # one line per fault


def verify(folder: Path, rows_only: bool = False) -> VerifyReport:
    """Check every file at or below a folder: digests, keys, the weights of each row,
    curves, checkpoints and heartbeats; or `rows_only`, as a published table has nothing
    else.

    Raises:
        UserError: no such folder, or no files of rows in it; or weights are to be
            checked of published rows.
    """
    if is_published(folder) and not rows_only:
        raise UserError(
            f"{folder}: rows without weights; check them by: memcap verify {folder} --rows-only"
        )
    # before the rows, which are written after them
    tables_of_curves, bad_curves = ({}, {}) if rows_only else curves.read_files(folder)
    tables, bad = shards.read_files(folder)
    if not tables and not bad:
        raise shards.no_rows(folder)
    wrong = [f"{path}: {line}" for path, error in bad.items() for line in _lines(error)]
    rows = one_per_key([table.rows for table in tables.values()])
    without = sum(not table.has_digest for table in tables.values())
    if rows_only:
        return VerifyReport(rows.height, len(tables), 0, 0, 0, without, tuple(wrong))
    numbers_by_file: dict[
        Path, dict[str, int]
    ] = {}  # count of numbers by key, for each file of weights
    for path in sorted(folder.rglob("weights/*.npz")):
        try:
            numbers_by_file[path] = sizes(path)
        except BadFileError as error:
            wrong.append(f"{path}: {error}")
    wrong += _without_weights(rows, numbers_by_file)
    wrong += [f"{path}: {why}" for path, why in bad_curves.items()]
    wrong += (
        [] if bad else _without_rows(rows, tables_of_curves)
    )  # a bad file may have their rows
    half_trained = 0
    for path in sorted(folder.rglob("checkpoints/*.npz")):
        try:
            read_sealed(path, states_of)
            half_trained += 1
        except BadFileError as error:
            if path.exists():  # otherwise its job no longer needs it
                wrong.append(f"{path}: {error}")
    for place in sorted({path.parent.parent for path in folder.rglob("jobs/*.json")}):
        wrong += [
            f"{path}: {why}" for path, why in heartbeat.read_jobs(place).bad.items()
        ]
    without += sum(
        not _has_digest(path) for path in (*numbers_by_file, *tables_of_curves)
    )
    counts = (
        len(tables),
        len(numbers_by_file),
        len(tables_of_curves),
        half_trained,
        without,
    )
    return VerifyReport(rows.height, *counts, tuple(wrong))


def _lines(error: BadFileError) -> list[str]:
    if not isinstance(error, BadRowsError):
        return [str(error)]
    return [f"row {key}: {why}" for key, why in error.rows.items()]


def _has_digest(path: Path) -> bool:
    with path.open("rb") as file:
        return has_digest(file)


def _without_weights(
    rows: pl.DataFrame, numbers_by_file: dict[Path, dict[str, int]]
) -> list[str]:
    """Return a line for each population that lacks weights, and for each member with
    too many or too few."""
    held: dict[tuple[str, str], set[int]] = {}
    for path, numbers in numbers_by_file.items():
        for key, size in numbers.items():
            held.setdefault((path.stem, key), set()).add(size)
    missing: dict[str, list[str]] = {}
    lines = []
    for population, key, parameters in rows.select(
        "population", "key", "parameters"
    ).iter_rows():
        there = held.get((population, key))
        if there is None:
            missing.setdefault(population, []).append(key)
        elif parameters not in there:
            lines.append(
                f"weights/{population}.npz: {min(there)} numbers of member {key}, whose row says"
                f" {parameters}"
            )
    for population, keys in missing.items():
        lines.append(f"weights/{population}.npz: no sound weights of {_some(keys)}")
    return lines


def _without_rows(
    rows: pl.DataFrame, tables_of_curves: Mapping[Path, pl.DataFrame]
) -> list[str]:
    """Return a line for each file with curves of members without rows, unless a job may
    yet write them."""
    lines = []
    for path, table in tables_of_curves.items():
        keys = sorted(set(table["key"]) - set(rows["key"]))
        if keys and is_stale(path):
            lines.append(f"{path}: curves of {_some(keys)}, of which there is no row")
    return lines


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(sorted(keys)[:SHOWN_KEYS]) + more

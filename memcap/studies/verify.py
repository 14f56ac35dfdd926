"""A check of a study's files, rows and weights: the one gate for others' files."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from memcap.knobs import UserError
from memcap.models.model import Params
from memcap.store import curves, shards
from memcap.store.files import (
    BadFileError,
    check_weights,
    read_all,
    read_npz,
    read_table,
    read_weights,
    reading,
)
from memcap.store.row_checks import BadRowsError, check_rows, wrong_copies
from memcap.store.rows import complete, one_per_key, without_failed
from memcap.store.shards import is_published
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
    wrong: tuple[str, ...]  # one line per fault


def verify(folder: Path, rows_only: bool = False) -> VerifyReport:
    """Check digests, rows, weights, curves and checkpoints at or below a folder.

    `rows_only`: rows alone, as of a published table.

    Raises:
        UserError: there is no such folder, or it has no rows, or no weights to check.
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
    copies, bad_copies = read_all(tables, _wrong_copies)
    wrong = _faults(bad | bad_copies)
    every_row = shards.every_row(tables.values())
    unsound = {path: lines for path, lines in copies.items() if lines}
    unsound |= _wrong_rows(every_row, tables)
    wrong += [line for lines in unsound.values() for line in lines]
    rows = one_per_key([every_row])
    sound = len(copies) - len(unsound)
    if rows_only:
        return VerifyReport(rows.height, sound, 0, 0, 0, tuple(wrong))
    archives = sorted(folder.rglob("weights/*.npz"))
    weights, bad_weights = read_all(archives, read_weights)
    wrong += _faults(bad_weights) + _wrong_weights(rows, weights) + _faults(bad_curves)
    archives = sorted(folder.rglob("checkpoints/*.npz"))
    read_states = partial(read_npz, take=states_of)
    checkpoints, bad_checkpoints = read_all(archives, read_states)
    wrong += _faults(bad_checkpoints)
    counts = (len(weights), len(tables_of_curves), len(checkpoints))
    return VerifyReport(rows.height, sound, *counts, tuple(wrong))


def _faults(bad: Mapping[Path, BadFileError]) -> list[str]:
    return [f"{path}: {why}" for path, why in bad.items()]


def _wrong_copies(path: Path) -> list[str]:
    with reading(shards.TABLE):
        table = read_table(path, shards.TABLE)
        wrong = wrong_copies(table, complete(table))
    return [f"{path}: row {key}: {why}" for key, why in wrong.items()]


def _wrong_rows(
    every_row: pl.DataFrame, tables: Mapping[Path, pl.DataFrame]
) -> dict[Path, list[str]]:
    try:
        check_rows(every_row)
    except BadRowsError as error:
        wrong = error.rows
    else:
        return {}
    lines = {}
    for path, table in tables.items():
        keys = [str(key) for key in table["key"].unique(maintain_order=True)]
        of_file = [f"{path}: row {key}: {wrong[key]}" for key in keys if key in wrong]
        if of_file:
            lines[path] = of_file
    return lines


def _wrong_weights(rows: pl.DataFrame, weights: Mapping[Path, Params]) -> list[str]:
    nets = defaultdict[str, Params](dict)
    for path, members in weights.items():
        nets[path.stem] |= members
    missing = defaultdict[str, list[str]](list)
    lines = []
    for row in without_failed(rows).iter_rows(named=True):
        population = row["population"]
        net = nets[population].get(row["key"])
        if net is None:
            missing[population].append(row["key"])
            continue
        try:
            check_weights(row, net)
        except BadFileError as error:
            lines.append(f"weights/{population}.npz: {error}")
    for population, keys in missing.items():
        lines.append(f"weights/{population}.npz: no sound weights of {_some(keys)}")
    return lines


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(sorted(keys)[:SHOWN_KEYS]) + more

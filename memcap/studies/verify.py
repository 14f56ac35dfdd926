"""Whether a study's folder holds what it should: sound files, and the whole weights of each row's member."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap.studies import store
from memcap.studies.files import BadFileError, sealed
from memcap.studies.weights import sizes

SHOWN_KEYS = 3


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and what is wrong.

    Args:
        rows: one a member.
        row_files, weight_files: how many were sound.
        without_digest: how many of these no digest vouches for, because memcap 0.1 wrote them.
        wrong: one line a fault.
    """

    rows: int
    row_files: int
    weight_files: int
    without_digest: int
    wrong: tuple[str, ...]


def verify(folder: Path, weights: bool = True) -> Verdict:
    """Check every file at or below a folder: digests, keys, and the weights of each row.

    Args:
        folder: of a study, or of several.
        weights: whether they should be there; a published table has none.

    Raises:
        UserError: no such folder, or no files of rows in it.
    """
    tables, bad = store.survey(folder)
    if not tables and not bad:
        raise store.no_rows(folder)
    wrong = [f"{path}: {why}" for path, why in bad.items()]
    rows = store.merged(tables)
    found: dict[Path, dict[str, int]] = {}  # numbers by key, of each file of weights
    for path in sorted(folder.rglob("weights/*.npz")) if weights else ():
        try:
            found[path] = sizes(path)
        except BadFileError as error:
            wrong.append(f"{path}: {error}")
    if weights:
        wrong += _lacking(rows, found)
    sound = [*(path for path in store.shards(folder) if path not in bad), *found]
    return Verdict(rows.height, len(tables), len(found), sum(not _sealed(path) for path in sound), tuple(wrong))


def _sealed(path: Path) -> bool:
    with path.open("rb") as file:
        return sealed(file)


def _lacking(rows: pl.DataFrame, found: dict[Path, dict[str, int]]) -> list[str]:
    """A line for each population that lacks weights, and one for each member that has not as many as its row says."""
    held: dict[tuple[str, str], set[int]] = {}
    for path, numbers in found.items():
        for key, size in numbers.items():
            held.setdefault((path.stem, key), set()).add(size)
    missing: dict[str, list[str]] = {}
    lines = []
    for population, key, parameters in rows.select("population", "key", "parameters").iter_rows():
        there = held.get((population, key))
        if there is None:
            missing.setdefault(population, []).append(key)
        elif parameters not in there:
            lines.append(f"weights/{population}.npz: {min(there)} numbers of member {key}, whose row says {parameters}")
    for population, keys in missing.items():
        more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
        lines.append(f"weights/{population}.npz: no sound weights of {', '.join(sorted(keys)[:SHOWN_KEYS])}{more}")
    return lines

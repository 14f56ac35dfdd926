"""Studies in their folders: shards of rows, and the weights beside them. Needs no JAX.

    DIR/rows/PROGRAM-TOKEN-N.DIGEST.parquet    rows of one program in one job
    DIR/weights/PROGRAM-TOKEN-N.npz            weights, under KEY/path/of/array
    DIR/curves/PROGRAM-TOKEN-N.DIGEST.parquet  curves (curves.py)
    DIR/rows.parquet                           all shards, by `memcap collect`
    DIR/jobs/TOKEN.*                           heartbeat, members (heartbeat.py)
    DIR/checkpoints/TOKEN.npz                  members in training (checkpoints.py)

PROGRAM has 16 hexadecimal digits, TOKEN 8 for the session and 8 for the job. A key is
the hash of config and seed, so a rerun replaces its row. A damaged file is skipped, and
a rerun trains its members again.
"""

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl

from memcap.knobs import UserError
from memcap.models.model import Params
from memcap.runtime import ROOT, plugins
from memcap.store import files
from memcap.store.columns import Row
from memcap.store.files import BadFileError, State, write_weights
from memcap.store.rows import RESULTS, complete, frame, one_per_key, results, stack
from memcap.terminal.words import warn_once

OUTPUTS = Path("outputs")  # where studies are by default
SESSION_DIGITS = 8  # in a token; the job has as many
NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}-\d+")  # a shard that a job wrote
PARTS = ("", "rows", "weights", "curves", "checkpoints", "jobs", "figures")
TABLE = "a readable table of rows"
LONGEST_NAME = 255  # characters of a study's name, as of a file's
MOST_TABLES = 1 << 15  # tables kept in memory
ATLAS = "atlas"
# Studies whose rows have a name that may be used in place of a folder of rows.
# `memcap answer` reads them in this order. Tasks that were added later are a study of
# their own, and so are nets that are right at every lag up to their own, from the first
# step or anywhere, counts that are right when rounded, delay lines trained by Muon and by
# GGT, and cells of the map with other seeds, by recipes of the atlas, with more pairs to
# recall and with other budgets.
STUDIES = {
    ATLAS: (
        ATLAS,
        "other_tasks",
        "up_to",
        "up_to_cells",
        "anywhere",
        "anywhere_cells",
        "whole_counts",
        "muon",
        "ggt",
    ),
    "layers": ("layers", "up_to_layers"),
    "cell_map": ("cell_map", "cell_map_again", "cell_map_recipes"),
    "cell_map_tasks": ("cell_map_tasks", "cell_map_tasks_again"),
    "recall_pairs": ("cell_map_tasks", "cell_map_tasks_again", "recall_pairs"),
    "cell_map_steps": ("cell_map_steps", "cell_map_budgets", "cell_map_seeds"),
}
NAMES = tuple(STUDIES)
AGAIN = "_again"  # ends the name of a study's rows of other seeds
ROWS = {"": "rows", AGAIN: "other_seeds"}  # files of rows, by the end of their name
# Folders of sweeps/ that hold studies; some lie in sweeps/ itself.
GROUPS = ("", "answers", "cells", "cells/supplement", "papers", "training", "other")
# Nets of advised widths, on seeds that chose neither recipe nor width: `memcap answer`
# counts those that passed. No width is chosen by them.
FRESH = ("anywhere_fresh_seeds", "up_to_fresh_seeds", "advice_fresh_seeds")


@dataclass(frozen=True)
class Study:
    """The place and the name of a study, and the design by which its members are
    trained.

    Raises:
        UserError: the precision is no share, or the design has none.
    """

    # folder of its rows, weights and curves. None: nothing is read or written
    folder: Path | None = None
    name: str = ""  # the study's name in every row
    design: str = "grid"  # one of `memcap.designs.DESIGNS`
    # half the width of the interval of u90 at which design="adaptive" stops, as a share
    # of u90. None: the design's default
    precision: float | None = None
    # 8 hexadecimal digits that all jobs of one command share (`new_session`), by
    # which a follower of the folder knows their files. "": the job is alone
    session: str = ""
    # the command line that started it. None: it was started from Python
    command: str | None = None

    def __post_init__(self) -> None:
        precision = self.precision
        if precision is None:
            return
        if not isinstance(precision, float) or not 0 < precision < 1:
            raise UserError(
                f"precision={precision}: must be null, or a number above 0 and below 1, as 0.1"
            )
        if self.design != "adaptive":
            raise UserError(
                f"precision={precision}: is for design=adaptive alone, not"
                f" design={self.design}; leave it"
            )

    @property
    def is_searched(self) -> bool:
        """True if the design chooses members by results."""
        return self.design != "grid"


def sweeps() -> Path:
    return ROOT / "sweeps"


def studies() -> dict[str, Path]:
    """Return the folder of each published study by its name; without rows there is none
    yet."""
    return _studies(sweeps())


@cache
def _studies(root: Path) -> dict[str, Path]:
    groups = [root / group for group in GROUPS]
    places = {
        path.with_suffix("")
        for group in groups
        for path in group.glob("[a-z]*")
        if path.suffix == ".yaml" or path.is_dir()
    }
    return {
        path.name: path
        for path in sorted(places.difference(groups), key=attrgetter("name"))
    }


def folder(study: str) -> Path:
    """Return the folder of a study; it need not exist."""
    return studies().get(study, sweeps() / study)


def choice(study: str) -> str:
    """Return a study as `sweeps=` takes it: papers/arjovsky2016."""
    return folder(study).relative_to(sweeps()).as_posix()


def choices() -> list[str]:
    """Return all that `sweeps=` takes, what is in no group first."""
    names = [
        choice(name)
        for name, path in studies().items()
        if path.with_suffix(".yaml").is_file()
    ]
    return sorted(names, key=lambda name: ("/" in name, name))


def rows_file(study: str) -> Path:
    """Return the file of a study's rows, of other seeds for NAME_again; it need not
    exist."""
    name = study.removesuffix(AGAIN)
    return folder(name) / f"{ROWS[study.removeprefix(name)]}.parquet"


def tables() -> dict[str, Path]:
    """Return all published tables of rows by name: a study, NAME_again with other
    seeds, or a part, as loops/native."""
    files = {
        Path(study, path.parent.relative_to(place)).as_posix() + end: path
        for study, place in studies().items()
        for end, stem in ROWS.items()
        for path in place.rglob(f"{stem}.parquet")
    }
    return dict(sorted(files.items()))


def rows_files(name: str) -> list[Path]:
    """Return the existing files of rows of one of `NAMES`."""
    return [file for file in map(rows_file, STUDIES[name]) if file.exists()]


def with_findings() -> list[str]:
    """Return the studies that have a findings.py, in alphabetical order."""
    places = studies().items()
    return [name for name, place in places if (place / "findings.py").is_file()]


@cache
def load_findings(study: str) -> Any:
    return plugins.import_file(folder(study) / "findings.py", f"findings_of_{study}")


def is_published(place: Path) -> bool:
    """Check whether a place is one of `NAMES`, and no folder or file here."""
    return str(place) in NAMES and not place.exists()


def new_session() -> str:
    """Draw the 8 digits with which all tokens of a command begin."""
    return secrets.token_hex(SESSION_DIGITS // 2)


def new_token(session: str = "") -> str:
    """Draw 16 hexadecimal digits, those of the session first, for one run of a job."""
    return (session or new_session()) + secrets.token_hex(SESSION_DIGITS // 2)


def session_of(name: str) -> str:
    """Return the session of a token or a shard's name; "" if no job made it."""
    token = token_of(name) or name
    return token[:SESSION_DIGITS] if len(token) == 2 * SESSION_DIGITS else ""


def token_of(name: str) -> str:
    """Return the token in a shard's name; "" if no job made it."""
    return name.split("-")[1] if NAME.fullmatch(name) else ""


def shard_name(program: str, token: str, number: int) -> str:
    return f"{program}-{token}-{number}"


def check_study(name: str) -> None:
    """Raise UserError if a study's name would lead to another folder."""
    if name in (".", "..") or set(name) & {"/", "\\", "\0"}:
        raise UserError(
            f"study={name}: must be a name, without / and \\; for another folder set out (in"
            " Python: folder)"
        )
    if len(name) > LONGEST_NAME:
        raise UserError(f"study={name}: must have at most {LONGEST_NAME} characters")


def prepare(folder: Path) -> None:
    """Make the folder, refuse one that cannot be written, and remove what killed jobs
    left."""
    try:
        for part in ("rows", "weights"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"out={folder}: cannot be written ({error.strerror or error}); set out to another"
            " folder"
        ) from error
    remove_stale_files(folder)


def write(
    folder: Path, name: str, rows: Sequence[Row], weights: dict[str, Params]
) -> None:
    """Write a shard's weights, then its rows: a row that exists has its weights."""
    write_weights(folder / "weights" / f"{name}.npz", weights)
    files.write_sealed(folder / "rows" / f"{name}.parquet", frame(rows))


def no_rows(folder: Path) -> UserError:
    if (folder / "jobs").is_dir():
        return UserError(
            f"{folder}: holds no rows yet; what its training does: memcap status {folder}"
        )
    return UserError(
        f"{folder}: holds no rows; train a study first, as in: memcap train sweeps=first_study"
    )


def paths(folder: Path, below: bool = True) -> list[Path]:
    """Find all files of rows in a folder, and below it if `below`: folded files, then
    shards. The path of a file is returned as it is."""
    if is_published(folder):
        return rows_files(str(folder))
    if folder.is_file():
        return [folder]
    search = folder.rglob if below else folder.glob
    folded = sorted(search("rows.parquet"))
    # by parts, which is much faster than comparing the paths
    return folded + sorted(search("rows/*.parquet"), key=attrgetter("parts"))


def read(
    folder: Path | list[Path], strict: bool = False, task: str | None = None
) -> pl.DataFrame:
    """Read all rows at or below a folder, one per key. They include rows of tasks and
    cells that cannot be imported.

    Args:
        folder: folder of studies, one Parquet file, or a list of these files; or a
            name of `NAMES`, such as `atlas`.
        strict: refuse a bad file; otherwise refuse only `folder` itself, and name bad
            files on stderr.
        task: the only task of which rows are read, which is faster.
    """
    tables, bad = read_files(folder)
    for path, why in bad.items():
        if path.is_relative_to(sweeps()):
            raise UserError(f"{path}: {why}; install memcap again")
        if path == folder:
            raise UserError(
                f"{path}: {why}; give the folder of a study, or its rows.parquet"
            )
        if strict:
            raise UserError(f"{path}: {why}; without --strict the other files are read")
        warn_once(
            f"{path}: {why}; skipped; rerun the study to retrain what only it held"
        )
    if task is not None:
        config = pl.col("config").str
        # a look for the text saves parsing most of the rows
        mentions_it = config.contains(f'"{task}"', literal=True)
        of_task = config.json_path_match("$.task.name") == task
        tables = {
            path: table.filter(mentions_it).filter(of_task)
            for path, table in tables.items()
        }
    return merge(tables.values())


def read_files(
    folder: Path | list[Path], below: bool = True
) -> tuple[dict[Path, pl.DataFrame], dict[Path, BadFileError]]:
    """Read all files of rows; return the results in the sound ones, and the errors of
    the bad ones. Raise UserError if the folder does not exist."""
    if isinstance(folder, list):
        return files.read_all(folder, _results)
    if not (rows_files(str(folder)) if is_published(folder) else folder.exists()):
        raise UserError(
            f"{folder}: no such folder or file; train a study first, as in: memcap train"
            " sweeps=first_study"
        )
    return files.read_all(paths(folder, below), _results)


def _results(path: Path) -> pl.DataFrame:
    """Read the results in a file, cached by its digest or its state."""
    return _read_once(path, None if files.digest_of(path) else files.state_of(path))


@lru_cache(MOST_TABLES)
def _read_once(path: Path, version: State | None) -> pl.DataFrame:
    return read_results(path)


def read_results(path: Path) -> pl.DataFrame:
    """Read the results in a file; raise BadFileError if it is bad."""
    with files.reading(TABLE):
        return results(files.read_table(path, TABLE, RESULTS))


def every_row(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return complete(stack([frame([]).select(RESULTS), *tables]))


def merge(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of tables with the results of rows, one per key."""
    return one_per_key([every_row(tables)])


def collect(folder: Path, strict: bool = False) -> tuple[Path, pl.DataFrame]:
    """Fold all shards of a study into DIR/rows.parquet; the shards stay. Refuse a bad
    rows.parquet, which would be overwritten, and what `read` refuses."""
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
        files.write_table(path, rows)
    remove_stale_files(folder)
    return path, rows


def remove_stale_files(folder: Path) -> None:
    """Remove what killed jobs left: unfinished files, weights and curves without rows,
    curves of members in no training, and Hydra's empty folders. Young files stay, no
    link is followed, and nothing is removed that memcap did not name."""
    with contextlib.suppress(OSError):
        for part in PARTS:
            for path in files.stale_files(folder / part):
                if files.DRAFT.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        for path in files.stale_files(folder / "curves"):
            if path.name.endswith(".running.parquet"):
                path.unlink(missing_ok=True)
        for path in _orphans(folder):
            path.unlink(missing_ok=True)
    if not (folder / "hydra").is_symlink():
        for place, _, _ in os.walk(folder / "hydra", topdown=False):
            with contextlib.suppress(OSError):  # not empty
                if not Path(place).samefile("."):
                    os.rmdir(place)


def _orphans(folder: Path) -> list[Path]:
    """Find weights and curves without rows; none if a bad file may have their rows, or
    all rows were moved away."""
    with_rows = {files.stem(path) for path in (folder / "rows").glob("*.parquet")}
    orphans = [
        path
        for part in ("weights", "curves")
        for path in files.stale_files(folder / part)
        if NAME.fullmatch(files.stem(path)) and files.stem(path) not in with_rows
    ]
    tables, bad = read_files(folder) if orphans else ({}, {})
    folded = {name for table in tables.values() for name in table["population"]}
    if bad or not folded:
        return []
    return [path for path in orphans if files.stem(path) not in folded]

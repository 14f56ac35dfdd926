"""Read a study's folder: rows whose task and cell can be imported, and one member's
row, config and weights."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from memcap.knobs import UserError
from memcap.store import shards
from memcap.store.columns import (
    EVALUATION,
    MODEL,
    RECIPE,
    Row,
    evaluation_of,
    model_of,
    recipe_of,
    task_of as task_of,
)
from memcap.store.files import (
    sound_weights_of as sound_weights_of,
    weights_of as weights_of,
)
from memcap.store.status import incomplete, missing
from memcap.terminal.words import complain, plural, warn_once

KIND = [
    "task",
    "knobs",
    *(name for name in MODEL if name != "units"),
    *RECIPE,
    "forget_bias",
]
KIND += [name for name in EVALUATION if name != "lengths"]


def read(folder: Path, strict: bool = False) -> pl.DataFrame:
    """Read the rows at or below a folder, or of one Parquet file, whose task, network,
    recipe and rule exist. For `strict` and errors see `memcap.store.shards.read`."""
    rows = shards.read(folder, strict)
    return rows if shards.is_published(folder) else readable(rows)


def rows_of(results: Path, strict: bool = False) -> pl.DataFrame:
    """Read the rows of a place that a user named; refuse one without rows, and say on
    stderr if members have none yet."""
    rows = read(results, strict)
    if rows.is_empty():
        raise no_rows(results)
    if line := incomplete(missing(results), results):
        complain(line)
    return rows


def no_rows(results: Path) -> UserError:
    count = shards.read(results).height
    if not count:
        return shards.no_rows(results)
    return UserError(
        f"{results}: none of its {count:,} rows can be read here; the lines above say why"
    )


def readable(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose task, network, recipe and rule exist; say on stderr how
    many do not."""
    kinds = rows.group_by(KIND, maintain_order=True).len()
    problems = [_problem(kind) for kind in kinds.iter_rows(named=True)]
    problem = pl.Series("problem", problems, pl.String)
    others = kinds.with_columns(problem).drop_nulls("problem")
    if others.is_empty():
        return rows
    words = ("task", "cell", "problem")
    counts = others.group_by(words, maintain_order=True).agg(pl.col("len").sum())
    for task, cell, why, count in counts.iter_rows():
        warn_once(f"{task}, cell {cell}: {plural(count, 'row')} left out: {why}")
    return rows.join(others, KIND, "anti", nulls_equal=True, maintain_order="left")


def _problem(kind: Row) -> str | None:
    try:
        task_of(kind["task"], kind["knobs"])
        model_of(kind)
        recipe_of(kind)
        evaluation_of(kind)
    except (Exception, SystemExit) as error:  # a user's module may do anything
        missing = error.__cause__
        if isinstance(missing, FileNotFoundError):  # sequences of task=data
            return (
                f"{missing.filename} is not here; put it there, or ask from the folder"
                " where it was trained"
            )
        return (str(error) or type(error).__name__).splitlines()[0]
    return None


def find_row(folder: Path, key: str) -> Row:
    """Return the row of the one member whose key begins with `key`."""
    rows = shards.read(folder).filter(pl.col("key").str.starts_with(key))
    if rows.height != 1 or not key:
        raise UserError(
            f"{key}: {rows.height} members in {folder} have such a key; `memcap train` and the"
            " rows show keys"
        )
    return rows.row(0, named=True)


def config_of(row: Row) -> dict[str, Any]:
    return json.loads(row["config"])

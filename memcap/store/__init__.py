"""What a study's folder holds for those who use it: rows whose task and cell can be imported, and one
member's row, config and weights.

A study of one's own task may lie beside others (`memcap frontier` reads all of outputs/), and be read where
the task's module is not. Its rows are as good as ever; but nobody can say what they ask of memory.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl

from memcap.cells import check_name
from memcap.knobs import UserError, completed, typed
from memcap.store import shards
from memcap.store.weights import weights_of as weights_of
from memcap.tasks import Task, task_class
from memcap.terminal.words import warn_once

KIND = ["task", "knobs", "cell"]


def read(folder: Path, strict: bool = False) -> pl.DataFrame:
    """All rows at or below a folder (or of one Parquet file) whose task and cell can be imported, one per
    key (`memcap.store.rows.PREFERENCE`). A line on stderr says how many others were left out.

    For `strict` and errors see `memcap.store.shards.read`.
    """
    return readable(shards.read(folder, strict))


def rows_of(results: Path, strict: bool = False) -> pl.DataFrame:
    """The rows of a folder or file that a user named, at least one.

    Raises:
        UserError: there is no such place, it cannot be read, or it holds no rows; a bad file of rows, if
            `strict`.
    """
    rows = read(results, strict)
    if rows.is_empty():
        raise shards.no_rows(results)
    return rows


def readable(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose task, with its knobs, and whose cell there are; a line on stderr says how many others
    were left out."""
    kinds = rows.group_by(KIND, maintain_order=True).len()
    problems = [_problem(*kind) for kind in kinds.select(KIND).iter_rows()]
    for (task, _, cell, count), problem in zip(kinds.iter_rows(), problems, strict=True):
        if problem is not None:
            warn_once(f"{task}, cell {cell}: {count} row{'s' * (count != 1)} left out: {problem}")
    others = kinds.filter(pl.Series([problem is not None for problem in problems], dtype=pl.Boolean))
    if others.is_empty():
        return rows
    return rows.join(others, KIND, "anti", nulls_equal=True, maintain_order="left")


def _problem(task: str, knobs: str, cell: str) -> str | None:
    """Why the task or the cell cannot be had; None if they can."""
    try:
        task_of(task, knobs)
        check_name(cell)
    except (Exception, SystemExit) as error:  # whatever a module of the user's does when it is imported
        return (str(error) or type(error).__name__).splitlines()[0]
    return None


def task_of(task: str, knobs: str) -> Task:
    """The task of a row, from its columns of these names.

    Raises:
        UserError: there is no such task, or it has no such knobs.
    """
    cls = task_class(task)
    return typed(cls, completed(cls, json.loads(knobs)), "task")


def find_row(folder: Path, key: str) -> dict[str, Any]:
    """The row of the one member whose key begins with `key`.

    Raises:
        UserError: there is none, or there are several; as `memcap.store.shards.read`.
    """
    rows = shards.read(folder).filter(pl.col("key").str.starts_with(key))
    if rows.height != 1 or not key:
        raise UserError(
            f"{key}: {rows.height} members in {folder} have such a key; `memcap train` and the rows show keys"
        )
    return rows.row(0, named=True)


def config_of(row: dict[str, Any]) -> dict[str, Any]:
    """The whole config of a row's member."""
    return json.loads(row["config"])

"""Rows that can be told about: those whose task and cell this process can import.

A study of one's own task may lie beside others (`memcap frontier` reads all of outputs/), and be read where
the task's module is not. Its rows are as good as ever; but nobody can say what they ask of memory.
"""

import json

import polars as pl

from memcap.cells import cell_class
from memcap.knobs import completed, typed
from memcap.studies.notes import note
from memcap.tasks import task_class

WHAT = ["task", "knobs", "cell"]


def known(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose task, with its knobs, and whose cell there are; a line on stderr says how many others
    were left out."""
    kinds = rows.group_by(WHAT, maintain_order=True).len()
    lacks = [_lacks(*kind) for kind in kinds.select(WHAT).iter_rows()]
    for (task, _, cell, count), why in zip(kinds.iter_rows(), lacks, strict=True):
        if why is not None:
            note(f"{task}, cell {cell}: {count} row{'s' * (count != 1)} left out: {why}")
    unknown = kinds.filter(pl.Series([why is not None for why in lacks], dtype=pl.Boolean))
    return (
        rows
        if unknown.is_empty()
        else rows.join(unknown, WHAT, "anti", nulls_equal=True, maintain_order="left")
    )


def _lacks(task: str, knobs: str, cell: str) -> str | None:
    """Why the task or the cell cannot be had; None if they can."""
    try:
        cls = task_class(task)
        typed(cls, completed(cls, json.loads(knobs)), "task")
        cell_class(cell)
    except (Exception, SystemExit) as error:  # whatever a module of the user's does when it is imported
        return (str(error) or type(error).__name__).splitlines()[0]
    return None

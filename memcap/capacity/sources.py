"""Where an answer's rows come from: the user's own studies, or what memcap publishes."""

import json
from pathlib import Path

import polars as pl

from memcap import store
from memcap.capacity.answer import Answer, answer
from memcap.capacity.frontier import frontier
from memcap.capacity.points import At
from memcap.knobs import completed, typed
from memcap.runtime.published import NAMES, is_published, rows_files
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task

CELLS = {"gru": "GRUCell", "elman": "SimpleCell"}  # what people call them, and Flax


def cell_name(name: str) -> str:
    """The cell as rows have it."""
    return CELLS.get(name.lower(), name)


def best_answer(
    task: Task,
    lag: int,
    share: float = 0.9,
    at: At = "steady",
    budget: int | None = None,
    folder: Path | None = None,
    strict: bool = False,
    cell: str = "lstm",
    config_dir: Path | None = None,
    layers: int = 1,
) -> Answer:
    """The answer from the rows that say most.

    Args:
        task, lag, share: as in `memcap.capacity.answer.answer`.
        at, budget: as in `memcap.capacity.frontier.frontier`.
        folder: only the rows there count; a name of `memcap.runtime.published`: those that memcap publishes
            under it. None: those in `outputs` or, where they measure no threshold of this task at this lag,
            the first of the published ones that does. Where none measures it, the one that tried the lag
            counts, then the one with the most lags to predict from; of equals the user's own. A place that
            does not exist holds no rows.
        strict: refuse bad files of rows, as in `memcap.store.read`.
        cell, config_dir, layers: as in `memcap.capacity.answer.answer`.

    Raises:
        UserError: no such lag, or rows that cannot be read.
    """
    if folder is None:
        places = [(str(OUTPUTS), [OUTPUTS]), *((name, rows_files(name)) for name in NAMES)]
    elif is_published(folder):
        places = [(str(folder), rows_files(str(folder)))]
    else:
        places = [(f"./{folder}" if str(folder) in NAMES else str(folder), [folder])]
    best: Answer | None = None
    for source, files in places:
        if tables := [store.read(file, strict) for file in files if file.exists()]:
            rows = pl.concat(tables)
            each = from_rows(rows, task, lag, share, at, budget, source, cell, config_dir, layers)
            if best is None or _evidence(each) > _evidence(best):
                best = each
            if best.settled:
                break
    return best or answer(task, lag, share, [], None, cell, config_dir, layers)


def from_rows(
    rows: pl.DataFrame,
    task: Task,
    lag: int,
    share: float = 0.9,
    at: At = "steady",
    budget: int | None = None,
    source: str | None = None,
    cell: str = "lstm",
    config_dir: Path | None = None,
    layers: int = 1,
) -> Answer:
    """The answer from some rows; arguments and errors as above, and `source`, what they are called."""
    points = frontier(_rows_of(rows, task, cell, layers), at, budget)
    return answer(task, lag, share, points, source, cell, config_dir, layers)


def _evidence(answer: Answer) -> tuple[bool, bool, int]:
    """How much an answer rests on."""
    return answer.settled, answer.point is not None, len(answer.lags)


def _rows_of(rows: pl.DataFrame, task: Task, cell: str, layers: int) -> pl.DataFrame:
    """The rows of this task in layers of a cell with a dense read-out, from a fixed carry: nothing else needs
    a fit."""
    rows = rows.filter(task=task.name, cell=cell, layers=layers, readout="dense", initial_carry="fixed")
    cls = type(task)
    equal = [
        text
        for text in rows["knobs"].unique()
        if typed(cls, completed(cls, json.loads(text)), "task") == task
    ]
    return rows.filter(pl.col("knobs").is_in(equal))

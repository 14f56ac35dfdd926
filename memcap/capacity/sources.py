"""Where an answer's rows come from: the user's own studies, or the atlas that memcap publishes."""

import json
from pathlib import Path

import polars as pl

from memcap.capacity.answer import ATLAS, Answer, answer
from memcap.capacity.frontier import frontier
from memcap.capacity.points import At
from memcap.knobs import completed, typed
from memcap.recipes import root
from memcap.studies import store
from memcap.studies.shards import OUTPUTS
from memcap.tasks import Task


def atlas() -> Path:
    """The rows that memcap publishes, one table for all tasks and lags; the file need not be there."""
    return root() / "results" / "atlas" / "rows.parquet"


def best_answer(
    task: Task,
    lag: int,
    share: float = 0.9,
    at: At = "steady",
    budget: int | None = None,
    folder: Path | None = None,
    strict: bool = False,
) -> Answer:
    """The answer from the rows that say most.

    Args:
        task, lag, share: as in `memcap.capacity.answer.answer`.
        at, budget: as in `memcap.capacity.frontier.frontier`.
        folder: only the rows there count. None: those in `outputs` or, where they measure no threshold of
            this task at this lag, the atlas. Where neither measures it, the one that tried the lag counts,
            then the one with the most lags to predict from; of equals the user's own. A place that does not
            exist holds no rows.
        strict: refuse bad files of rows, as in `memcap.studies.store.read`.

    Raises:
        UserError: no such lag, or rows that cannot be read.
    """
    places = [(str(folder), folder)] if folder is not None else [(str(OUTPUTS), OUTPUTS), (ATLAS, atlas())]
    best: Answer | None = None
    for source, place in places:
        if place.exists():
            each = from_rows(store.read(place, strict), task, lag, share, at, budget, source)
            if best is None or _evidence(each) > _evidence(best):
                best = each
            if best.settled:
                break
    return best or answer(task, lag, share, [])


def from_rows(
    rows: pl.DataFrame,
    task: Task,
    lag: int,
    share: float = 0.9,
    at: At = "steady",
    budget: int | None = None,
    source: str | None = None,
) -> Answer:
    """The answer from some rows; arguments and errors as above, and `source`, what they are called."""
    return answer(task, lag, share, frontier(_rows_of(rows, task), at, budget), source)


def _evidence(answer: Answer) -> tuple[bool, bool, int]:
    """How much an answer rests on."""
    return answer.settled, answer.point is not None, len(answer.prediction.lags) if answer.prediction else 0


def _rows_of(rows: pl.DataFrame, task: Task) -> pl.DataFrame:
    """The rows of this task in an LSTM with a dense read-out: nothing else needs a fit."""
    rows = rows.filter(pl.col("task") == task.name, pl.col("cell") == "lstm", pl.col("readout") == "dense")
    cls = type(task)
    equal = [
        text
        for text in rows["knobs"].unique()
        if typed(cls, completed(cls, json.loads(text)), "task") == task
    ]
    return rows.filter(pl.col("knobs").is_in(equal))

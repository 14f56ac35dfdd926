"""The rows that answer a question: the user's own studies, or what memcap publishes."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from memcap import store
from memcap.answers.answer import Answer, answer
from memcap.answers.question import Question
from memcap.cells import ALIASES
from memcap.config.knobs import completed, typed
from memcap.frontiers.frontier import frontier
from memcap.frontiers.points import of_network
from memcap.models.model import Model
from memcap.store.published import NAMES, is_published, rows_files
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task

# Other names of cells, also Flax's. An LSTM is one cell, whoever wrote it.
CELLS = ALIASES | {"optimizedlstmcell": "lstm", "lstmcell": "lstm"}


def cell_name(name: str) -> str:
    """Return the name of a cell in rows."""
    return CELLS.get(name.lower(), name)


def best_answer(
    question: Question, folder: Path | None = None, strict: bool = False
) -> Answer:
    """Answer a question from the rows that say the most about it.

    Args:
        question: the question.
        folder: folder, or name of `memcap.store.published`, whose rows alone count.
            None: the rows in `outputs` or the published ones, whichever measure a
            threshold of this task at this lag with more runs. If none does, the source
            that tried the lag counts, then the one with the most lags to predict from;
            among equals the user's own. `Answer.own` is the answer of the user's own
            rows if others count.
        strict: refuse bad files of rows, as in `memcap.store.read`.
    """
    answers: list[Answer] = []
    for source, files in _places(folder):
        if tables := [store.read(file, strict) for file in files]:
            answers.append(from_rows(pl.concat(tables), question, source))
            if source != str(OUTPUTS) and answers[-1].settled and answers[-1].as_asked:
                break
    best = max(answers, key=_evidence, default=Answer(question))
    if not best.line:
        return replace(best, beside=_beside(question, folder, strict))
    own = next(
        (
            each
            for each in answers
            if each.source == str(OUTPUTS) and each.point is not None
        ),
        None,
    )
    return best if own is None or own is best else replace(best, own=own)


def _beside(
    question: Question, folder: Path | None, strict: bool
) -> tuple[Answer, ...]:
    """Answer for the nearest measured tasks that differ in one numeric knob, one with
    most neighbours."""
    best: tuple[Answer, ...] = ()
    for source, files in _places(folder):
        if not (tables := [store.read(file, strict) for file in files]):
            continue
        rows = pl.concat(tables)
        for tasks in _neighbours(
            question.task, _tasks(rows, type(question.task)).values()
        ):
            answers = [
                from_rows(rows, replace(question, task=each), source) for each in tasks
            ]
            with_width = tuple(each for each in answers if each.units is not None)
            best = max(best, with_width, key=len)
    return best


def _neighbours(task: Task, others: Iterable[Task]) -> Iterable[list[Task]]:
    """Yield, for each numeric knob, the nearest tasks below and above that differ only in it."""
    mine = vars(task)
    others = list(others)
    for name, value in mine.items():
        if type(value) in (int, float):
            alike = {
                vars(each)[name]: each
                for each in others
                if vars(each) | {name: value} == mine
            }
            numbers = sorted(number for number in alike if type(number) in (int, float))
            near = [
                *[n for n in numbers if n < value][-1:],
                *[n for n in numbers if n > value][:1],
            ]
            yield [alike[number] for number in near]


def from_rows(
    rows: pl.DataFrame, question: Question, source: str | None = None
) -> Answer:
    """Answer a question from some rows; `source` is their name."""
    rows = rows_for(rows, question.task, question.model)
    points = frontier(rows, question.at, question.budget)
    return answer(question, points, source)


def _places(folder: Path | None) -> list[tuple[str, list[Path]]]:
    """Return the places to read, each with its files or folders, in the order of reading."""
    if folder is None:
        own = [(str(OUTPUTS), [OUTPUTS])] if OUTPUTS.exists() else []
        return [*own, *((name, rows_files(name)) for name in NAMES)]
    if is_published(folder):
        return [(str(folder), rows_files(str(folder)))]
    return [(f"./{folder}" if str(folder) in NAMES else str(folder), [folder])]


def _evidence(answer: Answer) -> tuple[bool, bool, bool, int]:
    """Rank answers by their evidence: the runs at the lag if it is settled, otherwise
    the number of lags."""
    is_asked = answer.as_asked and bool(answer.line)
    point = answer.point
    rests_on = (
        sum(point.runs) if point is not None and answer.settled else len(answer.lags)
    )
    return is_asked, answer.settled, point is not None, rests_on


def rows_for(rows: pl.DataFrame, task: Task, model: Model) -> pl.DataFrame:
    """Return the rows of a task and a network, of any width; only these need a fit."""
    rows = of_network(rows.filter(task=task.name), model)
    equal = [text for text, each in _tasks(rows, type(task)).items() if each == task]
    return rows.filter(pl.col("knobs").is_in(equal))


def _tasks(rows: pl.DataFrame, cls: type[Task]) -> dict[str, Task]:
    """Return the tasks of a class that have rows, by their knobs as text."""
    texts = rows.filter(task=cls.name)["knobs"].unique()
    return {
        text: typed(cls, completed(cls, json.loads(text)), "task") for text in texts
    }

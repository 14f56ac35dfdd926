"""The rows that answer a question: the user's own, published ones, or a table."""

import json
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter, itemgetter

import polars as pl

from memcap import store
from memcap.answers.answer import Answer, Measurement, Question, answer
from memcap.cells import ALIASES
from memcap.cells.sizes import FACTS, LSTMS
from memcap.frontiers.frontier import (
    Point,
    fit_all_recipes,
    frontier,
    next_to,
    of_network,
)
from memcap.knobs import completed, typed
from memcap.models.model import Model
from memcap.store import shards
from memcap.store.heartbeat import long_name
from memcap.store.shards import (
    FRESH,
    NAMES,
    OUTPUTS,
    STUDIES,
    is_published,
    rows_file,
    rows_files,
)
from memcap.store.status import missing
from memcap.tasks import Task

# Other names of cells, also Flax's: a question about any LSTM takes rows of memcap's own.
CELLS = ALIASES | {"optimizedlstmcell": "lstm", "lstmcell": "lstm"}

# Kinds of answers that no net at the lag, or up to a longer one, speaks for
UNTRIED = ("predicted", "too wide", "between", "unknown")


def cell_name(name: str) -> str:
    return CELLS.get(name.lower(), name)


def best_answer(question: Question) -> Answer:
    """Answer a question from the rows with the most evidence: the user's own or a
    published study's. `Answer.second` has the other answer."""
    answers: list[Answer] = []
    tables: dict[str | None, pl.DataFrame] = {}
    for source, rows in _sources(question):
        tables[source] = rows
        answers.append(from_rows(rows, question, source))
        evidence = answers[-1].evidence
        is_enough = evidence.is_about_every_lag and evidence.is_conclusive
        if source != str(OUTPUTS) and is_enough and not _has_more(source):
            break  # so the other published studies need not be read
    answers.sort(key=attrgetter("evidence"), reverse=True)
    best, *others = answers or [Answer(question)]
    if not best.points and question.model.cell == LSTMS[0]:
        # Flax's LSTM has the same equations, and another start
        other = best_answer(
            replace(question, model=replace(question.model, cell=LSTMS[1]))
        )
        if other.kind not in UNTRIED:
            return other
    if not best.points:
        best = replace(best, beside=_beside(question, tables))
    for other in others:
        is_own = str(OUTPUTS) in (best.source, other.source)
        if is_own and other.example:
            best = replace(best, second=other)
            break
    if question.rows is None and best.kind in UNTRIED:
        best = replace(best, elsewhere=_elsewhere(best))
    if best.kind == "unknown" and best.elsewhere is None:
        cells = {cell for rows in tables.values() for cell in rows["cell"].unique()}
        best = replace(best, cells=tuple(sorted(cells & FACTS.keys())))
    if question.rows is None and best.point and best.kind == "untrained":
        best = replace(best, further=_further(question, best.point))
    if best.source not in NAMES:
        best = replace(best, missing=_missing(question))
    return best


def from_rows(
    rows: pl.DataFrame, question: Question, source: str | None = None
) -> Answer:
    """Answer a question from some rows, named `source`; with runs of `FRESH` if
    published."""
    rows = rows_for(rows, question.task, question.model)
    points = frontier(rows, question.at, question.budget)
    result = answer(question, points, source)
    return replace(result, fresh=_fresh(result)) if source in NAMES else result


def _fresh(result: Answer) -> tuple[Point, ...]:
    question = result.question
    files = [file for file in map(rows_file, FRESH) if file.exists()]
    if result.units is None or not files:
        return ()
    rows = shards.read(files, task=question.task.name)
    rows = rows_for(rows, question.task, question.model)
    rows = rows.filter(lag=result.training_lag, units=result.units)
    points = fit_all_recipes(rows, question.at, question.budget)
    label = next(iter(result.points.values())).label
    return tuple(p for p in points if (p.label, p.recipe) == (label, result.recipe))


def _sources(question: Question) -> Iterator[tuple[str | None, pl.DataFrame]]:
    """Yield tables of rows with their names, each read when it is needed."""
    rows = question.rows
    if isinstance(rows, pl.DataFrame):
        yield None, rows
    elif rows is not None:
        # a folder may have the name of published rows
        is_folder = str(rows) in NAMES and not is_published(rows)
        name = f"./{rows}" if is_folder else str(rows)
        yield name, store.read(rows, question.strict)
    else:
        if OUTPUTS.exists():
            yield str(OUTPUTS), store.read(OUTPUTS, question.strict)
        for name in NAMES:
            if published := rows_files(name):
                yield name, shards.read(published, question.strict, question.task.name)


def _has_more(source: str | None) -> bool:
    own = set(STUDIES.get(source or "", ()))
    return bool(own) and any(own < set(studies) for studies in STUDIES.values())


def _beside(
    question: Question, tables: dict[str | None, pl.DataFrame]
) -> tuple[Answer, ...]:
    """Answer for the next measured values of the numeric knob that has the most such
    answers, all else equal."""
    best: tuple[Answer, ...] = ()
    for source, rows in tables.items():
        tasks = _tasks(rows, type(question.task)).values()
        for name, value in _numbers(question.task).items():
            # tasks that would be equal to this one, had they its value of the knob
            task_at = {
                _numbers(task)[name]: task
                for task in tasks
                if name in _numbers(task)
                and vars(task) | {name: value} == vars(question.task)
            }
            answers = [
                from_rows(rows, other, source)
                for number in next_to(task_at, value)
                if (other := _at_usual_lag(question, task_at[number]))
            ]
            with_width = tuple(each for each in answers if each.units is not None)
            best = max(best, with_width, key=len)
    model = question.model
    if model.layers > 1:
        one_layer = best_answer(replace(question, model=replace(model, layers=1)))
        if one_layer.units is not None:
            best = (*best, one_layer)
    return best


def _at_usual_lag(question: Question, task: Task) -> Question | None:
    """Ask about another task at the question's lag, or at its usual one if the question
    is about the usual one."""
    lag = question.lag
    if lag == question.task.usual_lag:
        lag = task.usual_lag or lag
    return replace(question, task=task, lag=lag) if lag >= task.smallest_lag else None


def _numbers(task: Task) -> dict[str, float]:
    return {k: v for k, v in vars(task).items() if type(v) in (int, float)}


def _elsewhere(result: Answer) -> Measurement | None:
    """Return the published measurement that bears most on a question whose width was
    not measured."""
    question = result.question
    knobs = vars(question.task).items()
    by_rank = []
    for name, file in shards.tables().items():
        of_task = pl.scan_parquet(file).filter(task=question.task.name)
        # a part of a study has the nets of another part, by another loop
        if "/" in name or of_task.head(1).collect().is_empty():
            continue
        rows = shards.read(file, task=question.task.name)
        rows = rows.with_columns(pl.col("cell").replace("OptimizedLSTMCell", "lstm"))
        rows = of_network(rows, question.model)
        for point in frontier(rows, question.at, question.budget):
            others = len(knobs - vars(point.task).items())
            near = _at_usual_lag(question, point.task)
            steps = abs(point.lag - (near or question).lag)
            if (others and result.beside) or (steps and (others or result.units)):
                continue
            shares = {units: solved / runs for units, solved, runs in point.by_width}
            enough = point.narrowest(question.share)
            units = enough or max(shares, key=lambda width: (shares[width], width))
            passed = -min(question.share, shares[units])
            rank = (steps, others, passed, units, -point.passed(units)[1])
            by_rank.append((rank, Measurement(name, point, units)))
    return min(by_rank, key=itemgetter(0), default=(None, None))[1]


def _further(question: Question, tried: Point) -> dict[tuple[int, int], list[int]]:
    """Count published runs at the lag, passed and all, by units and budget: of wider
    nets than those tried, and of the widest with more steps."""
    found: dict[tuple[int, int], list[int]] = {}
    rows = shards.read([*shards.tables().values()], task=question.task.name)
    rows = rows_for(rows, question.task, question.model).filter(lag=question.lag)
    for point in fit_all_recipes(rows, question.at, question.budget):
        for units, *counts in point.by_width:
            place = units, point.recipe.budget
            if point.at == tried.at and place > (tried.units[-1], tried.recipe.budget):
                before = found.get(place, (0, 0))
                found[place] = [*map(sum, zip(before, counts, strict=True))]
    return found


def _missing(question: Question) -> int:
    folder = question.folder
    if isinstance(question.rows, pl.DataFrame) or not folder.is_dir():
        return 0
    name = long_name(question.task, question.lag, 1, 0)
    return missing(folder, name.removesuffix("u1-s0"))


def rows_for(rows: pl.DataFrame, task: Task, model: Model) -> pl.DataFrame:
    rows = of_network(rows.filter(task=task.name), model)
    tasks = _tasks(rows, type(task))
    equal = [text for text in tasks if tasks[text] == task]
    return rows.filter(pl.col("knobs").is_in(equal))


def _tasks(rows: pl.DataFrame, cls: type[Task]) -> dict[str, Task]:
    tasks = {}
    for knobs in rows.filter(task=cls.name)["knobs"].unique():
        # a knob that was added after these rows has its `before`, as if it had been there
        values = completed(cls, json.loads(knobs))
        tasks[knobs] = typed(cls, values, "task")
    return tasks

"""Tables and sentences of a page, made from published rows: what several studies
share."""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import polars as pl

from memcap import store
from memcap.answers.answer import Answer, Question, answer
from memcap.answers.sources import from_rows, rows_for
from memcap.answers.words import wilson
from memcap.config.member import question_task, task_of
from memcap.frontiers.comparison import count_by_units, in_numbers, shift
from memcap.frontiers.frontier import (
    Point,
    best_recipes,
    ends,
    fit_all_recipes,
    frontier,
    label,
    of_network,
)
from memcap.frontiers.layers import COUNTS, shapes
from memcap.frontiers.words import interval_text
from memcap.models.architecture import Architecture
from memcap.store import curves
from memcap.store.columns import task_of as task_of_row
from memcap.store.rows import STEPS_TO, passed_column
from memcap.store.shards import ATLAS, STUDIES, folder, rows_files, tables
from memcap.terminal.words import fill, number
from memcap.thresholds.curve import Threshold

__all__ = [
    "ATLAS",
    "COUNTS",
    "STEPS_TO",
    "STUDIES",
    "Answer",
    "Architecture",
    "Point",
    "Question",
    "Threshold",
    "answer",
    "atlas_rows",
    "best_recipes",
    "claim_here",
    "count_by_units",
    "counts",
    "curves",
    "ends",
    "filled",
    "fit_all_recipes",
    "fraction",
    "from_rows",
    "frontier",
    "in_numbers",
    "interval_text",
    "label",
    "marks",
    "number",
    "of_network",
    "outcome",
    "passed",
    "passed_column",
    "passes",
    "point",
    "points_of",
    "question_task",
    "recipes_of",
    "rows_for",
    "rows_of",
    "shapes",
    "shift",
    "span",
    "table",
    "task_label",
    "task_of",
    "task_of_row",
    "u90",
    "width",
]
LINE = 110  # characters of a line of a page


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in cells)


def filled(text: str) -> str:
    """Break a paragraph into lines of the pages' width."""
    return fill(text, LINE)


def span(values: pl.Series, digits: int = 1) -> str:
    """Return the least and the greatest of some numbers; "" of none."""
    ends = [
        f"{end:.{digits}f}" for end in (values.min(), values.max()) if end is not None
    ]
    return " to ".join(dict.fromkeys(ends))


@cache
def rows_of(study: str) -> pl.DataFrame:
    return store.read(tables()[study])


@cache
def atlas_rows() -> pl.DataFrame:
    """Return all rows that `memcap answer` reads under the name of the atlas."""
    return pl.concat([store.read(file) for file in rows_files(ATLAS)])


@cache
def points_of(*studies: str) -> Sequence[Point]:
    return frontier(pl.concat(map(rows_of, studies)))


@cache
def recipes_of(study: str) -> Sequence[Point]:
    return fit_all_recipes(rows_of(study))


def point(label: str, lag: int, *studies: str) -> Point:
    """Return a point of studies; by default of the atlas, and of muon and ggt."""
    points = points_of(*(studies or (ATLAS, "muon", "ggt")))
    return next(p for p in points if (p.label, p.lag) == (label, lag))


def width(threshold: Threshold) -> str:
    sign = {"no": "", "below": "<= ", "above": "> "}[threshold.censored]
    low = f"{threshold.low:.1f}" if threshold.low > 0 else "open"
    high = f"{threshold.high:.1f}" if math.isfinite(threshold.high) else "open"
    return f"{sign}{threshold.units:.1f} [{low}, {high}]"


def u90(point: Point) -> str:
    threshold = point.fit.u90
    if threshold.censored == "above":
        return f"> {threshold.units:.0f}"
    return f"{threshold.units:.1f}"


def task_label(task: str, knobs: str) -> str:
    return label(task_of_row(task, knobs))


def marks(points: Iterable[Point]) -> str:
    """Tabulate points beside what theory says."""
    lines = []
    for p in points:
        theory = p.references
        lines.append(
            (
                p.label.replace("_", " "),
                p.lag,
                width(p.fit.u50),
                width(p.fit.u90),
                f"{theory.least_bits / 8:.3g}",
                theory.information_floor,
                theory.one_per_number,
                "" if theory.constructed is None else theory.constructed,
                f"{p.recipe.name}, {p.recipe.budget:,}",
            )
        )
    theory = "floor, bytes", "floor", "one per number", "constructed"
    return table(("task", "lag", "u50", "u90", *theory, "recipe, budget"), lines)


def outcome(result: Answer) -> str:
    """Say how many runs of the advised width passed, or else of the nearest one."""
    counts = result.passes
    if not counts.runs:
        return ""
    wider = "" if counts.units == result.units else f" with {counts.units} units"
    return f"{counts.passed} of {counts.runs}{wider}"


def passes(rows: pl.DataFrame, *by: str | pl.Expr) -> pl.DataFrame:
    """Count the nets that passed, and all of them, by some columns."""
    rows = rows.with_columns(passed_column())
    groups = rows.group_by(*by, maintain_order=True)
    return groups.agg(pl.col("passed").sum(), nets=pl.len())


def counts(study: str, *by: str, **where: Any) -> pl.DataFrame:
    """Count the nets of a study that passed, and all of them, by columns, of which
    `what` is the task with its knobs; only rows with the values `where`."""
    rows = rows_of(study)
    tasks = rows.select("task", "knobs").unique()
    labels = [task_label(task, knobs) for task, knobs in tasks.iter_rows()]
    rows = rows.join(tasks.with_columns(what=pl.Series(labels)), on=["task", "knobs"])
    rows = rows.filter(
        *(pl.col(name).eq_missing(pl.lit(value)) for name, value in where.items())
    )
    return passes(rows, *by).sort(*by)


def passed(counts: pl.DataFrame) -> str:
    return f"{counts['passed'].sum()} of {counts['nets'].sum()}"


def fraction(good: int, number: int) -> str:
    """Return a count with the 95 % interval (Wilson) of its share."""
    low, high = wilson(good, number)
    return f"{good} of {number} [{low:.2f}, {high:.2f}]"


def claim_here(paper: str, start: str) -> str:
    """Return what a paper's rows say to the claim that starts so."""
    claims = pl.read_csv(folder(paper) / "verdicts.csv")
    (numbers,) = claims.filter(pl.col("claim").str.starts_with(start))["here"]
    return numbers

"""The frontier: the units that each task needs at each lag, from the rows of trained members.

It says what training reached under a verdict, a budget and a recipe, never what a
network could hold.

The verdict, `at`, decides which members pass:

* "trained": those that are solved at the length at which they were trained.
* "steady": those that also pass on sequences `evaluation.stretch` times as long. It
  applies to streams (`Task.stream`: a longer sequence asks the same at every step) and
  members trained until steady; for others, "trained" is used.
* "up_to": those that are also right at every shorter lag. It applies to members trained
  until they are; for others, "steady" is used.

Rows of a user's own sequences with task.criterion=best have no verdict:
`memcap.own.losses` compares their widths.

The frontier takes the point of one recipe at each lag: the one with the smallest u90
(the units at which 90 % of the seeds that train at all pass), then the smallest u50,
then the most seeds passed. The point names its recipe and says how many competed,
because the best of several, judged by the seeds that chose it, looks better than it is.

For each task and lag, only the recipes with the most seeds compete (each counted at its
width with the most seeds); otherwise one lucky run of another recipe would set the
frontier. Recipes need not have the same widths, because a search chooses them for each;
a threshold beyond a recipe's widths is censored.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl

from memcap.config.knobs import UserError
from memcap.frontiers.points import Point
from memcap.store.columns import IDENTITY, evaluation_of, model_of, recipe_of, task_of
from memcap.store.rows import AT, IS_BY_LOSS, At, without_failed
from memcap.tasks import Task

COLUMNS = {"trained": "solved"}  # of rows, where a verdict has another name there


def frontier(
    rows: pl.DataFrame,
    at: At = "up_to",
    budget: int | None = None,
    confidence: float = 0.95,
) -> list[Point]:
    """Return the best recipe's point for each `Point.place`, by label, lag and length.
    No diverged member passes.

    Args:
        rows: trained members, as `memcap.store.read` returns them.
        at: the verdict that counts.
        budget: leave out recipes with more training steps than this; None: leave out none.
        confidence: level of the intervals.
    """
    return best_recipes(fit_all_recipes(rows, at, budget, confidence))


def fit_all_recipes(
    rows: pl.DataFrame,
    at: At = "up_to",
    budget: int | None = None,
    confidence: float = 0.95,
) -> list[Point]:
    """Return a point per place and recipe, for `frontier` to choose from: its
    arguments, its order."""
    if at not in AT:
        raise UserError(f"at={at}: must be one of {', '.join(AT)}")
    rows = without_failed(rows).filter(~IS_BY_LOSS)
    if budget is not None:
        rows = rows.filter(pl.col("budget") <= budget)
    stretched = pl.col("stretched").filter("solved").median()
    widths = rows.group_by(*IDENTITY, "units").agg(
        pl.col("solved", "steady", "up_to").sum(),
        pl.len().alias("runs"),
        pl.col("seed").n_unique().alias("seeds"),
        stretched,
        pl.col("final").median(),
    )
    widths = widths.sort("units").group_by(IDENTITY, maintain_order=True).agg(pl.all())
    medians = rows.group_by(IDENTITY, maintain_order=True).agg(
        pl.col("steps_to_solve").filter("solved").median(),
        pl.col("steps_to_steady").filter("steady").median(),
        pl.col("steps_to_up_to").filter("up_to").median(),
        stretched.alias("stretched_median"),
        pl.col("run_seconds").sum(),
    )
    places = medians.join(
        widths, on=IDENTITY, how="left", nulls_equal=True, maintain_order="left"
    )
    points = [_point(row, at, confidence) for row in places.iter_rows(named=True)]
    return sorted(points, key=lambda p: (p.label, p.lag, p.length))


def best_recipes(points: Iterable[Point]) -> list[Point]:
    """Choose the best recipe's point for each `Point.place`; keep their order."""
    places: dict[tuple, list[Point]] = {}
    for point in points:
        places.setdefault(point.place, []).append(point)
    return [_winner(recipes) for recipes in places.values()]


def _winner(points: list[Point]) -> Point:
    """Return the point of the best recipe that competes at one place."""
    seeds = max(p.seeds for p in points)
    rivals = [p for p in points if p.seeds == seeds]
    if len(rivals) > 1:  # a fit takes milliseconds
        rivals.sort(key=_rank)
    # One seed that passed shows that a width is enough, whichever recipe trained it.
    widths = [p.u_exist for p in points if p.u_exist is not None]
    return replace(rivals[0], recipes=len(rivals), u_exist=min(widths, default=None))


def _rank(point: Point) -> tuple[float, ...]:
    """Return a key that sorts by u90, then u50 (infinite if unreached), then by seeds passed."""
    thresholds = (point.fit.u90, point.fit.u50)
    units = [math.inf if t.censored == "above" else t.units for t in thresholds]
    return *units, -sum(point.solved)


def _verdict(at: At, task: Task, until: str) -> At:
    """Return the strictest verdict, no stricter than `at`, that applies to members
    trained until `until`."""
    if at == "up_to" and until == "up_to":
        return "up_to"
    if at != "trained" and (task.stream or until == "steady"):
        return "steady"
    return "trained"


def _point(row: dict[str, Any], at: At, confidence: float) -> Point:
    task = task_of(row["task"], row["knobs"])
    verdict = _verdict(at, task, row["evaluation_until"])
    units = tuple(row["units"])
    solved = tuple(row[COLUMNS.get(verdict, verdict)])
    passed = [u for u, count in zip(units, solved, strict=True) if count]
    return Point(
        task,
        row["lag"],
        row["length"],
        model_of(row),
        criterion=row["threshold"],
        evaluation=evaluation_of(row),
        recipe=recipe_of(row),
        recipes=1,
        at=verdict,
        u_exist=min(passed, default=None),
        units=units,
        solved=solved,
        solved_trained=tuple(row["solved"]),
        runs=tuple(row["runs"]),
        seeds=max(row["seeds"]),
        steps=row["steps_to_solve" if verdict == "trained" else f"steps_to_{verdict}"],
        stretched=row["stretched_median"],
        stretched_by_width=tuple(row["stretched"]),
        final_by_width=tuple(row["final"]),
        seconds=row["run_seconds"],
        confidence=confidence,
    )

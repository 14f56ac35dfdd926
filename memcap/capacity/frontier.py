"""The frontier: for each task and lag, how many units it takes, from the rows of trained members.

A frontier belongs to a verdict, a budget and a recipe; it says what training reached, never what a network
could hold.

Which verdict: at="steady" counts the members that also pass at the stretched length, where the task is a
stream (`Task.stream`: a longer sequence asks the same at every step), and the solved ones where it is not.
at="trained" counts the members solved at the length they were trained at, for all tasks.

Which recipe: each is fitted by itself, and the one with the smallest u90 stands for the lag; ties go to the
smaller u50, then to the one with most seeds passed. It is named, with how many competed: the best of several,
chosen on the seeds that it is judged on, looks better than it is. What competes: every recipe whose fullest
width has as many distinct seeds as any recipe's fullest width at that task and lag. Widths may differ, since
a search gives each recipe widths of its own, and a threshold with its censoring says what they left open;
seeds may not, or one lucky run of another recipe would set the frontier.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import polars as pl

from memcap.capacity.points import Point
from memcap.capacity.thresholds import fit, fit_of, posterior
from memcap.config import Evaluation
from memcap.knobs import UserError, completed, typed
from memcap.studies.rows import TRAINING, VERDICTS, At, without_failed
from memcap.tasks import task_class

CELL = ["task", "knobs", "lag", "length", "cell", "readout"]
# Members judged by different rules, or trained to different ends, are no further seeds of each other.
VERDICT = [
    "threshold",
    "evaluation_every",
    "evaluation_sequences",
    "evaluation_successive",
    "stretch",
    "evaluation_until",
]
RECIPE = ["recipe", "init", "input_bias", "forget_bias", "output_bias", "gain", "orthogonal", *TRAINING]


def frontier(
    rows: pl.DataFrame, at: At = "steady", budget: int | None = None, confidence: float = 0.95
) -> list[Point]:
    """One point per task and lag (and cell and read-out), sorted by label and lag. Diverged members count as
    not solved.

    Args:
        rows: of trained members, as `memcap.studies.store.read` gives them.
        at: the verdict that counts.
        budget: only recipes that train for at most so many steps compete; None: all.
        confidence: of the intervals.

    Raises:
        UserError: no such verdict.
    """
    return best_recipes(fit_all_recipes(rows, at, budget, confidence))


def fit_all_recipes(
    rows: pl.DataFrame, at: At = "steady", budget: int | None = None, confidence: float = 0.95
) -> list[Point]:
    """One point for each task, lag and recipe: what `frontier` chooses from; arguments and order as there."""
    if at not in VERDICTS:
        raise UserError(f"at={at}: must be one of {', '.join(VERDICTS)}")
    rows = without_failed(rows)
    if budget is not None:
        rows = rows.filter(pl.col("budget") <= budget)
    points = [
        _point(recipe, at, confidence)
        for _, group in rows.group_by(CELL + VERDICT, maintain_order=True)
        for _, recipe in group.group_by(RECIPE, maintain_order=True)
    ]
    return sorted(points, key=lambda p: (p.label, p.lag, p.length))


def best_recipes(points: Iterable[Point]) -> list[Point]:
    """The frontier of some recipes' points, as `fit_all_recipes` gives them, in their order."""
    places: dict[tuple, list[Point]] = {}
    for point in points:
        places.setdefault(point.place, []).append(point)
    return [_winner(recipes) for recipes in places.values()]


def _winner(points: list[Point]) -> Point:
    """The point that stands for all recipes of one task and lag."""
    seeds = max(p.seeds for p in points)
    fair = [p for p in points if p.seeds == seeds]
    exist = [p.u_exist for p in points if p.u_exist is not None]
    return replace(min(fair, key=_rank), recipes=len(fair), u_exist=min(exist, default=None))


def _rank(point: Point) -> tuple[float, ...]:
    """Smallest u90 first, "not reached" last; then u50, then most passed."""
    measured = [math.inf if t.censored == "above" else t.units for t in (point.fit.u90, point.fit.u50)]
    return *measured, -sum(point.solved)


def _point(rows: pl.DataFrame, at: At, confidence: float) -> Point:
    """The point of one recipe's rows at one task and lag."""
    first = rows.row(0, named=True)
    task = task_class(first["task"])
    verdict: At = "steady" if at == "steady" and task.stream else "trained"
    passed, steps = ("steady", "steps_to_steady") if verdict == "steady" else ("solved", "steps_to_solve")
    counts = (
        rows.group_by("units")
        .agg(
            pl.col(passed).sum().alias("passed"),
            pl.col("solved").sum(),
            pl.len().alias("runs"),
            pl.col("seed").n_unique().alias("seeds"),
            pl.col("stretched").filter("solved").median(),
        )
        .sort("units")
    )
    units, count, solved, runs, stretched = (
        counts[c].to_list() for c in ("units", "passed", "solved", "runs", "stretched")
    )
    post = posterior(units, count, runs)
    fitted = fit_of(post, confidence)
    evaluation = Evaluation(
        *(first[f"evaluation_{k}"] for k in ("every", "sequences", "successive")),
        first["stretch"],
        first["evaluation_until"],
    )
    return Point(
        typed(task, completed(task, json.loads(first["knobs"])), "task"),
        *(first[k] for k in ("lag", "length", "cell", "readout")),
        threshold=first["threshold"],
        evaluation=evaluation,
        recipe={k: first[k] for k in RECIPE},
        recipes=1,
        at=verdict,
        u_exist=fitted.u_exist,
        units=tuple(units),
        solved=tuple(count),
        runs=tuple(runs),
        seeds=int(np.max(counts["seeds"].to_numpy())),
        fit=fitted,
        posterior=post,
        trained=fitted if count == solved else fit(units, solved, runs, confidence),
        steps=_median(rows.filter(passed)[steps]),
        stretched=_median(rows.filter("solved")["stretched"]),
        stretched_by_width=tuple(stretched),
    )


def _median(values: pl.Series) -> float | None:
    known = values.drop_nulls()
    return None if known.is_empty() else float(np.median(known.to_numpy()))

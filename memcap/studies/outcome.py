"""The end of a job or a multirun: what the rows say. Where widths were swept the figure is drawn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from memcap import figures
from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point
from memcap.studies import store


@dataclass(frozen=True)
class Outcome:
    """What a job, or all jobs of a multirun, found.

    Args:
        rows: theirs.
        folder: the study's folder.
        points: the frontier of these rows; none where the members say all.
        picture: the study's figure; None where none was drawn.
        table: the numbers drawn in it, one dict a row.
    """

    rows: pl.DataFrame
    folder: Path
    points: tuple[Point, ...] = ()
    picture: Path | None = None
    table: tuple[dict[str, Any], ...] = ()


def conclude(rows: pl.DataFrame, folder: Path) -> Outcome:
    """Fit the frontier and draw the figure into folder/figures/, unless all is of one width.

    Args:
        rows: of the job, or of all jobs of a multirun.
        folder: the study's folder.

    Raises:
        UserError: the figure cannot be written.
    """
    points = tuple(frontier(rows))
    if all(len(p.units) == 1 for p in points):
        return Outcome(rows, folder)
    drawn = figures.find("frontier").draw(
        store.read(folder)
    )  # the picture is the study's, which may hold more than this job
    picture = figures.save(drawn, folder / "figures", "frontier")
    return Outcome(rows, folder, points, picture, tuple(drawn.data.to_dicts()))


def score(rows: pl.DataFrame) -> float:
    """The number that a job returns, for a sweeper that minimizes: the mean number of training steps that it
    took to solve.

    A member that was not solved counts as twice its budget: worse than any that was ("PAR2" in the comparison
    of solvers).

    Args:
        rows: the job's. Without any, as in a share that has no members, the score is 0.
    """
    if rows.is_empty():
        return 0.0
    steps = pl.when("solved").then("steps_to_solve").otherwise(2 * pl.col("budget"))
    return float(rows.select(steps.mean()).item())

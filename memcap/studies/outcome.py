"""The end of a job: what its rows say. Where it swept widths the study's figure is drawn, and the tracker is told."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap import figures
from memcap.capacity.frontier import Point, frontier
from memcap.figures import frontier as figure
from memcap.studies import store
from memcap.tracking import Tracker


@dataclass(frozen=True)
class Outcome:
    """What a job found.

    Args:
        rows: the job's rows.
        folder: the study's folder.
        points: the frontier of these rows; none where the members say all.
        picture: the study's figure; None where none was drawn.
    """

    rows: pl.DataFrame
    folder: Path
    points: tuple[Point, ...] = ()
    picture: Path | None = None


def conclude(rows: pl.DataFrame, folder: Path, study: str, tracker: Tracker, quiet: bool) -> Outcome:
    """Fit the frontier, draw the figure into folder/figures/ and hand both to the tracker.

    Args:
        rows: the job's rows.
        folder: the study's folder.
        study: name for the tracker.
        tracker: gets the frontier's table and picture.
        quiet: for a job of a multirun, which has neither; nor has a job of one width.

    Raises:
        UserError: the figure cannot be written.
    """
    points = tuple(frontier(rows))
    if quiet or all(len(p.units) == 1 for p in points):
        return Outcome(rows, folder)
    drawn = figure.draw(store.read(folder))  # the picture is the study's, which may hold more than this job
    picture = figures.save(drawn, folder / "figures", "frontier")
    tracker.study(study, drawn.data.to_dicts(), picture)
    return Outcome(rows, folder, points, picture)

"""The end of a job: its frontier, its figure and its score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap import figures, store
from memcap.frontiers.frontier import Point, frontier
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.words import loss_table
from memcap.report.tables import rows_table, short_table
from memcap.store.rows import IS_BY_LOSS, JUDGED, right_at_every_lag, without_failed
from memcap.terminal.printing import show
from memcap.terminal.words import plural


@dataclass(frozen=True)
class Summary:
    """The results of a job, or of all jobs of a multirun."""

    rows: pl.DataFrame  # their rows
    folder: Path  # the study's folder
    # the frontier of these rows; empty if listing the members says all
    points: Sequence[Point] = ()
    picture: Path | None = None  # the study's figure; None if none was drawn
    # loss curves of the study's members that are judged by their held-out loss
    curves: Sequence[LossCurve] = ()


@figures.own_style()
def summarize(rows: pl.DataFrame, folder: Path) -> Summary:
    """Fit the frontier of a job, or of all jobs of a multirun, and draw the figure into
    folder/figures/, unless there is only one width; raise UserError if that cannot be
    written."""
    points = frontier(rows)
    by_loss = rows.filter(IS_BY_LOSS).height > 0
    if not by_loss and all(len(point.units) == 1 for point in points):
        return Summary(rows, folder)
    # the picture shows the whole study, which may have more than this job
    study = store.read(folder)
    name = "held_out" if by_loss else "frontier"
    drawing = figures.find(name).draw(study)
    picture = figures.save(drawing, folder / "figures", name)
    curves = loss_curves(study) if by_loss else ()
    return Summary(rows, folder, points, picture, curves)


def print_summary(summary: Summary) -> None:
    """Print the frontier and the path of its figure, or the members; then their number
    and folder."""
    for curve in summary.curves:
        show(loss_table(curve))
    if summary.points:
        show(short_table(summary.points, summary.folder))
    elif not summary.curves:
        show(rows_table(summary.rows))
    if summary.picture is not None:
        print(f"Figure: {summary.picture} (data beside it)")
    print(f"{totals(summary.rows)}. Rows and weights: {summary.folder}")


def par2_score(rows: pl.DataFrame) -> float:
    """Return the score of a job, for a sweeper that minimizes: the mean training steps
    until members are solved, or right at every lag up to their own if they train for
    that.

    A member that did not get there counts as twice its budget, worse than any that did
    ("PAR2" in comparisons of solvers). Without rows, as in a share without members, the
    score is 0.
    """
    if rows.is_empty():
        return 0.0
    is_up_to = pl.when(evaluation_until="up_to")
    steps = is_up_to.then("steps_to_up_to").otherwise("steps_to_solve")
    return rows.select(steps.fill_null(2 * pl.col("budget")).mean()).item()


def totals(rows: pl.DataFrame) -> str:
    """Count the members, and those that were solved or failed, in words."""
    failed = rows.height - without_failed(rows).height
    counts = f"{plural(rows.height, 'member')}, {int(rows['solved'].sum()):,} solved"
    if rows.height and rows.filter(IS_BY_LOSS).height == rows.height:
        counts = f"{plural(rows.height, 'member')}, {JUDGED}"
    if (every := right_at_every_lag(rows)) is not None:
        counts += f", {every:,} of them at every lag up to their own"
    if failed:
        counts += f", {failed:,} failed (the same command trains these again)"
    return counts

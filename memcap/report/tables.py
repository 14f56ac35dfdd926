"""Tables of rows and of the frontier; the summary and the score of a job."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap import figures, store
from memcap.frontiers.frontier import Point, columns, frontier
from memcap.frontiers.words import (
    fall_words,
    interval_text,
    scores_words,
    seeds_to_close,
)
from memcap.knobs import UserError
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.words import loss_table
from memcap.rule import SHORTER_LAGS
from memcap.runtime.plugins import command_with_modules
from memcap.store.columns import IDENTITY, START, Row
from memcap.store.rows import IS_BY_LOSS, JUDGED, right_at_every_lag, without_failed
from memcap.terminal.words import Column, Listing, NumberColumn, number, plural, show

TITLE = "Training frontier: units that a task needs at a lag"
SHOWN_ROWS = 20
OPEN_NOTE = "open: so few seeds set no bound there; [20, open] is at least 20."
MOST_NOTES = 3  # lags for which the table says how to close their intervals
UNTRAINED = "most failed"
MISFIT = "misfit"
FALLS = "falls"
HALF = (
    "width at which half of the seeds that train at all pass, with a 95 % interval (<=: the"
    " narrowest width tried is enough; >: the widest is not)"
)
FRONTIER = (
    Column("task", folds=True),
    NumberColumn("lag"),
    Column("verdict", "verdict that counts as a pass"),
    NumberColumn("any seed", "smallest width at which a seed passed"),
    NumberColumn("75 %", "smallest width at which 75 % of the seeds passed"),
    Column("u50", HALF),
    Column("u90", "the same for 90 % of them"),
    Column("u50 trained", "u50 at the trained length alone"),
    Column("u90 trained"),
    NumberColumn(
        "floor", "units that the bits need at least, in any network of float32 numbers"
    ),
    NumberColumn("read-out", "units that a linear read-out needs at least"),
    NumberColumn("one/number", "units with one carry number for each symbol held"),
    NumberColumn("constructed", "units with which weights set by hand solve it"),
    Column("recipe"),
    NumberColumn("lr"),
    NumberColumn("budget", "most training steps"),
    NumberColumn("seeds", "most seeds per width"),
    Column("passed", "passed of trained seeds, by units", folds=True),
)
VERDICT_NOTES = {
    "anywhere": (
        "anywhere: the same weights also pass at every shorter lag, wherever in a sequence it"
        " begins."
    ),
    "up_to": "up_to: the same weights also pass at every shorter lag.",
    "steady": "steady: the same weights also pass at the stretched length.",
    "trained": (
        "trained: pass at exactly the lag and length they were trained at; shorter lags may fail."
    ),
}
FRONTIER_DROPS = (
    "75 %",
    "any seed",
    "constructed",
    "one/number",
    "u50 trained",
    "u90 trained",
    "seeds",
    "floor",
    "read-out",
    "lr",
    "budget",
    "verdict",
    "recipe",
    "passed",
)
# the heads whose values are those of `memcap frontier --json`, by their names there
AS_IN_JSON = {
    "task": "label",
    "lag": "lag",
    "verdict": "at",
    "any seed": "u_exist",
    "75 %": "u75_observed",
    "floor": "information_floor",
    "read-out": "readout_floor",
    "one/number": "one_per_number",
    "constructed": "constructed",
    "budget": "budget",
    "seeds": "seeds",
}
SHORT = ("task", "lag", "u50", "u90", "passed")
TELL_APART = ("verdict", "recipe", "lr", "budget")
MEMBERS = (
    *(Column(head) for head in ("key", "task")),
    *(NumberColumn(head) for head in ("lag", "units", "layers", "seed")),
    *(Column(head) for head in ("cell", "recipe", "status")),
    NumberColumn("steps", "training steps taken"),
    NumberColumn("final", "last held-out score"),
    NumberColumn("stretched", "the same at the stretched length"),
    NumberColumn("budget", "most training steps"),
)
DECIDERS = (
    "task",
    "lag",
    "cell",
    "recipe",
)  # these decide the other values of members, unless those are set
NOT_SWEPT = (
    "knobs",
    "threshold",
    *(name for name in START if name != "forget_bias"),
)  # follow from others
CHANCE = "chance"
MEMBERS_DROPS = (
    "budget",
    "stretched",
    "final",
    "steps",
    "cell",
    "recipe",
    "task",
    "seed",
    "lag",
    "units",
)


def threshold_text(point: Point, name: str) -> str:
    return interval_text(getattr(point.fit, name)) if point.trains else UNTRAINED


def frontier_table(points: Sequence[Point]) -> Listing:
    empty = {"verdict", "u50 trained", "u90 trained"}
    if any(point.at != "trained" for point in points):
        empty = set()
    if all(point.references.readout_floor == 1 for point in points):
        empty.add("read-out")
    heads = [column for column in FRONTIER if column.head not in empty]
    lines = [_line(point) for point in points]
    rows = [[line[column.head] for column in heads] for line in lines]
    notes = _verdict_notes(points)
    if any(point.recipes > 1 for point in points):
        notes.append("best of k recipes: chosen on the seeds that it is judged on.")
    notes += _warnings(points)
    opened = {point: seeds_to_close(point) for point in points if point.trains}
    if more := _some(opened, ", "):
        notes.append(f"{OPEN_NOTE} To close such intervals: {more}.")
    return Listing(TITLE, heads, rows, FRONTIER_DROPS, notes)


def _line(point: Point) -> Row:
    row = columns(point)
    strict = point.at != "trained"
    recipe = row["recipe"]
    if point.recipes > 1:
        recipe += f" (best of {point.recipes})"
    flags = [MISFIT] * (not point.fit.fits) + [FALLS] * (point.fit.fall is not None)
    return {head: row[name] for head, name in AS_IN_JSON.items()} | {
        "u50": threshold_text(point, "u50"),
        "u90": threshold_text(point, "u90"),
        "u50 trained": interval_text(point.trained_fit.u50) if strict else "",
        "u90 trained": interval_text(point.trained_fit.u90) if strict else "",
        "recipe": recipe,
        "lr": f"{row['lr']:g}",
        "passed": " ".join([row["counts"], *flags]),
    }


def short_table(points: Sequence[Point], folder: Path) -> Listing:
    """Return the columns for a newcomer, and the command for the others."""
    whole = frontier_table(points)
    heads = [column.head for column in whole.columns]
    table = pl.DataFrame(whole.texts, heads, orient="row")

    def lines(*others: str) -> int:
        return table.select("task", "lag", *others).n_unique()

    subset = [
        column
        for column in whole.columns
        if column.head in SHORT
        or (column.head in TELL_APART and lines(column.head) > lines())
    ]
    rows = table.select(column.head for column in subset).rows()
    notes = _verdict_notes(points)
    if any("open" in cell for row in rows for cell in row):
        notes.append(OPEN_NOTE)
    names = {name for point in points for name in (point.task.name, point.model.cell)}
    command = command_with_modules(names, "frontier", str(folder))
    other = f"Other columns, and seeds that close open intervals: {command}"
    return Listing(
        TITLE, subset, rows, FRONTIER_DROPS, [*notes, *_warnings(points), other]
    )


def _verdict_notes(points: Sequence[Point]) -> list[str]:
    verdicts = {point.at for point in points}
    return [text for verdict, text in VERDICT_NOTES.items() if verdict in verdicts]


def _warnings(points: Sequence[Point]) -> list[str]:
    notes = []
    untrained = {point: scores_words(point) for point in points if not point.trains}
    if untrained:
        notes.append(
            f"{UNTRAINED}: under half of the seeds passed at every width, and wider nets did no"
            " better. Train longer, or change the recipe; still wider nets may pass."
            f" {_some(untrained)}."
        )
    if any(not point.fit.fits for point in points):
        notes.append(
            f"{MISFIT}: counts that do not rise with the width as the model expects; train more"
            " seeds there."
        )
    falls = {
        point: fall_words(point.fit.fall)
        for point in points
        if point.fit.fall is not None
    }
    if falls:
        notes.append(
            f"{FALLS}: beyond chance; the thresholds are of the widths before that."
            f" {_some(falls)}."
        )
    return notes


def _some(texts: Mapping[Point, str | None], sign: str = ": ") -> str:
    lines = [
        f"{point.label} at lag {point.lag}{sign}{text}"
        for point, text in texts.items()
        if text
    ]
    return "; ".join(lines[:MOST_NOTES]) + "; ..." * (len(lines) > MOST_NOTES)


def rows_table(rows: pl.DataFrame) -> Listing:
    rows, swept = _with_swept(rows)
    several = (rows["layers"] > 1).any()
    columns = [each for each in MEMBERS if several or each.head != "layers"]
    place = [each.head for each in columns].index("status")
    columns[place:place] = [NumberColumn(name) for name in swept]
    lines = []
    notes = []
    for row in rows.head(SHOWN_ROWS).iter_rows(named=True):
        if _is_chance(row):
            row["stretched"] = f"{number(row['stretched'])} ({CHANCE})"
            notes = [f"{CHANCE}: about what a net without memory has there."]
        lines.append([row[column.head] for column in columns])
    if rows.height > SHOWN_ROWS:
        notes.append(f"The first {SHOWN_ROWS} of {rows.height}.")
    return Listing("Members", columns, lines, (*MEMBERS_DROPS, *swept), notes)


def _with_swept(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Add a column for each knob of the rows' tasks; return also the names of those
    that tell members apart."""
    knobs = {text: json.loads(text) for text in rows["knobs"].unique()}
    names = sorted({name for each in knobs.values() for name in each})
    own = {
        f"task.{name}": {text: str(each.get(name, "")) for text, each in knobs.items()}
        for name in names
    }
    rows = rows.with_columns(
        pl.col("knobs").replace_strict(values, return_dtype=pl.String).alias(head)
        for head, values in own.items()
    )
    told = {*NOT_SWEPT, *(each.head for each in MEMBERS)}
    choices = [*own, *(name for name in IDENTITY if name not in told)]
    differ = (
        rows.group_by(DECIDERS)
        .agg(pl.col(choices).n_unique() > 1)
        .select(pl.col(choices).any())
    )
    return rows, [name for name in choices if differ[name].item()]


def _is_chance(row: Row) -> bool:
    if row["stretched"] is None:
        return False
    try:
        task = store.task_of(row["task"], row["knobs"])
    except UserError:  # this process has not imported the task
        return False
    return task.is_chance(row["stretched"], *task.stretched(row["lag"], row["stretch"]))


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


def summarize(rows: pl.DataFrame, folder: Path) -> Summary:
    """Fit the frontier, and draw the figure into folder/figures/ if there are several
    widths; raise UserError if that cannot be written."""
    points = frontier(rows)
    by_loss = rows.filter(IS_BY_LOSS).height > 0
    if not by_loss and all(len(point.units) == 1 for point in points):
        return Summary(rows, folder)
    # the picture shows the whole study, which may have more than this job
    study = store.read(folder)
    name = "held_out" if by_loss else "frontier"
    with figures.own_style():
        drawing = figures.find(name).draw(study)
        picture = figures.save(drawing, folder / "figures", name)
    curves = loss_curves(study) if by_loss else ()
    return Summary(rows, folder, points, picture, curves)


def print_summary(summary: Summary) -> None:
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
    """Return the score of a job, for a sweeper that minimizes: mean training steps
    until members are solved, or right at every lag if they train for that.

    A member that did not get there counts twice its budget ("PAR2" in comparisons of
    solvers). Without rows, as in an empty share, the score is 0.
    """
    if rows.is_empty():
        return 0.0
    steps = pl.col("steps_to_solve")
    for until in SHORTER_LAGS:
        steps = (
            pl.when(evaluation_until=until).then(f"steps_to_{until}").otherwise(steps)
        )
    return rows.select(steps.fill_null(2 * pl.col("budget")).mean()).item()


def totals(rows: pl.DataFrame) -> str:
    failed = rows.height - without_failed(rows).height
    counts = f"{plural(rows.height, 'member')}, {int(rows['solved'].sum()):,} solved"
    if rows.height and rows.filter(IS_BY_LOSS).height == rows.height:
        counts = f"{plural(rows.height, 'member')}, {JUDGED}"
    if (every := right_at_every_lag(rows)) is not None:
        counts += f", {every:,} of them at every lag up to their own"
    if failed:
        counts += f", {failed:,} failed (the same command trains these again)"
    return counts

"""Tables of rows and of the frontier."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from memcap import store
from memcap.config.knobs import UserError
from memcap.frontiers.points import Point, columns
from memcap.frontiers.words import (
    fall_words,
    interval_text,
    scores_words,
    seeds_to_close,
)
from memcap.store.columns import IDENTITY, START
from memcap.terminal.printing import Column, Listing, number

TITLE = "Training frontier: units that a task needs at a lag"
SHOWN_ROWS = 20
OPEN_NOTE = "open: so few seeds set no bound there; [20, open] is at least 20."
MOST_NOTES = 3  # lags for which the table says how to close their intervals
UNTRAINED = "too few pass"
MISFIT = "misfit"
FALLS = "falls"
HALF = (
    "units at which half of the seeds that train at all pass, with a 95 % interval (<=: the"
    " narrowest width tried is enough; >: the widest is not)"
)
FRONTIER = (
    Column("task", folds=True),
    Column("lag", right=True),
    Column("verdict", "verdict that counts as a pass"),
    Column("any seed", "smallest width at which a seed passed", right=True),
    Column("75 %", "smallest width at which 75 % of the seeds passed", right=True),
    Column("u50", HALF),
    Column("u90", "units at which 90 % of the seeds that train at all pass"),
    Column("u50 trained", "u50 at the trained length alone"),
    Column("u90 trained"),
    Column(
        "floor",
        "units that the bits need at least, in any network of float32 numbers",
        right=True,
    ),
    Column(
        "one/number", "units with one carry number for each symbol held", right=True
    ),
    Column("constructed", "units with which weights set by hand solve it", right=True),
    Column("recipe"),
    Column("lr", "learning rate", right=True),
    Column("budget", "most training steps", right=True),
    Column("seeds", "most seeds per width", right=True),
    Column("passed", "passed of trained seeds, by units", folds=True),
)
VERDICT_NOTES = {
    "up_to": "up_to: the same weights also pass at every shorter lag.",
    "steady": "steady: the same weights also pass at the stretched length.",
    "trained": (
        "trained: pass at exactly the lag and length they were trained at; shorter lags may fail."
    ),
}
FRONTIER_DROPS = (
    *(
        "75 %",
        "any seed",
        "constructed",
        "one/number",
        "u50 trained",
        "u90 trained",
        "seeds",
    ),
    *("floor", "lr", "budget", "verdict", "recipe", "passed"),
)
SHORT = ("task", "lag", "u50", "u90", "passed")
TELL_APART = ("verdict", "recipe", "lr", "budget")
MEMBERS = (
    *(Column(head) for head in ("key", "task")),
    *(Column(head, right=True) for head in ("lag", "units", "layers", "seed")),
    *(Column(head) for head in ("cell", "recipe", "status")),
    Column("steps", "training steps taken", right=True),
    Column("final", "last held-out score", right=True),
    Column("stretched", "the same at the stretched length", right=True),
    Column("budget", "most training steps", right=True),
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
    "cell",
    "budget",
    "recipe",
    "stretched",
    "final",
    "steps",
    "task",
    "seed",
    "lag",
    "units",
)


def threshold_text(point: Point, name: str) -> str:
    """Say a threshold of a point, "u50" or "u90", with its interval, or that no recipe
    trains the task."""
    return interval_text(getattr(point.fit, name)) if point.trains else UNTRAINED


def frontier_table(points: Sequence[Point]) -> Listing:
    """Return one line per task and lag."""
    verdicts = {point.at for point in points}
    both = verdicts != {"trained"}  # otherwise there is only one verdict
    rows = []
    for point in points:
        row = columns(point)
        strict = point.at != "trained"
        rows.append(
            {
                "task": point.label,
                "lag": number(row["lag"]),
                "verdict": point.at,
                "any seed": number(row["u_exist"]),
                "75 %": number(row["u75_observed"]),
                "u50": threshold_text(point, "u50"),
                "u90": threshold_text(point, "u90"),
                "u50 trained": interval_text(point.trained.u50) if strict else "",
                "u90 trained": interval_text(point.trained.u90) if strict else "",
                "floor": number(row["information_floor"]),
                "one/number": number(row["one_per_number"]),
                "constructed": number(row["constructed"]),
                "recipe": (
                    row["recipe"]
                    + (f" (best of {point.recipes})" if point.recipes > 1 else "")
                ),
                "lr": f"{row['lr']:g}",
                **{name: str(row[name]) for name in ("budget", "seeds")},
                "passed": " ".join([row["counts"], *_flags(point)]),
            }
        )
    notes = [text for verdict, text in VERDICT_NOTES.items() if verdict in verdicts]
    if any(point.recipes > 1 for point in points):
        notes.append("best of k recipes: chosen on the seeds that it is judged on.")
    opened = [(point, seeds_to_close(point)) for point in points if point.trains]
    more = [
        f"{point.label} at lag {point.lag}, {text}" for point, text in opened if text
    ]
    some = "; ".join(more[:MOST_NOTES]) + "; ..." * (len(more) > MOST_NOTES)
    close = [f"{OPEN_NOTE} To close such intervals: {some}."]
    only_both = () if both else ("verdict", "u50 trained", "u90 trained")
    heads = [each for each in FRONTIER if each.head not in only_both]
    lines = [[row[each.head] for each in heads] for row in rows]
    notes += [*_warnings(points), *close * bool(more)]
    return Listing(TITLE, heads, lines, FRONTIER_DROPS, notes)


def short_table(points: Sequence[Point], folder: Path) -> Listing:
    """Return the frontier's columns for a newcomer, those that distinguish lines of one
    task and lag, and the command for the others."""
    whole = frontier_table(points)
    at = [column.head for column in whole.columns]

    def differs(head: str) -> bool:
        lines = {
            (row[at.index("task")], row[at.index("lag")], row[at.index(head)])
            for row in whole.rows
        }
        return len(lines) > len({line[:2] for line in lines})

    places = [
        place
        for place, head in enumerate(at)
        if head in SHORT or (head in TELL_APART and differs(head))
    ]
    heads = [whole.columns[place] for place in places]
    rows = [[row[place] for place in places] for row in whole.rows]
    other = (
        "Other columns, and seeds that close open intervals: memcap frontier"
        f" {shlex.quote(str(folder))}"
    )
    verdicts = {point.at for point in points}
    notes = [text for verdict, text in VERDICT_NOTES.items() if verdict in verdicts]
    notes += [OPEN_NOTE] * any("open" in cell for row in rows for cell in row)
    return Listing(
        TITLE, heads, rows, FRONTIER_DROPS, [*notes, *_warnings(points), other]
    )


def _warnings(points: Sequence[Point]) -> list[str]:
    """Return the lines that explain words in place of numbers."""
    notes = []
    if untrained := [point for point in points if not point.trains]:
        some = "; ".join(
            f"{p.label} at lag {p.lag}: {scores_words(p)}"
            for p in untrained[:MOST_NOTES]
        )
        more = "; ..." * (len(untrained) > MOST_NOTES)
        notes.append(
            f"{UNTRAINED}: under half of the seeds at every width, and no more with more units,"
            f" which says nothing of wider nets; try other recipes first. {some}{more}."
        )
    if any(not point.fit.fits for point in points):
        notes.append(
            f"{MISFIT}: counts that do not rise with the width as the model expects; train more"
            " seeds there."
        )
    falls = [
        (point, fall_words(point.fit.fall))
        for point in points
        if point.fit.fall is not None
    ]
    if falls:
        some = "; ".join(
            f"{p.label} at lag {p.lag}: {words}" for p, words in falls[:MOST_NOTES]
        )
        more = "; ..." * (len(falls) > MOST_NOTES)
        notes.append(
            f"{FALLS}: beyond chance; the thresholds are of the widths before that. {some}{more}."
        )
    return notes


def _flags(point: Point) -> list[str]:
    """Return words for counts that differ from what the model expects."""
    return [MISFIT] * (not point.fit.fits) + [FALLS] * (point.fit.fall is not None)


def counts_table(rows: pl.DataFrame) -> Listing:
    """Return one line per task, lag, cell and recipe, from the columns of rows whose
    tasks or cells are unknown here."""
    same = ["task", "knobs", "lag", "cell", "recipe"]
    widths = rows.group_by(*same, "units", maintain_order=True).agg(
        pl.col("solved").sum(), pl.len()
    )
    counts = pl.format("{}:{}/{}", "units", "solved", "len").str.join(" ")
    lines = widths.sort(*same, "units").group_by(same, maintain_order=True).agg(counts)
    heads = [Column(head, folds=head == "knobs") for head in (*same, "solved")]
    note = "Their frontier is fitted, too, once what the lines on stderr name is there."
    title = "Members whose tasks or cells are not here, as their columns describe them"
    cells = [[str(cell) for cell in line] for line in lines.rows()]
    return Listing(title, heads, cells, ("knobs", "recipe"), [note])


def rows_table(rows: pl.DataFrame) -> Listing:
    """Return one line per member, with the swept values, and a word if a score is at chance."""
    rows, swept = _with_swept(rows)
    columns = [
        each for each in MEMBERS if each.head != "layers" or (rows["layers"] > 1).any()
    ]
    place = [each.head for each in columns].index("status")
    heads = [
        *columns[:place],
        *(Column(name, right=True) for name in swept),
        *columns[place:],
    ]
    some = rows.head(SHOWN_ROWS)
    table = {
        each.head: [
            str(v) if isinstance(v, (str, int)) else number(v) for v in some[each.head]
        ]
        for each in heads
    }
    chances = [_is_chance(row) for row in some.iter_rows(named=True)]
    table["stretched"] = [
        f"{score} ({CHANCE})" if is_chance else score
        for score, is_chance in zip(table["stretched"], chances, strict=True)
    ]
    notes = (
        [f"{CHANCE}: about what a net without memory has there."]
        if any(chances)
        else []
    )
    notes += (
        [f"The first {SHOWN_ROWS} of {rows.height}."]
        if rows.height > SHOWN_ROWS
        else []
    )
    return Listing(
        "Members",
        heads,
        [*zip(*table.values(), strict=True)],
        (*MEMBERS_DROPS, *swept),
        notes,
    )


def _with_swept(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Add a column for each knob of the rows' tasks.

    Returns:
        The rows, and the further columns that distinguish members which are alike in `MEMBERS`.
    """
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


def _is_chance(row: dict[str, Any]) -> bool:
    """Check whether a score at the stretched length is about that of a net without memory."""
    if row["stretched"] is None:
        return False
    try:
        task = store.task_of(row["task"], row["knobs"])
    except UserError:  # this process has not imported the task
        return False
    return task.is_chance(row["stretched"], *task.stretched(row["lag"], row["stretch"]))

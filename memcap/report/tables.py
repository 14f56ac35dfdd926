"""What is printed of trained members: tables of rows and of the frontier, and what stands at the end of a
job."""

import math
from collections.abc import Iterable, Sequence

import polars as pl

from memcap.capacity.points import Point, columns
from memcap.capacity.thresholds import Threshold
from memcap.printing import Column, Listing, number, show
from memcap.studies.outcome import Outcome
from memcap.studies.rows import without_failed

SHOWN_ROWS = 20
HALF = (
    "units at which half of the seeds that train at all pass, and a 95 % interval"
    " (<=: the narrowest tried is enough; >: the widest is not)"
)
FRONTIER = (
    Column("task"),
    Column("lag", right=True),
    Column("verdict", "what counts as a pass"),
    Column("exist", "smallest width at which any seed passed", right=True),
    Column("3/4 pass", "smallest at which three in four did", right=True),
    Column("u50", HALF),
    Column("u90", "the same for nine in ten"),
    Column("u50 trained", "the same at the trained length alone"),
    Column("u90 trained"),
    Column("floor", "units that the bits to hold need in any network of float32 numbers", right=True),
    Column("one/number", "units that own a carry number for each symbol held", right=True),
    Column("constructed", "units with which hand-set weights solve it", right=True),
    Column("recipe"),
    Column("lr", "learning rate", right=True),
    Column("budget", "most training steps", right=True),
    Column("seeds", "at most, a width", right=True),
    Column("passed", "of how many runs, by units"),
)
FRONTIER_DROPS = (
    *("passed", "3/4 pass", "exist", "constructed", "one/number", "u50 trained", "u90 trained", "seeds"),
    *("floor", "verdict", "recipe", "lr", "budget"),
)
MEMBERS = (
    *(Column(head) for head in ("key", "task")),
    *(Column(head, right=True) for head in ("lag", "units", "seed")),
    *(Column(head) for head in ("cell", "recipe", "status")),
    Column("steps", "taken", right=True),
    Column("final", "last held-out score", right=True),
    Column("stretched", "the same at the stretched length", right=True),
    Column("budget", "most training steps", right=True),
)
MEMBERS_DROPS = ("cell", "budget", "recipe", "stretched", "final", "steps", "task", "seed", "lag", "units")


def shown(threshold: Threshold) -> str:
    """A threshold with its interval; "<=" or ">" where it is censored. An end that the widths tried leave
    open is called so."""
    low, high = number(threshold.low), "open" if math.isinf(threshold.high) else number(threshold.high)
    sign = {"no": "", "below": "<= ", "above": "> "}[threshold.censored]
    said = f"{sign}{number(threshold.units)}"
    if threshold.low == threshold.high or (sign and threshold.low == 1 and math.isinf(threshold.high)):
        return said  # nothing is open, or all
    return f"{said} [{low}, {high}]"


def frontier_table(points: Sequence[Point]) -> Listing:
    """One line a task and lag."""
    both = any(point.at == "steady" for point in points)  # else the verdicts are one
    rows = []
    for point in points:
        row = columns(point)
        trained = {"u50": point.trained.u50, "u90": point.trained.u90}
        rows.append(
            {
                "task": point.label,
                "lag": number(row["lag"]),
                "verdict": point.at,
                "exist": number(row["u_exist"]),
                "3/4 pass": number(row["u75_observed"]),
                "u50": shown(point.fit.u50),
                "u90": shown(point.fit.u90),
                **{
                    f"{name} trained": shown(t) if point.at == "steady" else "" for name, t in trained.items()
                },
                "floor": number(row["information_floor"]),
                "one/number": number(row["one_per_number"]),
                "constructed": number(row["constructed"]),
                "recipe": row["recipe"] + (f" (best of {point.recipes})" if point.recipes > 1 else ""),
                "lr": f"{row['lr']:g}",
                **{name: str(row[name]) for name in ("budget", "seeds")},
                "passed": row["counts"],
            }
        )
    notes = []
    if both:
        notes.append(
            "steady: the same weights also pass at the stretched length; trained: they pass at the trained"
            " one."
        )
    if any(point.recipes > 1 for point in points):
        notes.append("best of k recipes: chosen on the seeds it is judged on.")
    shown_columns = [
        each for each in FRONTIER if both or each.head not in ("verdict", "u50 trained", "u90 trained")
    ]
    return Listing(
        "Training frontier: units that a task needs at a lag",
        shown_columns,
        [[row[each.head] for each in shown_columns] for row in rows],
        FRONTIER_DROPS,
        notes,
    )


def rows_table(rows: pl.DataFrame) -> Listing:
    """One line a member."""
    heads = [each.head for each in MEMBERS]
    cells = [
        [str(v) if isinstance(v, (str, int)) else number(v) for v in row]
        for row in rows.head(SHOWN_ROWS).select(heads).iter_rows()
    ]
    notes = [f"The first {SHOWN_ROWS} of {rows.height}."] if rows.height > SHOWN_ROWS else []
    return Listing("Members", MEMBERS, cells, MEMBERS_DROPS, notes)


def print_outcome(outcome: Outcome) -> None:
    """Say what a job found: its members, or the frontier and where its figure is; then how many, and where
    they are kept."""
    show(frontier_table(outcome.points) if outcome.points else rows_table(outcome.rows))
    if outcome.picture is not None:
        print(f"Figure: {outcome.picture} (data beside it)")
    print(f"{counted(outcome.rows)}. Rows and weights: {outcome.folder}")


def print_places(places: Iterable[str]) -> None:
    """Say where runs are (`memcap.tracking.MirrorProcess.where`)."""
    for place in filter(None, places):
        print(place)


def counted(rows: pl.DataFrame) -> str:
    """How many members there are, how many were solved, and how many failed, which the same command trains
    again."""
    failed = rows.height - without_failed(rows).height
    counts = f"{rows.height} member{'s' * (rows.height != 1)}, {int(rows['solved'].sum())} solved"
    return counts + (f", {failed} failed (the same command trains these again)" if failed else "")

"""What is printed of trained members: tables of rows and of the frontier, and what stands at the end of a job."""

import math
from collections.abc import Iterable, Sequence

import polars as pl
from rich.table import Table

from memcap.capacity.points import Point, columns
from memcap.capacity.thresholds import Threshold
from memcap.console import console, number
from memcap.studies import store
from memcap.studies.outcome import Outcome

SHOWN_ROWS = 20


def shown(threshold: Threshold) -> str:
    """A threshold with its interval, or the side on which it is censored."""
    units, low = number(threshold.units), number(threshold.low)
    high = "open" if math.isinf(threshold.high) else number(threshold.high)
    if threshold.censored == "below":
        return f"<= {units}" + (f" (95 %: to {high})" if threshold.high > threshold.units else "")
    if threshold.censored == "above":
        return f"> {units}, not reached" + (f" (95 %: over {low})" if threshold.low > 1 else "")
    return f"{units} [{low}, {high}]"


def frontier_table(points: Sequence[Point]) -> Table:
    """One line a task and lag."""
    table = Table(title="Training frontier: units at which a share of the seeds passes, with 95 % intervals")
    both = any(point.at == "steady" for point in points)  # else the verdicts are one
    heads = ["task", "lag", *["verdict"] * both, "exist", "3/4 pass", "u50", "u90", *["u50 trained", "u90 trained"] * both]
    for head in [*heads, "floor", "one/number", "constructed", "recipe, lr", "budget", "seeds", "passed of runs, by units"]:
        table.add_column(head, overflow="fold")
    for point in points:
        row = columns(point)
        table.add_row(
            point.label,
            number(row["lag"]),
            *[point.at] * both,
            *(number(row[k]) for k in ("u_exist", "u75_observed")),
            *(shown(t) for t in (point.fit.u50, point.fit.u90)),
            *[shown(t) if point.at == "steady" else "" for t in (point.trained.u50, point.trained.u90)] * both,
            *(number(row[k]) for k in ("information_floor", "one_per_number", "constructed")),
            f"{row['recipe']}, {row['lr']:g}" + (f" (best of {point.recipes})" if point.recipes > 1 else ""),
            *(str(row[k]) for k in ("budget", "seeds", "counts")),
        )
    notes = []
    if both:
        notes.append("steady: the same weights also pass at the stretched length; trained: they pass at the trained one")
    if any(point.recipes > 1 for point in points):
        notes.append("best of k recipes: chosen on the seeds it is judged on")
    table.caption = "\n".join(notes) or None
    return table


def rows_table(rows: pl.DataFrame) -> Table:
    """One line a member."""
    table = Table(title="Members")
    names = ["key", "task", "lag", "cell", "units", "seed", "recipe", "status", "steps", "final", "stretched", "budget"]
    for name in names:
        table.add_column(name)
    for row in rows.head(SHOWN_ROWS).iter_rows(named=True):
        table.add_row(*(str(v) if isinstance(v, (str, int)) else number(v) for v in (row[n] for n in names)))
    if rows.height > SHOWN_ROWS:
        table.caption = f"the first {SHOWN_ROWS} of {rows.height}"
    return table


def print_outcome(outcome: Outcome) -> None:
    """Say what a job found: its members, or the frontier and where its figure is; then how many, and where they are kept."""
    out = console()
    out.print(frontier_table(outcome.points) if outcome.points else rows_table(outcome.rows))
    if outcome.picture is not None:
        out.print(f"Figure: {outcome.picture} (data beside it)", highlight=False, soft_wrap=True)
    out.print(f"{counted(outcome.rows)}. Rows and weights: {outcome.folder}", highlight=False, soft_wrap=True)


def print_places(places: Iterable[str]) -> None:
    """Say where the runs of trackers are (`memcap.tracking.Tracker.where`)."""
    for place in filter(None, places):
        console().print(place, highlight=False, soft_wrap=True, markup=False)


def counted(rows: pl.DataFrame) -> str:
    """How many members there are, how many were solved, and how many failed, which the same command trains again."""
    failed = rows.height - store.measured(rows).height
    counts = f"{rows.height} member{'s' * (rows.height != 1)}, {int(rows['solved'].sum())} solved"
    return counts + (f", {failed} failed (the same command trains these again)" if failed else "")

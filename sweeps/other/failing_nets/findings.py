"""Nets of about the width that half of the seeds need: can their curves tell early which
of them will fail?"""

from functools import cache

import polars as pl

from memcap import Model
from memcap.findings import folder
from memcap.findings.tables import (
    curves,
    label,
    passed_column,
    rows_of,
    span,
    table,
    task_of_row,
)


def failing_nets() -> str:
    """What one bar for the curriculum's share of the lag would save, task by task."""
    shares = (0.2, 0.4)
    lines = []
    for (task, knobs, cell), nets in at_threshold().group_by(
        "task", "knobs", "cell", maintain_order=True
    ):
        name = label(task_of_row(task, knobs), Model(cell)).replace("_", " ")
        lags = span(nets["task_lag"], 0)
        failed = nets.filter(~pl.col("passed"))["steps"].sum()
        lost = f"{100 * failed / nets['steps'].sum():.0f} %"
        rules = ("{}, {}".format(*give_up(nets, share)) for share in shares)
        lines.append((name, lags, nets.height, nets["passed"].sum(), lost, *rules))
    first = "task", "lag", "nets", "pass", "steps of those that fail"
    rules = (f"after {100 * share:.0f} % of the budget" for share in shares)
    return table((*first, *rules), lines)


def give_up(rows: pl.DataFrame, share: float) -> tuple[str, int]:
    """What a rule that gives up on nets after a share of the budget would save of their
    steps, and how many it would stop that pass, on seeds that it was not fitted on: its
    bar is the lowest share of the lag that the curriculum has reached, among the passing
    nets of the other half of the seeds."""
    points = (
        curves.read(folder("failing_nets")).join(rows, on="key").sort("key", "step")
    )
    seen = points.filter(
        pl.col("step") <= share * pl.col("budget"), pl.col("lag").is_not_null()
    )
    last = seen.group_by("key").agg(
        progress=pl.col("lag").last() / pl.col("task_lag").last()
    )
    running = rows.join(last, on="key").filter(
        pl.col("steps") > share * pl.col("budget")
    )
    running = running.with_columns(half=pl.col("seed") % 2)
    passing = running.filter("passed").with_columns(half=1 - pl.col("half"))
    bars = passing.group_by("half").agg(bar=pl.col("progress").min())
    below = (pl.col("progress") < pl.col("bar")) | pl.col("bar").is_null()
    failing = running.join(bars, on="half", how="left").filter(below)
    saved = (failing["steps"] - share * failing["budget"]).sum() / rows["steps"].sum()
    return f"{100 * saved:.1f} %", failing["passed"].sum()


@cache
def at_threshold() -> pl.DataFrame:
    """The nets, with the lag of their task as `task_lag`."""
    names = "key", "seed", "task", "knobs", "cell", "steps", "budget"
    return rows_of("failing_nets").select(
        *names, passed_column().alias("passed"), task_lag="lag"
    )


TABLES = {"failing nets": failing_nets}

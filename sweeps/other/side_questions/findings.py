"""What users ask besides "how many units": a Dense or an LSTM read-out, stateful or
separate windows, counting, a pattern of 4 bits."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from memcap.findings.claims import knob
from memcap.findings.tables import passes, rows_of, table


def readouts() -> str:
    """Dense, or another LSTM."""
    heads = {"task": "task", "lag": "lag", "readout": "read-out"}
    task = pl.col("task")
    long = task.is_in(["latch", "pattern", "adding"]) & (pl.col("lag") == 50)
    return by_width(heads, (1, 2, 3, 4), long | (task == "delay_line"))


def windows() -> str:
    """Stateful, or sliding."""
    heads = {
        "window": "window",
        "carry": "carry between windows",
        "label": "answers due",
        "recipe": "recipe",
    }
    return by_width(heads, (1, 4), pl.col("task") == "windows")


def by_width(heads: dict[str, str], widths: Sequence[int], *which: pl.Expr) -> str:
    """Tabulate the seeds that passed, of those tried.

    Args:
        heads: heads of the first columns, by the column or knob that they show.
        widths: units of the other columns.
        which: rows that it counts.
    """
    columns = (
        pl.col(name) if name in rows_of("side_questions").columns else knob(name)
        for name in heads
    )
    counts = passes(rows_of("side_questions").filter(which), *columns, "units")
    cells: dict[tuple[Any, ...], dict[int, str]] = {}
    for *names, units, passed, nets in counts.rows():
        cells.setdefault(tuple(names), {})[units] = f"{passed}/{nets}"
    lines = [
        (*names, *(line.get(units, "") for units in widths))
        for names, line in sorted(cells.items())
    ]
    units = (f"{units} unit{'s' * (units > 1)}" for units in widths)
    return table((*heads.values(), *units), lines)


TABLES = {"read-outs": readouts, "windows": windows}

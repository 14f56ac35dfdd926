"""Which part of a published layer shifts and copies?"""

from typing import Any

import polars as pl

from memcap.findings import load
from memcap.findings.tables import rows_of, table

LAYER_TASKS = {
    "delay_line": "delay line of 8",
    "copy": "copy of 8, lag 4",
    "mqar": "recall of 4 pairs",
}

STEPS = 2000


# the layers that have all combinations of parts
WITH_PARTS = pl.col("layers").eq(3) & pl.col("task").is_in(("delay_line", "copy"))


def layers_that_pass(own: pl.DataFrame, task: str) -> str:
    """Count the nets of one layered network that pass, as the map judges them, and
    their steps or the best score."""
    score = "stretched" if task == "delay_line" else "best"
    passed = own.with_columns(load("cell_map").AS_ON_MAP).filter("solved")
    trained = own["solved"].sum()
    median = passed["steps_to_solve"].median()
    steps = "" if passed.is_empty() else f", {median:.0f} steps"
    best = "" if passed.height == own.height else f", {own[score].max():.2f}"
    short = f"; {trained} at the trained length" if trained > passed.height else ""
    return f"{passed.height} of {own.height}{steps or best}{short}"


def parts_of_layers() -> str:
    """Count the nets of three layers that shift and copy, by the parts of each layer."""
    heads = {
        (False, False): "alone",
        (True, False): "gate",
        (False, True): "skip or rate",
        (True, True): "both",
    }
    lines: dict[tuple[str, str, bool], dict[Any, str]] = {}
    rows = (
        load("cell_map")
        .in_bytes(rows_of("published_layers"))
        .filter(WITH_PARTS, budget=STEPS)
    )
    for (task, name), own in rows.group_by("task", "cell"):
        cell, *parts = name.split("+")
        line = lines.setdefault((task, cell, "conv4" in parts), {})
        skips = not {"skip", "rate"}.isdisjoint(parts)
        line["gate" in parts, skips] = layers_that_pass(own, task)
    cells = []
    tasks = list(LAYER_TASKS)
    for net in sorted(lines, key=lambda net: (tasks.index(net[0]), *net[1:])):
        task, cell, convolves = net
        first = LAYER_TASKS[task], f"`{cell}`"
        parts = (lines[net].get(key, "") for key in heads)
        cells.append((*first, "yes" if convolves else "no", *parts))
    first = "task", "cell", "convolution of 4"
    return table((*first, *heads.values()), cells)


TABLES = {"parts of layers": parts_of_layers}

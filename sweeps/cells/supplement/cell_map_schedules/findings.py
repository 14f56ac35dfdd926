"""Does a cell of the map need fewer bytes by another rate or schedule?"""

import polars as pl

from memcap.findings import load
from memcap.findings.tables import rows_of, table

NETS = 2  # of a rate and a schedule, but for a few
RATES = 0.005, 0.01, 0.02, 0.04
SCHEDULES = {"arrive": "falling", "constant": "constant"}


def schedules_table() -> str:
    """Count the nets that pass by each schedule and rate, where any does."""
    names = load("cell_map_steps").TASKS
    of_map = load("cell_map")
    rows = rows_of("cell_map_schedules").with_columns(of_map.SAME, *of_map.AS_ON_MAP)
    rows = rows.sort("task", "cell", "best", "schedule", "lr", "seed")
    lines = []
    for (task, cell), nets in rows.group_by("task", "cell", maintain_order=True):
        if not nets["solved"].any():
            continue
        best = nets.row(-1, named=True)
        how = f"{best['best']:.3f}, {SCHEDULES[best['schedule']]} {best['lr']:g}"
        counts = (in_words(nets.filter(schedule=name)) for name in SCHEDULES)
        lines.append((names[task], f"`{cell}`", nets["units"][0], *counts, how))
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    heads = [f"pass, rate {words}: {rates}" for words in SCHEDULES.values()]
    return table(("task", "cell", "units", *heads, "best score, by"), lines)


def in_words(nets: pl.DataFrame) -> str:
    """Write how many of two nets pass, by rate: "0, 0, 1, 4 of 8"."""
    words = []
    for rate in RATES:
        solved = nets.filter(lr=rate)["solved"]
        count = solved.sum()
        words.append(f"{count} of {len(solved)}" if len(solved) != NETS else f"{count}")
    return ", ".join(words)


TABLES = {"cell map schedules": schedules_table}

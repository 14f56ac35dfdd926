"""Does a cell of the map need fewer bytes by another rate or schedule?"""

import polars as pl

from memcap.findings import load
from memcap.findings.tables import rows_of, table

TASKS = "mqar", "parity", "copy"
RATES = 0.005, 0.01, 0.02, 0.04
SCHEDULES = {"arrive": "falling", "constant": "constant"}


def schedules_table() -> str:
    """Count the nets that pass by each schedule and rate, at each cell's width."""
    names = load("cell_map_steps").TASKS
    rows = rows_of("cell_map_schedules").with_columns(load("cell_map").SAME)
    lines = []
    for task in TASKS:
        for (cell,), nets in rows.filter(task=task).group_by("cell"):
            best = nets.sort("best").row(-1, named=True)
            how = f"{best['best']:.3f}, {SCHEDULES[best['schedule']]} {best['lr']:g}"
            counts = (in_words(nets.filter(schedule=name)) for name in SCHEDULES)
            line = names[task], f"`{cell}`", nets["units"][0], *counts, how
            lines.append(line)
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    heads = [f"pass, rate {words}: {rates}" for words in SCHEDULES.values()]
    lines.sort(key=lambda line: (list(names.values()).index(line[0]), line[1]))
    return table(("task", "cell", "units", *heads, "best score, by"), lines)


def in_words(nets: pl.DataFrame) -> str:
    """Write how many nets pass, by rate: "0, 0, 1, 2"."""
    return ", ".join(str(nets.filter(lr=rate)["solved"].sum()) for rate in RATES)


TABLES = {"cell map schedules": schedules_table}

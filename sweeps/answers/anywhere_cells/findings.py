"""Nets of a GRU and of a plain recurrent cell that are right wherever it begins."""

from memcap.findings.tables import label, passes, rows_of, table, task_of_row


def by_cell() -> str:
    """Nets that pass by width, up to lag 50."""
    counted = passes(rows_of("anywhere_cells"), "cell", "task", "knobs", "units")
    counts: dict[tuple[str, str], list[str]] = {}
    for cell, task, knobs, units, good, nets in counted.sort("units").rows():
        net = cell, label(task_of_row(task, knobs)).replace("_", " ")
        counts.setdefault(net, []).append(f"{units}: {good}/{nets}")
    lines = [(*net, ", ".join(passed)) for net, passed in sorted(counts.items())]
    return table(("cell", "task", "passed by units"), lines)


TABLES = {"anywhere by cell": by_cell}

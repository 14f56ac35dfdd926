"""How many numbers of a key?"""

import polars as pl

from memcap.cells.matrix import MatrixCell
from memcap.findings import load
from memcap.findings.tables import rows_of, table

TASKS = {  # in the order of lines
    "mqar": "recall of 4 pairs",
    "parity": "parity of 16 bits",
    "word_problem": "product of 13 permutations",
}


def sizes_of_keys() -> str:
    """Count the nets with keys of each size that pass, by bytes of state, on tasks that
    some of them learn."""
    cell = pl.col("cell")
    rows = load("cell_map").in_bytes(rows_of("keys"))
    rows = rows.filter(pl.col("task").is_in(list(TASKS)))
    rows = rows.with_columns(
        cell.str.extract(r"(\w+)"),
        K=cell.str.extract(r"key(\d+)").cast(int).fill_null(MatrixCell.keys),
        heads=cell.str.extract(r"heads(\d+)").cast(int).fill_null(1),
    )
    by = "task", "cell", "K", "heads"
    rows = rows.sort(pl.col("task").cast(pl.Enum([*TASKS])), *by[1:], "bytes")
    lines = []
    for (task, name, *sizes), nets in rows.group_by(by, maintain_order=True):
        solved, steady = (
            ", ".join(
                f"{size}: {own[verdict].sum()} of {own.height}"
                for (size,), own in nets.group_by("bytes", maintain_order=True)
            )
            for verdict in ("solved", "steady")
        )
        longer = steady if task in ("parity", "word_problem") else ""
        best = f"{nets['best'].max():.2f}"
        lines.append((TASKS[task], f"`{name}`", *sizes, solved, longer, best))
    heads = "task", "cell", "K", "heads", "bytes: nets that pass"
    return table((*heads, "also 4 times as long", "best score"), lines)


TABLES = {"sizes of keys": sizes_of_keys}

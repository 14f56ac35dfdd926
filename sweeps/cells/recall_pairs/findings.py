"""How many bytes of state does the recall of more pairs take?"""

import polars as pl

from memcap.findings import load
from memcap.findings.tables import rows_of, table

STUDIES = "cell_map_tasks", "cell_map_tasks_again", "recall_pairs"
PAIRS = 4, 8, 16, 32
SYMBOLS = 32


def pairs_table() -> str:
    """Tabulate the bytes that each cell needs by the number of pairs, of 32 symbols."""
    cell_map = load("cell_map")
    rows = pl.concat([rows_of(study).filter(task="mqar") for study in STUDIES])
    cells: dict[str, dict[int, str]] = {}
    for need in cell_map.needs(rows):
        task = need.point.task
        if task.symbols == SYMBOLS and need.point.lag == 2 * task.pairs:
            cells.setdefault(need.cell, {})[task.pairs] = need.words
    lines = [
        (f"`{cell}`", *(words.get(pairs, "") for pairs in PAIRS))
        for cell, words in cells.items()
        if PAIRS[-1] in words
    ]
    heads = [f"{pairs} pairs, lag {2 * pairs}" for pairs in PAIRS]
    return table(("bytes of state", *heads), lines)


TABLES = {"recall pairs": pairs_table}

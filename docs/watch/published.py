"""Write published.js: how many published nets passed, for the page beside it.

python docs/watch/published.py
"""

import json
from pathlib import Path

import polars as pl

from memcap.answers.words import wilson
from memcap.findings.tables import counts

HERE = Path(__file__).parent
MOST_UNITS = 12  # of the page
# the studies that trained as the page does, and the recipe there
STUDIES = {
    "latch": (("up_to", "up_to_fresh_seeds"), "uniform"),
    "parity": (("up_to", "up_to_fresh_seeds"), "uniform"),
    "delay_line": (("atlas",), "forget_bias"),
}
LABELS = {"latch": "latch", "parity": "parity", "delay_line": "delay_line"}


def rows_of(task: str) -> dict[int, list[dict[str, float]]]:
    """Return, by lag, the units, the nets that passed, all nets, and the 95 % interval of
    the share that passes."""
    studies, recipe = STUDIES[task]
    by = "lag", "units"
    tables = (
        counts(study, *by, what=LABELS[task], recipe=recipe, cell="lstm")
        for study in studies
    )
    table = pl.concat(tables).group_by(by).agg(pl.col("passed", "nets").sum())
    rows: dict[int, list[dict[str, float]]] = {}
    for row in table.filter(pl.col("units") <= MOST_UNITS).sort(by).to_dicts():
        low, high = wilson(row["passed"], row["nets"])
        row |= {"low": round(low, 3), "high": round(high, 3)}
        rows.setdefault(row.pop("lag"), []).append(row)
    return rows


def published() -> str:
    """Return the file: JSON with a name before it, as a page that is opened from a disk
    may load a script, and no data."""
    rows = {task: rows_of(task) for task in STUDIES}
    return f"const PUBLISHED = {json.dumps(rows)};\n"


if __name__ == "__main__":
    (HERE / "published.js").write_text(published(), encoding="utf-8")

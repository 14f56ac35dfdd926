"""Do the widths that decide the order of the cells hold with other seeds?"""

import polars as pl

from memcap.findings import load
from memcap.findings.tables import filled, rows_of, table

STEPS = load("cell_map_steps")
BEFORE = "cell_map_budgets", "cell_map_steps"
WIDTH = "task", "cell", "budget", "lr", "units"


def by_width(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return how many of a width's nets pass, in `before` and in `after`, each where
    `after` has the width."""
    counts = pl.col("solved").sum().alias("pass"), pl.len().alias("nets")
    sizes = load("cell_map").in_bytes(after)
    widths = sizes.group_by(WIDTH).agg(*counts, pl.col("bytes").first())
    return (
        before.group_by(WIDTH)
        .agg(counts)
        .join(widths, on=WIDTH, suffix="_after")
        .sort(WIDTH)
    )


def seeds_table() -> str:
    """Count the nets of each width that pass, with the first four seeds and with others;
    tabulate those where others change whether the width is enough."""
    before = STEPS.nets(pl.concat(map(rows_of, BEFORE)))
    widths = by_width(before, STEPS.nets(rows_of("cell_map_seeds"))).with_columns(
        first=pl.col("pass") / pl.col("nets") >= 0.5,
        all=(pl.col("pass") + pl.col("pass_after"))
        / (pl.col("nets") + pl.col("nets_after"))
        >= 0.5,
    )
    lines = [
        (
            STEPS.TASKS[width["task"]],
            f"`{width['cell']}`",
            f"{width['budget']:,}",
            width["bytes"],
            f"{width['pass']} of {width['nets']}",
            f"{width['pass_after']} of {width['nets_after']}",
            "yes" if width["all"] else "no",
        )
        for width in widths.filter(pl.col("first") != pl.col("all")).to_dicts()
    ]
    heads = "task", "cell", "steps", "bytes", "first seeds", "other seeds", "enough"
    wide = widths.filter("first")
    narrow = widths.filter(~pl.col("first"))
    text = (
        f"Of {wide.height} widths that were enough by the first seeds {wide['all'].sum()} are so by"
        f" all, and of {narrow.height} that were not {narrow['all'].sum()} are. Of the nets of the"
        f" former {in_words(wide, '')} pass with the first seeds, and {in_words(wide, '_after')}"
        f" with others; of those of the latter {in_words(narrow, '')}, and"
        f" {in_words(narrow, '_after')}."
    )
    return f"{table(heads, lines)}\n\n{filled(text)}"


def in_words(widths: pl.DataFrame, which: str) -> str:
    """Write how many nets of some widths pass: "31 of 40"."""
    return f"{widths[f'pass{which}'].sum()} of {widths[f'nets{which}'].sum()}"


TABLES = {"cell map other seeds": seeds_table}

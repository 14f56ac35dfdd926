"""Does the map of cells predict harder tasks?"""

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from memcap.findings import folder, load
from memcap.findings.tables import filled, rows_of, table

TASKS = {  # by task and lag
    ("mqar", 32): "recall of 16 pairs",
    ("word_problem", 24): "products of 25 elements of A5",
    ("word_problem", 48): "products of 49 elements of A5",
}
NO_CELL_LEARNS = 48  # the lag of the longer products
DRAWS = 2000
SEED = 0


def scores() -> pl.DataFrame:
    """Return each cell's place on the map, the scores of its nets, and their mean, by
    task and lag."""
    bare = pl.col("cell").str.replace(r"\+.*", "")
    rows = rows_of("beyond_the_map").with_columns(net="cell", cell=bare)
    rows = rows.with_columns(load("cell_map").SAME)
    score = pl.col("best")
    both = score.mean(), score.sort().alias("scores")
    nets = rows.group_by("task", "lag", "cell", "net").agg(*both)
    places = pl.read_csv(folder("beyond_the_map") / "predicted.csv")
    joined = nets.join(places, on=("task", "cell"))
    return joined.sort("task", "lag", "place", "cell")


def scores_table() -> str:
    """Tabulate the scores next to the places that the map gives, where a cell learns."""
    lines = [
        (
            TASKS[net["task"], net["lag"]],
            f"`{net['net']}`",
            f"{net['place']:g}",
            ", ".join(f"{score:.3f}" for score in net["scores"]),
        )
        for net in scores().to_dicts()
        if net["lag"] != NO_CELL_LEARNS
    ]
    return table(("task", "cell", "place on the map", "scores"), lines)


def agreement() -> str:
    """Say how alike the two orders are, with an interval over draws of the cells."""
    found = scores()
    rng = np.random.default_rng(SEED)
    words = []
    for (task, lag), name in TASKS.items():
        pairs = found.filter(task=task, lag=lag).select("place", "best").to_numpy()
        tau = _tau(pairs)
        draws = rng.integers(len(pairs), size=(DRAWS, len(pairs)))
        low, high = np.nanquantile(
            [_tau(pairs[draw]) for draw in draws], (0.025, 0.975)
        )
        words.append(
            f"{tau:.2f} [{low:.2f}, {high:.2f}] for {name} ({len(pairs)} cells)"
        )
    return filled(
        "Kendall's tau between the map's order and that of the mean scores is"
        f" {'; '.join(words)}, with 95 % intervals over {DRAWS:,} draws of the cells."
    )


def _tau(pairs: np.ndarray) -> float:
    places, best = pairs.T
    return float(kendalltau(-places, best).statistic)


TABLES = {"beyond the map": scores_table, "beyond the map order": agreement}

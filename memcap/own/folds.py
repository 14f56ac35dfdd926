"""How sequences, or groups of them, are divided into parts."""

import numpy as np
import polars as pl

RANDOM = "random"
CLASSES = "classes"
TIME = "time"
ORDERS = (RANDOM, CLASSES, TIME)


def evenly(ranks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Change a random order of groups so that any run of it has its share of each
    label.

    Args:
        ranks: (G,) places in the order.
        labels: (G,) whole numbers.
    """
    groups = pl.DataFrame({"rank": ranks, "label": labels})
    within = pl.col("rank").rank("ordinal").over("label") - 0.5
    share = groups.select(within / pl.len().over("label")).to_series()
    return share.rank("ordinal").cast(pl.Int64).to_numpy() - 1


def in_time(count: int, folds: int, fold: int) -> np.ndarray:
    """Return the part of each group, (G,), in time: 0 trains, 1 says where to stop, 2
    judges, 3 is not used. The first half never judges."""
    block = np.arange(count) * 2 * folds // count
    tests = folds + fold % folds
    parts = [block == tests, block == tests - 1, block < tests]
    return np.select(parts, [2, 1, 0], default=3)

"""One long series as sequences: windows of its steps, each with the target some steps
later."""

import numpy as np
import polars as pl

from memcap.knobs import UserError

BLOCKS = 10  # of a series; no window lies in two of them
SERIES = "(series)"  # columns of tables that are made here, as are the next three
WINDOW = "(window)"
STEP = "(step)"
BLOCK = "(block)"


def cut(series: pl.DataFrame, target: str, window: int, ahead: int) -> pl.DataFrame:
    """Return the windows of a series, all that lie in one block.

    Args:
        series: the features and the target, a line per step, in order.
        target: its name. What it is to be comes as a further column, TARGET +AHEAD.
        window, ahead: steps of a window, and steps from its last to its target.

    Raises:
        UserError: the series is too short for windows in each block.
    """
    span = window + ahead
    start = np.arange(max(series.height - span + 1, 0))
    block = start * BLOCKS // series.height
    within = (start + span - 1) * BLOCKS // series.height == block
    answers = series[target][start + span - 1]
    start = start[within & answers.is_not_null().to_numpy()]
    if len(np.unique(block[start])) < BLOCKS:
        raise UserError(
            f"--window {window}: {series.height:,} steps do not make windows in each of {BLOCKS}"
            f" blocks; with --ahead {ahead} they take at least {BLOCKS * span:,}"
        )
    lines = (start[:, None] + np.arange(window)).ravel()
    first = np.repeat(start, window)
    return series[lines].with_columns(
        series[target][first + span - 1].alias(f"{target} +{ahead}"),
        pl.Series(WINDOW, first),
        pl.Series(STEP, lines - first),
        pl.Series(BLOCK, block[first]),
    )

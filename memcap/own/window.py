"""Cut long series into windows, each with the target some steps later."""

import numpy as np
import polars as pl

from memcap.knobs import UserError

BLOCKS = 10  # of a series; no window lies in two of them, and those of all series go
# together
SERIES = "(series)"  # columns of tables that are made here, as are the next three
WINDOW = "(window)"
STEP = "(step)"
BLOCK = "(block)"


def cut(
    series: pl.DataFrame, lengths: np.ndarray, target: str, window: int, ahead: int
) -> pl.DataFrame:
    """Return all windows of series that lie in one block.

    Args:
        series: features and target, a line per step, series by series, in order.
        lengths: the steps of each series.
        target: its name. What comes later is a further column, TARGET +AHEAD.
        window, ahead: steps of a window, and from its last step to its target.

    Raises:
        UserError: a series is too short for windows in each block.
    """
    span = window + ahead
    line = np.arange(series.height)
    steps = np.repeat(lengths, lengths)
    first = line - np.repeat(np.cumsum(lengths) - lengths, lengths)
    last = first + span - 1
    block = first * BLOCKS // steps
    start = line[(last < steps) & (last * BLOCKS // steps == block)]
    answers = series[target][start + span - 1]
    start = start[answers.is_not_null().to_numpy()]
    number = np.repeat(np.arange(len(lengths)), lengths)
    if len(np.unique(number[start] * BLOCKS + block[start])) < BLOCKS * len(lengths):
        raise UserError(
            f"--window {window}: {lengths.min():,} steps do not make windows in each of"
            f" {BLOCKS} blocks; with --ahead {ahead} they take at least {BLOCKS * span:,}"
        )
    lines = (start[:, None] + np.arange(window)).ravel()
    first = np.repeat(start, window)
    return series[lines].with_columns(
        series[target][first + span - 1].alias(f"{target} +{ahead}"),
        pl.Series(WINDOW, first),
        pl.Series(STEP, lines - first),
        pl.Series(BLOCK, block[first]),
    )

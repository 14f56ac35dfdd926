"""Columns of a table that look like no feature: orders, ids and labels."""

from collections.abc import Sequence

import polars as pl

from memcap.own.formats import has_names, times_of

FEWEST = 10  # lines, or names; fewer look like anything by chance
MOST_NAMES = 20  # of a feature beside others
REPEATS = 4  # answers for each value of a label
LEAST_CORRELATION = 0.9999
SAMPLE = 1000


def doubts(
    frame: pl.DataFrame, features: Sequence[str], sequence: str, due: pl.Series
) -> dict[str, str]:
    """Return a question about each column that looks like no feature.

    Args:
        frame: lines in order, sequence by sequence.
        features: columns that the net would see.
        sequence: the name of the column of sequences.
        due: answers; null where none is due.
    """
    found = {}
    place = frame[sequence].rle_id()
    for name in features:
        column = frame[name]
        if has_names(column.dtype):
            column = column.cast(pl.String)
        is_text = column.dtype == pl.String
        cells = column.drop_nulls().unique().head(SAMPLE)
        if is_text and not times_of(cells).has_nulls():
            found[name] = f"`{name}` holds times (--step {name} orders lines by it)"
        elif column.dtype.is_numeric() and _is_order(column, place):
            found[name] = f"`{name}` rises or falls as an order does (--step {name}?)"
        elif (is_text or column.dtype.is_integer()) and _is_id(column, place):
            found[name] = f"`{name}` looks like an id (--sequence or --group {name}?)"
        elif _is_label(column, due):
            found[name] = f"`{name}` alone says what `{due.name}` is"
        elif is_text and len(features) > 1 and column.n_unique() > MOST_NAMES:
            found[name] = f"`{name}` has {column.n_unique():,} names, each an input"
    return found


def _is_order(column: pl.Series, place: pl.Series) -> bool:
    """Return whether numbers only rise, or only fall, within sequences."""
    steps = column.cast(pl.Float64).diff().filter(place.diff() == 0)
    signs = steps.sign().to_numpy()  # the mean of their sizes is that of equal signs
    return len(signs) >= FEWEST and abs(signs.mean()) == abs(signs).mean() > 0.5


def _is_id(column: pl.Series, place: pl.Series) -> bool:
    count = column.n_unique()
    sequences = place.n_unique()
    if count <= FEWEST or count == len(column):
        return count > FEWEST
    differs = count == sequences or column.name.lower().endswith("id")
    return differs and pl.DataFrame([column, place.alias("")]).n_unique() == sequences


def _is_label(column: pl.Series, due: pl.Series) -> bool:
    pairs = pl.DataFrame([column.alias("x"), due.alias("y")]).drop_nulls()
    count = pairs["x"].n_unique()
    if pairs.height < FEWEST:
        return False
    if REPEATS * count <= pairs.height and pairs.n_unique() == count:
        return True
    if not (column.dtype.is_numeric() and due.dtype.is_numeric()):
        return False
    return abs(pairs.select(pl.corr("x", "y")).item()) > LEAST_CORRELATION

"""Deciding widths on other seeds: how many nets pass with each, on nets made up."""

import polars as pl

from memcap.findings import load

SEEDS = load("cell_map_seeds")


def some(units, passed, nets=4):
    """Nets of a width of which some pass."""
    solved = [True] * passed + [False] * (nets - passed)
    return pl.DataFrame({"solved": solved}).with_columns(
        task=pl.lit("mqar"),
        cell=pl.lit("lstm"),
        budget=pl.lit(24_000),
        lr=pl.lit(0.02),
        units=pl.lit(units),
        carry_numbers=pl.lit(2 * units),
    )


def test_widths_are_counted_where_other_seeds_have_them():
    before = pl.concat([some(12, 0), some(16, 2), some(24, 4)])
    after = pl.concat([some(16, 1, nets=12), some(12, 3)])
    found = SEEDS.by_width(before, after)
    columns = "units", "bytes", "pass", "nets", "pass_after", "nets_after"
    narrow, wide = found.select(columns).rows()
    assert narrow == (12, 96, 0, 4, 3, 4)
    assert wide == (16, 128, 2, 4, 1, 12)
    assert SEEDS.in_words(found, "_after") == "4 of 16"

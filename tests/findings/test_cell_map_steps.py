"""Bytes against steps: which widths are enough, and how many nets pass with other seeds,
on nets made up."""

import polars as pl

from memcap.findings import load

STEPS = load("cell_map_steps")
SEEDS = load("cell_map_seeds")


def some(budget, numbers, passed, nets=4, cell="lstm"):
    """Nets of a width of which some pass."""
    solved = [True] * passed + [False] * (nets - passed)
    return pl.DataFrame({"solved": solved}).with_columns(
        task=pl.lit("mqar"),
        knobs=pl.lit(STEPS.KNOBS["mqar"]),
        cell=pl.lit(cell),
        budget=pl.lit(budget),
        lr=pl.lit(0.02),
        carry_numbers=pl.lit(numbers),
        units=pl.lit(numbers // 2),
    )


def test_half_of_three_nets_or_more_are_enough_and_stay_so_with_more_steps():
    rows = pl.concat(
        [
            some(3000, 8, 1),
            some(3000, 16, 2),
            some(3000, 32, 4),
            some(24_000, 8, 1, nets=1),
            some(3000, 8, 1, cell="LRU"),
        ]
    )
    found = {(n["cell"], n["budget"]): n for n in STEPS.needs(rows).to_dicts()}
    assert STEPS.in_words(found["lstm", 3000]) == "32 to 64"
    # one net of 32 bytes passes in more steps: too few to be enough, and no failure
    assert STEPS.in_words(found["lstm", 24_000]) == "<= 64"
    assert STEPS.in_words(found["LRU", 3000]) == "> 32"


def test_nets_are_counted_with_other_seeds_where_these_have_the_width():
    before = pl.concat([some(24_000, 24, 0), some(24_000, 32, 2), some(24_000, 48, 4)])
    after = pl.concat([some(24_000, 32, 1, nets=12), some(24_000, 24, 3)])
    found = SEEDS.by_width(before, after)
    columns = "units", "bytes", "pass", "nets", "pass_after", "nets_after"
    narrow, wide = found.select(columns).rows()
    assert narrow == (12, 96, 0, 4, 3, 4)
    assert wide == (16, 128, 2, 4, 1, 12)
    assert SEEDS.in_words(found, "_after") == "4 of 16"

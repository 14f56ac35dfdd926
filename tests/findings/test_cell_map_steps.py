"""Bytes against steps: which widths are enough, on nets made up."""

import polars as pl

from memcap.findings import load

STEPS = load("cell_map_steps")


def some(budget, numbers, passed, nets=4, cell="lstm"):
    """Nets of a width of which some pass."""
    solved = [True] * passed + [False] * (nets - passed)
    return pl.DataFrame({"solved": solved}).with_columns(
        task=pl.lit("mqar"),
        cell=pl.lit(cell),
        budget=pl.lit(budget),
        lr=pl.lit(0.02),
        carry_numbers=pl.lit(numbers),
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
    assert STEPS.in_words(found["lstm", 24_000]) == "32 to 64"
    assert STEPS.in_words(found["LRU", 3000]) == "> 32"

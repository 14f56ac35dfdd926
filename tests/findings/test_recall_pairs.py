"""The picture of recall: which states are enough for more pairs, on nets made up, and what
the published rows say."""

import polars as pl
import pytest

from memcap.findings import load
from memcap.findings.tables import rows_of

RECALL = load("recall_pairs")


def some(units, passed, nets=4, budget=3000, cell="GRUCell"):
    """Nets of a GRU that recall four pairs, of which some pass."""
    keys = [f"{cell}{units}.{budget}.{k}" for k in range(nets)]
    solved = [True] * passed + [False] * (nets - passed)
    return pl.DataFrame({"key": keys, "solved": solved}).with_columns(
        task=pl.lit("mqar"),
        knobs=pl.lit('{"pairs": 4, "symbols": 8}'),
        lag=pl.lit(8),
        length=pl.lit(16),
        cell=pl.lit(cell),
        carry_numbers=pl.lit(units),
        budget=pl.lit(budget),
        curriculum=pl.lit(0.15),
        lr=pl.lit(0.02),
        seed=pl.lit(0),
    )


def heights(drawn):
    """The heights of the marks of the picture's first panel, by whether they are open."""
    panel = drawn.figure.axes[0]
    marks = [line for line in panel.lines if line.get_marker() in ("o", "s")]
    return [(m.get_ydata()[0], m.get_markerfacecolor() == "white") for m in marks]


def test_a_state_is_enough_for_nine_in_ten_of_three_nets_or_more():
    rows = pl.concat(
        [
            some(32, 2),
            some(48, 8, nets=8),
            some(16, 4, cell="GRUCell+bits2"),
            some(24, 1, nets=1, budget=24_000),
            some(32, 29, nets=30, budget=24_000),
        ]
    )
    found = RECALL.needs(rows).select("budget", "each", "bits", "fails").rows()
    assert found == [
        (3000, 2, 32, None),
        (3000, 32, 1536, 1024),
        (24_000, 32, 1024, None),
    ]
    assert heights(RECALL.draw(rows)) == [(1024, False), (1536, False)]


def test_what_is_enough_nowhere_is_drawn_as_open():
    drawn = RECALL.draw(some(48, 3))
    assert drawn.data["bits"].to_list() == [None]
    assert heights(drawn) == [(1536, True)]


def test_only_the_numbers_of_symbols_and_pairs_that_are_drawn_count():
    other = some(48, 4).with_columns(knobs=pl.lit('{"pairs": 4, "symbols": 16}'))
    without = some(16, 4).with_columns(curriculum=pl.lit(None, pl.Float64))
    assert RECALL.needs(pl.concat([some(32, 4), other, without]))["bits"].item() == 1024


@pytest.fixture(scope="module")
def published():
    return RECALL.needs(pl.concat(map(rows_of, RECALL.STUDIES), how="diagonal_relaxed"))


def test_published_states_lie_above_the_floor_and_are_those_of_the_rows(published):
    assert (published["floor"] < published["bits"].fill_null(published["fails"])).all()
    matrices = published.filter(pl.col("cell") == "delta_net", symbols=32)
    assert matrices["pairs"].to_list() == [4, 8, 16, 32]
    assert matrices["bits"].round().to_list() == [2054, 3078, 8198, 8198]
    assert matrices["by_hand"].round().to_list() == [2054] * 4
    assert matrices["floor"].round(1).to_list() == [18.7, 36.5, 69.2, 109.3]


def test_published_states_fall_with_more_steps_and_with_fewer_bits(published):
    few = published.filter(symbols=8)
    by_steps = {
        cell: few.filter(cell=cell, each=32)["bits"].to_list()
        for cell in ("GRUCell", "lstm", "slstm", "LRU")
    }
    assert by_steps == {
        "GRUCell": [None, 1024],
        "lstm": [3072, 1536],
        "slstm": [4096, 3072],
        "LRU": [None, None],
    }
    cut = few.filter(pl.col("each") < 32).group_by("family").agg(pl.min("bits").round())
    assert dict(cut.rows()) == {
        "matrices,\nkeys of 16": 68,
        "matrices,\nkeys of 2 to 8": 132,
        "GRU": 256,
        "LSTM": 512,
        "sLSTM": None,
    }

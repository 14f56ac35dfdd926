"""The picture of recall: which states are enough for more pairs, on nets made up, and what
the published rows say."""

import polars as pl
import pytest

from memcap.findings import load
from memcap.findings.tables import rows_of

RECALL = load("recall_pairs")


@pytest.fixture(scope="module")
def published():
    return RECALL.needs(pl.concat(map(rows_of, RECALL.STUDIES), how="diagonal_relaxed"))


def test_published_states_lie_above_the_floor_and_are_those_of_the_rows(published):
    assert (published["floor"] < published["bits"].fill_null(published["fails"])).all()
    matrices = published.filter(pl.col("cell") == "delta_net", symbols=32)
    assert matrices["pairs"].to_list() == [4, 8, 16, 32]
    assert matrices["bits"].round().to_list() == [2054, 3078, 6150, 8198]
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

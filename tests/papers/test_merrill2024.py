"""Merrill et al. (2024): what is drawn and judged, on rows that nobody trained."""

import json

import polars as pl
import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.merrill2024.paper import CELLS, PAPER, draw, lines

RELU, DIAGONAL, LSTM, SIGN = (claim.judge for claim in PAPER.claims)


def nets(cell, name, *wholes):
    """Nets of a cell on a group, one a seed, each with a share of whole sequences at 16 elements."""
    rows = []
    for seed, whole in enumerate(wholes):
        values = {"score_at_lengths": [1.0, 0.75], "whole_at_lengths": [whole, 0.0]}
        columns = {column: json.dumps(scores) for column, scores in values.items()}
        columns |= {"lengths": "15 31", "cell": cell, "seed": seed}
        rows += group("word_problem", 15, {32: (0, 1)}, knobs={"group": name}, **columns)
    return table(rows)


def test_a_lag_is_one_less_than_the_elements():
    data = lines(nets("irnn", "A4", 0.5))
    assert data.select("group", "elements", "whole", "products").rows() == [
        ("A4", 16, 0.5, 1.0),
        ("A4", 32, 0.0, 0.75),
    ]


@pytest.mark.parametrize(("judge", "cell"), [(RELU, "irnn"), (LSTM, "OptimizedLSTMCell")])
def test_all_seeds_must_learn_both_groups(judge, cell):
    z12, a4 = nets(cell, "Z12", 1.0, 0.9), nets(cell, "A4", 0.95, 0.92)
    assert judge(pl.concat([z12, a4])).holds is True
    assert judge(pl.concat([z12, nets(cell, "A4", 0.95, 0.89)])).holds is False
    assert judge(z12) == NOT_MEASURED


def test_one_diagonal_net_that_learns_or_an_lstm_that_does_not_denies_it():
    def judge(lru=0.4, minimal=0.1, lstm=0.95):
        parts = {"selective_LRU": lru, "minGRU": minimal, "OptimizedLSTMCell": lstm}
        return DIAGONAL(pl.concat([nets(cell, "A4", score, score) for cell, score in parts.items()])).holds

    assert judge() is True
    assert judge(lru=0.9) is False
    assert judge(minimal=0.9) is False
    assert judge(lstm=0.8) is False
    assert DIAGONAL(nets("minGRU", "A4", 0.1)) == NOT_MEASURED


def test_the_phase_is_judged_on_the_group_that_commutes():
    phase, positive = nets("selective_LRU", "Z12", 1.0, 0.9), nets("minGRU", "Z12", 0.1)
    assert SIGN(pl.concat([phase, positive])).holds is True
    assert SIGN(pl.concat([phase, nets("minGRU", "Z12", 0.1, 0.9)])).holds is False
    assert SIGN(pl.concat([nets("selective_LRU", "Z12", 1.0, 0.5), positive])).holds is False
    assert SIGN(pl.concat([phase, nets("minGRU", "A4", 0.1)])) == NOT_MEASURED


def test_each_net_is_a_line_in_the_panel_of_its_group():
    rows = pl.concat([nets("irnn", "A4", 0.5, 0.25), nets("minGRU", "Z12", 0.125)])
    drawn = draw(rows)
    assert drawn.data.equals(lines(rows))
    wanted = {0: {(0.125, 0.0)}, 1: {(0.5, 0.0), (0.25, 0.0)}}
    for panel, curves in wanted.items():
        panel_lines = drawn.figure.axes[panel].lines
        named = [line for line in panel_lines if line.get_label() in {*CELLS.values(), "_again"}]
        assert {tuple(line.get_ydata()) for line in named} == curves

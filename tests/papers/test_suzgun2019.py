"""Suzgun et al. (2019): what its judges and its arithmetic rest on."""

import json

import polars as pl
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.suzgun2019.paper import LSTM, PAPER, draw, ranges

LOSS = PAPER.claims[5].judge
LIST = [30, 33, 36, 40, 50, 60, 100, 1000]


def nets(cell, symbols, units, *numbers, loss=(), batch=64):
    """Nets of a cell on a language, one a seed, each with the number at which it fails; None: at none."""
    rows = []
    for seed, number in enumerate(numbers):
        whole = [1.0 if number is None or n < number else (number - 1) / n for n in LIST]
        columns = {"lengths": " ".join(map(str, LIST)), "whole_at_lengths": json.dumps(whole)}
        columns |= {
            "score_at_lengths": json.dumps([1.0] * len(LIST)),
            "cell": cell,
            "seed": seed,
            "batch": batch,
        }
        columns["train_loss"] = loss[seed] if loss else 0.5
        rows += group("counter_language", 30, {units: (0, 1)}, knobs={"symbols": symbols}, **columns)
    return table(rows)


def test_a_net_fails_at_the_first_number_with_a_wrong_word_whatever_its_answers_score():
    data = ranges(pl.concat([nets(LSTM, 3, 4, 50, 30, None), nets("SimpleCell", 3, 4, 50)]))
    assert data["fails_at"].to_list() == [50, 30, None]
    assert data["right_to"].to_list() == [40, 0, 1000]
    assert data["learnt"].to_list() == [True, False, True]
    assert data["symbols"].to_list() == [3, 3, 3]


def test_loss_is_ranked_against_the_range_in_each_language_and_among_nets_that_learnt():
    loss = (0.1, 0.2, 0.3, 0.4)
    unordered = [nets(LSTM, k, 4, 50, 36, 40, 60, loss=loss) for k in (2, 3)]
    assert LOSS(pl.concat(unordered)).holds is True
    assert LOSS(pl.concat([unordered[0], nets(LSTM, 3, 4, 60, 50, 40, 36, loss=loss)])).holds is False
    unlearnt = [nets(LSTM, 3, 2, 30, 30, 30, 30, loss=(1, 2, 3, 4))]
    assert LOSS(pl.concat(unordered + unlearnt)) == LOSS(pl.concat(unordered))
    assert LOSS(unordered[0]) == NOT_MEASURED


def test_nets_that_learnt_nothing_are_drawn():
    drawn = draw(nets(LSTM, 2, 1, 30, 30))
    drawn.figure.draw_without_rendering()
    assert drawn.data["learnt"].to_list() == [False, False]

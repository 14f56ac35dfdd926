"""Delétang et al. (2023): what is drawn and judged, on rows that nobody trained."""

import json

import numpy as np
import polars as pl
import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.deletang2023.paper import PAPER, at_best_width, draw, lines, means, on_a_line

LSTM, ARITHMETIC, RING, RNN, RNN_TOO, LINE, FEWEST, MINGRU, FRONT = (claim.judge for claim in PAPER.claims)

LENGTHS = "60 100 200 300 400 500"


def nets(task, cell, units, *accuracies, curriculum=0.15):
    """Nets of a width, one a seed, each with an accuracy at all lengths, or one at each."""
    rows = []
    for seed, each in enumerate(accuracies):
        scores = list(each) if isinstance(each, tuple) else [each] * 6
        text = json.dumps([float(score) for score in scores])
        rows += group(
            task,
            40,
            {units: (0, 1)},
            cell=cell,
            seed=seed,
            curriculum=curriculum,
            lengths=LENGTHS,
            score_at_lengths=text,
            whole_at_lengths=text,
        )
    return table(rows)


def test_a_net_is_its_mean_over_the_lengths():
    data = lines(nets("cycle_navigation", "minGRU", 4, (1.0, 1.0, 0.5, 0.5, 0.5, 0.25)))
    assert data["number"].to_list() == [60, 100, 200, 300, 400, 500]
    assert means(data)["accuracy"].item() == pytest.approx(0.625)
    assert means(data)["scaled"].item() == pytest.approx((0.625 - 0.2) / 0.8, abs=1e-6)


def test_the_best_width_is_that_whose_poorest_seed_is_best_and_the_narrower_of_two_alike():
    rows = [nets("parity", "SimpleCell", 2, 1.0, 0.5), nets("parity", "SimpleCell", 4, 0.9, 0.9)]
    rows += [nets("parity", "SimpleCell", 8, 0.9, 0.95), nets("parity", "minGRU", 1, 1.0, 1.0)]
    rows += [nets("parity", "SimpleCell", 1, 1.0, 1.0, curriculum=1.0)]  # no front
    data = means(lines(pl.concat(rows)))
    assert at_best_width(data, "parity", "SimpleCell")["units"].to_list() == [4, 4]
    assert at_best_width(data, "even_pairs", "SimpleCell").is_empty()


def test_all_seeds_must_solve_it_and_all_of_the_tasks():
    good = [nets(task, "OptimizedLSTMCell", 4, 1.0, 0.9) for task in ("even_pairs", "parity")]
    assert LSTM(pl.concat(good)).holds is True
    assert LSTM(good[0]) == NOT_MEASURED
    poor = nets("parity", "OptimizedLSTMCell", 4, 1.0, 0.89)
    assert LSTM(pl.concat([good[0], poor])).holds is False
    other_width = nets("parity", "OptimizedLSTMCell", 8, 0.95, 0.95)
    assert LSTM(pl.concat([good[0], poor, other_width])).holds is True
    assert RNN(pl.concat(good)) == NOT_MEASURED


def test_a_count_on_a_line_is_simulated():
    """100,000 walks of 60 moves; a guess among five places where one went too far."""
    rng = np.random.default_rng(0)
    walks = np.abs(np.cumsum(rng.integers(-1, 2, (100_000, 60), dtype=np.int8), axis=1)).max(1)
    for far in (5, 9, 12):
        inside = np.mean(walks <= far)
        assert on_a_line(60, far) == pytest.approx(inside + (1 - inside) / 5, abs=0.005)
    assert on_a_line(3, 4) == pytest.approx(1)


def test_nets_that_count_on_a_line_are_told_from_others():
    numbers = [int(number) for number in LENGTHS.split()]
    counts = [tuple(min(1, on_a_line(number, far) + 0.01) for number in numbers) for far in (7, 12)]
    assert LINE(nets("cycle_navigation", "minGRU", 4, *counts)).holds is True
    assert LINE(nets("cycle_navigation", "minGRU", 4, *counts)).ours.startswith("7 to 12 places")
    for other in (1.0, 0.5, 0.2):
        assert LINE(nets("cycle_navigation", "minGRU", 4, *counts, other)).holds is False


def test_fewest_units_are_those_with_which_all_seeds_solve_it():
    def of(cell, pairs, parity):
        return [nets("even_pairs", cell, pairs, 1.0, 1.0), nets("parity", cell, parity, 1.0, 1.0)]

    arithmetic = nets("modular_arithmetic", "OptimizedLSTMCell", 32, 0.95, 0.9)
    half = nets("parity", "OptimizedLSTMCell", 1, 1.0, 0.5)  # one seed of two

    def judge(*parts):
        return FEWEST(pl.concat([each for part in parts for each in part])).holds

    lstm, rnn = of("OptimizedLSTMCell", 2, 2), of("SimpleCell", 4, 8)
    assert judge(lstm, rnn, [arithmetic, half]) is True
    assert judge(of("OptimizedLSTMCell", 2, 4), rnn, [arithmetic]) is False
    assert judge(lstm, of("SimpleCell", 2, 8), [arithmetic]) is False
    assert judge(lstm, rnn, [nets("modular_arithmetic", "OptimizedLSTMCell", 32, 0.95, 0.8)]) is False
    assert judge(lstm, rnn) is None


def test_one_min_gru_that_learns_or_another_cell_that_does_not_denies_it():
    cells = ("OptimizedLSTMCell", "SimpleCell", "minGRU")

    def judge(**best):
        scores = {cell: 0.5 if cell == "minGRU" else 1.0 for cell in cells} | best
        rows = [
            nets(task, cell, 4, 0.5, s) for cell, s in scores.items() for task in ("even_pairs", "parity")
        ]
        return MINGRU(pl.concat(rows)).holds

    assert judge() is True
    assert judge(minGRU=0.6) is False
    assert judge(SimpleCell=0.5) is False
    assert MINGRU(nets("parity", "minGRU", 4, 0.5)) == NOT_MEASURED


def test_the_front_is_compared_at_the_same_width():
    task, cell = "modular_arithmetic", "OptimizedLSTMCell"
    without, front = nets(task, cell, 32, 0.2, 0.2, curriculum=1.0), nets(task, cell, 32, 0.95, 0.8)
    narrow = nets(task, cell, 8, 0.2)
    assert FRONT(pl.concat([without, front, narrow])).holds is True
    assert FRONT(pl.concat([without, nets(task, cell, 32, 0.95, 0.4)])).holds is False
    assert FRONT(pl.concat([nets(task, cell, 32, 0.2, 0.5, curriculum=1.0), front])).holds is False
    assert FRONT(pl.concat([without, narrow])) == NOT_MEASURED
    assert FRONT(front) == NOT_MEASURED


def test_lines_are_nets_at_the_best_width_and_marks_are_all_nets():
    rows = [nets("parity", "SimpleCell", 2, 0.5, 0.75), nets("parity", "SimpleCell", 4, 1.0, 0.9)]
    rows.append(nets("modular_arithmetic", "OptimizedLSTMCell", 32, 0.25, curriculum=1.0))
    drawn = draw(pl.concat(rows))
    assert drawn.data.equals(lines(pl.concat(rows)))
    above, below = drawn.figure.axes[1], drawn.figure.axes[5]
    curves = [line.get_ydata().tolist() for line in above.lines if len(line.get_xdata()) == 6]
    assert sorted(curves) == [[0.9] * 6, [1.0] * 6]
    (marks,) = (line for line in below.lines if line.get_label() == "tanh RNN")
    assert marks.get_ydata().tolist() == pytest.approx([0.5, 0.75, 1.0, 0.9])
    (without,) = (line for line in drawn.figure.axes[7].lines if line.get_label() == "LSTM, no front")
    assert without.get_ydata().tolist() == [0.25]

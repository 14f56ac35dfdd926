"""Delétang et al. (2023): what its judges and its arithmetic rest on."""

import json

import numpy as np
import polars as pl
import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.deletang2023.paper import PAPER, at_best_width, lines, means, on_a_line

*_, FEWEST, _, FRONT = (claim.judge for claim in PAPER.claims)

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


def test_the_best_width_is_that_whose_poorest_seed_is_best_and_the_narrower_of_two_alike():
    rows = [nets("parity", "SimpleCell", 2, 1.0, 0.5), nets("parity", "SimpleCell", 4, 0.9, 0.9)]
    rows += [nets("parity", "SimpleCell", 8, 0.9, 0.95), nets("parity", "minGRU", 1, 1.0, 1.0)]
    rows += [nets("parity", "SimpleCell", 1, 1.0, 1.0, curriculum=1.0)]  # no front
    data = means(lines(pl.concat(rows)))
    assert at_best_width(data, "parity", "SimpleCell")["units"].to_list() == [4, 4]
    assert at_best_width(data, "even_pairs", "SimpleCell").is_empty()


def test_a_count_on_a_line_is_simulated():
    """100,000 walks of 60 moves; a guess among five places where one went too far."""
    rng = np.random.default_rng(0)
    walks = np.abs(np.cumsum(rng.integers(-1, 2, (100_000, 60), dtype=np.int8), axis=1)).max(1)
    for far in (5, 9, 12):
        inside = np.mean(walks <= far)
        assert on_a_line(60, far) == pytest.approx(inside + (1 - inside) / 5, abs=0.005)
    assert on_a_line(3, 4) == pytest.approx(1)


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


def test_the_front_is_compared_at_the_same_width():
    task, cell = "modular_arithmetic", "OptimizedLSTMCell"
    without, front = nets(task, cell, 32, 0.2, 0.2, curriculum=1.0), nets(task, cell, 32, 0.95, 0.8)
    narrow = nets(task, cell, 8, 0.2)
    assert FRONT(pl.concat([without, front, narrow])).holds is True
    assert FRONT(pl.concat([without, nets(task, cell, 32, 0.95, 0.4)])).holds is False
    assert FRONT(pl.concat([nets(task, cell, 32, 0.2, 0.5, curriculum=1.0), front])).holds is False
    assert FRONT(pl.concat([without, narrow])) == NOT_MEASURED
    assert FRONT(front) == NOT_MEASURED

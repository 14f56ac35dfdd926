"""Delétang et al. (2023): the best width, and a count on a line."""

import numpy as np
import pytest
from study_rows import at_lengths, seeds, table

from memcap.papers.deletang2023.paper import at_best_width, nets, on_a_line

LENGTHS = [60, 100, 200, 300, 400, 500]


def parity(cell, units, *accuracies, curriculum=0.15):
    """Nets of a width, one a seed, each with an accuracy at all lengths."""
    outcomes = (at_lengths(LENGTHS, [each] * len(LENGTHS)) for each in accuracies)
    return seeds("parity", 40, *outcomes, units=units, cell=cell, curriculum=curriculum)


def test_the_best_width_is_that_whose_poorest_seed_is_best_and_the_narrower_of_two_alike():
    rows = [parity("SimpleCell", 2, 1.0, 0.5), parity("SimpleCell", 4, 0.9, 0.9)]
    rows += [parity("SimpleCell", 8, 0.9, 0.95), parity("minGRU", 1, 1.0, 1.0)]
    rows += [parity("SimpleCell", 1, 1.0, 1.0, curriculum=1.0)]  # no front
    data = nets(table(*rows))
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

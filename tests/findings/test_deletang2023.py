"""Delétang et al. (2023): the widest nets, and a count on a line."""

import numpy as np
import pytest
from study_rows import at_lengths, seeds, table

from memcap import findings

study = findings.load("deletang2023")

LENGTHS = [60, 100, 200, 300, 400, 500]


def parity(cell, units, *accuracies, curriculum=0.15, **more):
    """Nets of a width, one a seed, each with an accuracy at all lengths."""
    outcomes = (at_lengths(LENGTHS, [each] * len(LENGTHS)) for each in accuracies)
    return seeds(
        "parity", 40, *outcomes, units=units, cell=cell, curriculum=curriculum, **more
    )


def test_the_widest_nets_are_judged_at_the_rate_whose_poorest_seed_is_best():
    rows = [
        parity("SimpleCell", 2, 1.0, 1.0),
        parity("SimpleCell", 4, 1.0, 0.5),
        parity("minGRU", 8, 1.0),
    ]
    rows += [parity("SimpleCell", 4, 0.9, 0.8, lr=0.003)]
    rows += [parity("SimpleCell", 8, 1.0, 1.0, curriculum=1.0)]  # no front
    data = study.nets(table(*rows))
    assert (
        study.at_widest(data, "parity", "SimpleCell").select("units", "lr").rows()
        == [(4, 0.003)] * 2
    )
    assert study.at_widest(data, "even_pairs", "SimpleCell").is_empty()


def test_a_count_on_a_line_is_simulated():
    """100,000 walks of 60 moves; a guess among five places where one went too far."""
    rng = np.random.default_rng(0)
    walks = np.abs(
        np.cumsum(rng.integers(-1, 2, (100_000, 60), dtype=np.int8), axis=1)
    ).max(1)
    for far in (5, 9, 12):
        inside = np.mean(walks <= far)
        assert study.on_a_line(60, far) == pytest.approx(
            inside + (1 - inside) / 5, abs=0.005
        )
    assert study.on_a_line(3, 4) == pytest.approx(1)

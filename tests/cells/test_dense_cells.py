"""Cells whose units see each other: how they start, and what they hold by weights set
by hand."""

import numpy as np
import pytest

import memcap
from memcap.cells import Init
from memcap.models.architecture import Architecture
from memcap.models.model import Model

pytestmark = pytest.mark.usefixtures("quick_file")


@pytest.mark.parametrize(
    ("cell", "init", "gram"),
    [
        ("irnn", None, 1),
        ("irnn", Init(), 1),
        ("irnn", Init(gain=0.5), 0.25),
        ("linear", None, 1),
        ("linear", Init(), 1),
    ],
)
def test_it_starts_orthogonal_by_itself_and_by_name(cell, init, gram):
    net = Architecture(Model(cell, 6), 2, 2)
    weights = net.init(init, [1])["cell"]
    recurrent = weights["recurrent"]
    np.testing.assert_allclose(recurrent @ recurrent.T, gram * np.eye(6), atol=1e-5)
    if cell == "irnn":
        np.testing.assert_array_equal(recurrent, recurrent[0, 0] * np.eye(6))
    assert not np.any(weights["bias"])
    assert net.carry_numbers() == 6


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "enough"), [("linear", 3), ("LRU", 2)])
def test_training_needs_exactly_what_the_theorem_says_at_lag_2(cell, enough):
    """lag + 1 carry numbers, in whole units: one a linear unit, two an LRU's."""
    runs = memcap.members(
        task="delay_line",
        lag=2,
        cell=cell,
        units=[enough - 1, enough],
        recipe="own_start",
        budget=1000,
        seed=2,
    )
    rows = memcap.train(runs, engine=memcap.Engine(workers=1), progress=False)
    assert rows.filter(rows["units"] < enough)["solved"].to_list() == [False, False]
    assert rows.filter(rows["units"] == enough)["steady"].to_list() == [True, True]

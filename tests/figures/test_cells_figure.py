"""Cells side by side: the numbers drawn are the frontier's widths, counted as the rows
counted them."""

import pytest
from figure_checks import counts_around, line
from study_rows import group, sharp, sized, table

from memcap.figures.cells import draw
from memcap.frontiers.frontier import frontier
from memcap.knobs import UserError

EDGES = {"linear": {4: 5, 8: 9}, "LRU": {4: 3, 8: 5}, "lstm": {4: 4, 8: 6}}
PER_UNIT = {"linear": 1, "LRU": 2, "lstm": 2}  # carry numbers
FAILED = {2: (0, 8), 8: (0, 8), 16: (0, 8)}


def of_cell(cell, lag, counts):
    return sized(group("delay_line", lag, counts, cell=cell))


@pytest.fixture(scope="module")
def rows():
    """Three cells with sharp edges, and one that no width was enough for."""
    edges = [(c, lag, sharp(u)) for c in EDGES for lag, u in EDGES[c].items()]
    failed = [("minGRU", lag, FAILED) for lag in (4, 8)]
    return table(*(of_cell(*net) for net in edges + failed))


def test_each_cell_stands_at_its_own_counts(rows):
    carry, weights = draw(rows).figure.axes
    assert line(carry, "minGRU") == line(weights, "minGRU") == {}
    for p in (p for p in frontier(rows) if p.model.cell in EDGES):
        cell = p.model.cell
        width = p.fit.u90.units
        assert line(carry, cell)[p.lag] == pytest.approx(PER_UNIT[cell] * width)
        low, high = counts_around(width, "parameters", cell=cell)
        assert low <= line(weights, cell)[p.lag] <= high


def test_a_threshold_censored_at_a_width_has_that_widths_own_counts(rows):
    data = draw(rows).data
    assert data.height == 8
    parameters, _ = counts_around(16, "parameters", cell="minGRU")
    counts = ["parameters_u90", "carry_numbers_u90", "carry_numbers_u90_high"]
    failed = data.filter(cell="minGRU").select("u90_censored", *counts)
    expected = ("above", pytest.approx(parameters), pytest.approx(16), None)
    assert failed.rows() == [expected] * 2


def test_two_tasks_are_one_line(rows):
    rows = rows.vstack(table(group("latch", 4)))
    with pytest.raises(UserError, match="cells are compared on one"):
        draw(rows)


def test_the_theorem_is_one_number_a_symbol_held(rows):
    dotted = [
        [x.get_xydata().tolist() for x in axes.lines if x.get_linestyle() == ":"]
        for axes in draw(rows).figure.axes
    ]
    assert dotted == [[[[4, 5], [8, 9]]], []]

"""Cells side by side: the numbers drawn are the frontier's widths, counted as the rows
counted them."""

import math

import pytest
from figure_checks import line
from study_rows import group, row_of, sharp, sized, sizes, table

from memcap.config.knobs import UserError
from memcap.figures.cells import draw
from memcap.frontiers.frontier import frontier

EDGES = {"linear": {4: 5, 8: 9}, "LRU": {4: 3, 8: 5}, "lstm": {4: 4, 8: 6}}


def of_cell(cell, lag, counts):
    return sized(group("delay_line", lag, counts, cell=cell))


def counted(cell, units):
    return sizes(row_of(task="delay_line", cell=cell, units=units))


@pytest.fixture(scope="module")
def rows():
    """Three cells with sharp edges, and one that no width was enough for."""
    known = [
        of_cell(cell, lag, sharp(u))
        for cell, edges in EDGES.items()
        for lag, u in edges.items()
    ]
    return table(
        *known,
        *(of_cell("minGRU", lag, {2: (0, 8), 8: (0, 8), 16: (0, 8)}) for lag in (4, 8)),
    )


def test_each_cell_stands_at_its_own_counts(rows):
    carry, weights = draw(rows).figure.axes
    for p in frontier(rows):
        for axes, name in ((carry, "carry_numbers"), (weights, "parameters")):
            own = line(axes, p.model.cell)
            if p.model.cell == "minGRU":
                assert not own
                continue
            width = p.fit.u90.units
            here = own[p.lag]
            below, above = (
                counted(p.model.cell, whole)[name]
                for whole in (math.floor(width), math.ceil(width))
            )
            assert below <= here <= above
            if name == "carry_numbers":
                assert here == pytest.approx(
                    (2 if p.model.cell in ("LRU", "lstm") else 1) * width
                )


def test_the_theorem_is_one_number_a_symbol_held(rows):
    carry, weights = draw(rows).figure.axes
    dotted = [
        [x for x in axes.lines if x.get_linestyle() == ":"] for axes in (carry, weights)
    ]
    assert [[x.get_xydata().tolist() for x in lines] for lines in dotted] == [
        [[[4, 5], [8, 9]]],
        [],
    ]


def test_the_table_has_the_counts_of_whole_widths_too(rows):
    """A threshold censored at a width has that width's own counts."""
    data = draw(rows).data
    assert data.height == 8
    for row in data.filter(data["cell"] == "minGRU").iter_rows(named=True):
        assert row["u90_censored"] == "above"
        assert row["parameters_u90"] == pytest.approx(
            counted("minGRU", 16)["parameters"]
        )
        assert row["carry_numbers_u90"] == pytest.approx(16)
        assert row["carry_numbers_u90_high"] is None


def test_two_tasks_are_one_line(rows):
    rows = rows.vstack(table(group("latch", 4)))
    with pytest.raises(UserError, match="cells are compared on one"):
        draw(rows)

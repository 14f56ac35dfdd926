"""A line a budget: the frontier of what trains for at most so many steps."""

import pytest
from figure_checks import line
from study_rows import group, sharp, table

from memcap.findings import load
from memcap.frontiers.frontier import frontier
from memcap.knobs import UserError

draw = load("delay_line_budgets").draw

LONGER = {"recipe": "curriculum", "budget": 8000}


@pytest.fixture(scope="module")
def rows():
    """Lags 4 and 8 with two budgets, lag 16 with the shorter one; a latch with one."""
    return table(
        *(group("delay_line", lag, sharp(lag + 1)) for lag in (4, 8, 16)),
        group("delay_line", 4, {2: (0, 8), 3: (1, 8), 4: (8, 8), 5: (8, 8)}, **LONGER),
        group("delay_line", 8, sharp(6), steady={6: 0}, **LONGER),
        group("latch", 4),
    )


def test_each_budget_has_the_frontier_of_its_recipes(rows):
    (axes,) = draw(rows).figure.axes
    early, late = (
        {p.lag: p.fit.u90.units for p in frontier(rows, budget=b) if p.task.stream}
        for b in (1500, 8000)
    )
    assert line(axes, "up to 1,500 steps") == pytest.approx(early)
    assert line(axes, "up to 8,000 steps") == pytest.approx(late)
    assert [early[lag] > late[lag] for lag in (4, 8, 16)] == [True, True, False]
    assert line(axes, "any seed, up to 8,000 steps") == {4: 3, 8: 7, 16: 17}
    assert line(axes, "_unnamed") == {4: 3, 8: 5, 16: 9}


def test_the_numbers_drawn_lie_beside(rows):
    data = draw(rows).data
    assert set(data["label"]) == {"delay_line"}
    assert data.select("lag", "budget", "used_budget").rows() == [
        *((lag, 1500, 1500) for lag in (4, 8, 16)),
        *((4, 8000, 8000), (8, 8000, 8000), (16, 8000, 1500)),
    ]


def test_one_budget_is_nothing_to_compare():
    with pytest.raises(UserError, match="all rows have budget 1500: nothing to compa"):
        draw(table(group()))

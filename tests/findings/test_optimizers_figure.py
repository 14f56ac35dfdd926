"""A mark for each optimizer, task and lag: its u90 over what its nets took."""

import pytest
from study_rows import group, sharp, table

from memcap.findings import load
from memcap.frontiers.frontier import fit_all_recipes
from memcap.knobs import UserError

draw = load("optimizers").draw


@pytest.fixture(scope="module")
def rows():
    """Two optimizers on a delay line, one of them at two rates; a third that no width
    was enough for."""
    slow = {"optimizer": "muon", "lr": 0.05, "steps": 200, "run_seconds": 3.0}
    fast = {"optimizer": "muon", "lr": 0.1, "steps": 50, "run_seconds": 1.0}
    return table(
        group("delay_line", 8, sharp(6), run_seconds=2.0),
        group("delay_line", 8, sharp(5), **slow),
        group("delay_line", 8, sharp(7), **fast),
        group("delay_line", 8, {5: (0, 8)}, optimizer="soap"),
        group("latch", 4, {1: (8, 8)}),
    )


def test_a_mark_is_u90_over_what_its_nets_took(rows):
    drawn = draw(rows)
    data = drawn.data.filter(label="delay_line").sort("optimizer", "lr")
    points = [p for p in fit_all_recipes(rows) if p.task.stream and p.steps is not None]
    points.sort(key=lambda p: (p.recipe.optimizer, p.recipe.lr))
    rates = [("adam", 0.03), ("muon", 0.05), ("muon", 0.1)]
    assert data.select("optimizer", "lr").rows() == rates
    expected = [(p.fit.u90.units, p.steps) for p in points]
    assert data.select("u90", "steps").rows() == expected
    assert data["seconds"].to_list() == [2.0, 3.0, 1.0]
    for axes, column in zip(drawn.figure.axes, ("steps", "seconds"), strict=True):
        marks = [line for line in axes.lines if line.get_ls() == "None"]
        places = {(line.get_xdata()[0], line.get_ydata()[0]) for line in marks}
        assert {*data.select(column, "u90").rows()} <= places


def test_where_no_net_passed_there_is_nothing_to_draw():
    with pytest.raises(UserError, match="no net passed: nothing to draw"):
        draw(table(group("latch", 4, {1: (0, 8)})))

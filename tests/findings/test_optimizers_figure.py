"""A mark for each optimizer, task and lag: its u90 over what its nets took."""

import pytest
from study_rows import group, sharp, table

from memcap.findings import load
from memcap.knobs import UserError

draw = load("optimizers").draw


def test_a_mark_is_u90_over_what_its_nets_took():
    """tests/test_results.py holds the numbers on published rows. No width is enough for
    the third optimizer."""
    slow = {"optimizer": "muon", "lr": 0.05, "steps": 200, "run_seconds": 3.0}
    fast = {"optimizer": "muon", "lr": 0.1, "steps": 50, "run_seconds": 1.0}
    rows = table(
        group("delay_line", 8, sharp(6), run_seconds=2.0),
        group("delay_line", 8, sharp(5), **slow),
        group("delay_line", 8, sharp(7), **fast),
        group("delay_line", 8, {5: (0, 8)}, optimizer="soap"),
    )
    drawn = draw(rows)
    data = drawn.data.sort("optimizer", "lr")
    seconds = [("adam", 0.03, 2.0), ("muon", 0.05, 3.0), ("muon", 0.1, 1.0)]
    assert data.select("optimizer", "lr", "seconds").rows() == seconds
    for axes, column in zip(drawn.figure.axes, ("steps", "seconds"), strict=True):
        marks = [line for line in axes.lines if line.get_ls() == "None"]
        places = {(line.get_xdata()[0], line.get_ydata()[0]) for line in marks}
        assert {*data.select(column, "u90").rows()} <= places


def test_where_no_net_passed_there_is_nothing_to_draw():
    with pytest.raises(UserError, match="no net passed: nothing to draw"):
        draw(table(group("latch", 4, {1: (0, 8)})))

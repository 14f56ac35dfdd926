"""Units against lag: which lines are drawn, and that the numbers drawn are the frontier's."""

import math

import pytest
from study_rows import group, table

from memcap.capacity.frontier import frontier
from memcap.figures.lags import draw, growth
from memcap.knobs import UserError


def counts(units):
    return {units - 1: (0, 8), units: (8, 8), units + 1: (8, 8)}


@pytest.fixture(scope="module")
def rows():
    """A copy that holds, a delay line that rises and is not reached at lag 20, a latch of one lag; a GRU."""
    return table(
        *(group("copy", lag, counts(5)) for lag in (5, 12, 50)),
        *(group("delay_line", lag, counts(lag + 1)) for lag in (4, 8)),
        group("delay_line", 20, {10: (0, 8), 12: (0, 8)}),
        group("latch", 9, counts(2)),
        *(group("copy", lag, counts(9), cell="GRUCell") for lag in (5, 12)),
    ).with_columns(steady="solved")


def test_a_line_per_task_of_an_lstm_at_two_lags_or_more(rows):
    drawn = draw(rows)
    lines = {
        str(line.get_label()): line
        for line in drawn.figure.axes[0].lines
        if not str(line.get_label()).startswith("_")
    }
    assert sorted(lines) == ["copy, x 1 from lag 5 to 50", "delay_line"]
    points = frontier(rows)
    for name, line in lines.items():
        label = name.partition(",")[0]
        own = [p for p in points if p.label == label]
        x, y = line.get_data()
        assert list(x) == pytest.approx([p.lag for p in own], rel=0.2)  # beside each other
        assert list(y) == pytest.approx(
            [math.nan if p.fit.u90.censored == "above" else p.fit.u90.units for p in own], nan_ok=True
        )
    assert lines["delay_line"].get_linestyle() == "--"
    assert lines["copy, x 1 from lag 5 to 50"].get_linestyle() == "-"


def test_the_table_holds_what_is_drawn(rows):
    data = draw(rows).data
    assert data["label"].to_list() == ["copy"] * 3 + ["delay_line"] * 3
    assert data["shifts"].to_list() == [False] * 3 + [True] * 3
    own = [p for p in frontier(rows) if p.label in ("copy", "delay_line")]
    assert data["u90"].to_list() == [p.fit.u90.units for p in own]


def test_growth_is_of_u90_from_the_shortest_lag_to_the_longest(rows):
    points = frontier(rows)
    copies = [p for p in points if p.label == "copy"]
    assert growth(copies) == pytest.approx(1, abs=0.02)
    shifted = [p for p in points if p.label == "delay_line"]
    assert growth(shifted[:2]) == pytest.approx(9 / 5, rel=0.05)
    assert math.isnan(growth(shifted))


def test_one_lag_is_one_line_of_an_error(rows):
    with pytest.raises(UserError, match="no task at two lags"):
        draw(table(group("latch", 9, counts(2))))

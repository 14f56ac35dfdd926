"""Units against lag: which lines are drawn, and that the numbers drawn are the frontier's."""

import math

import pytest
from matplotlib.colors import to_rgb
from study_rows import group, sharp, table

from memcap.figures.lags import draw, growth
from memcap.frontiers.frontier import frontier
from memcap.knobs import UserError

ONES = "1 unit: count, latch"


@pytest.fixture(scope="module")
def rows():
    """A copy that holds, two tasks that need one unit, a delay line that rises and is
    not reached at lag 20; a pattern of one lag; a GRU."""
    return table(
        *(group("copy", lag, sharp(5)) for lag in (5, 12, 50)),
        *(group("delay_line", lag, sharp(lag + 1)) for lag in (4, 8)),
        group("delay_line", 20, {10: (0, 8), 12: (0, 8)}),
        *(group("latch", lag, {1: (8, 8), 2: (8, 8)}) for lag in (5, 50)),
        *(group("count", lag, {1: (8, 8), 2: (8, 8)}) for lag in (5, 9)),
        group("pattern", 9, sharp(2)),
        *(group("copy", lag, sharp(9), cell="GRUCell") for lag in (5, 12)),
    ).with_columns(steady="solved")


def counted(data):
    return data.group_by("label", maintain_order=True).len().rows()


def test_a_line_per_task_of_an_lstm_at_two_lags_and_one_for_all_that_need_one_unit(
    rows,
):
    drawn = draw(rows)
    axes = drawn.figure.axes[0]
    lines = {x.get_label(): x for x in axes.lines if x.get_label()[0] != "_"}
    assert set(lines) == {"copy, x 1", "delay_line", ONES}
    assert {text.get_text() for text in axes.texts} == set(lines)
    u90 = {(p.label, p.lag): p.fit.u90.units for p in frontier(rows)}
    copies = [u90["copy", lag] for lag in (5, 12, 50)]
    line = [u90["delay_line", 4], u90["delay_line", 8], math.nan]
    for name, widths in {
        "copy, x 1": copies,
        "delay_line": line,
        ONES: [1] * 3,
    }.items():
        assert list(lines[name].get_ydata()) == pytest.approx(widths, nan_ok=True)
        red, _, blue = to_rgb(lines[name].get_color())
        assert (red > blue) == (name == "delay_line")  # orange, which shifts
    labels = [("copy", 3), ("count", 2), ("delay_line", 3), ("latch", 2)]
    assert counted(drawn.data) == labels
    assert drawn.data.filter("shifts")["label"].unique().to_list() == ["delay_line"]
    for row in drawn.data.to_dicts():
        assert row["u90"] == u90[row["label"], row["lag"]]


def test_growth_is_of_u90_from_the_shortest_lag_to_the_longest(rows):
    shifted = [p for p in frontier(rows) if p.label == "delay_line"]
    assert growth(shifted[:2]) == pytest.approx(9 / 5, rel=0.05)
    assert math.isnan(growth(shifted))


def test_one_lag_is_one_line_of_an_error():
    with pytest.raises(UserError, match="no task at two lags"):
        draw(table(group("latch", 9, sharp(2))))


def test_one_unit_that_was_not_enough_is_not_what_a_task_needs():
    failed = table(*(group("latch", lag, {1: (0, 8)}) for lag in (4, 8)))
    assert [text.get_text() for text in draw(failed).figure.axes[0].texts] == ["latch"]

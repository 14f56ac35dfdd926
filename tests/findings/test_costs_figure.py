"""Costs by family: the numbers drawn are the frontier's, and a line ends where its marks do."""

import pytest
from study_rows import group, sharp, table

from memcap.findings import load
from memcap.frontiers.frontier import frontier

atlas = load("atlas")

FAILED = {10: (0, 8), 12: (0, 8)}


@pytest.fixture(scope="module")
def rows():
    """Delay lines of an LSTM and a GRU at three lags, one that was not reached, and a latch."""
    return table(
        *(group("delay_line", lag, sharp(lag)) for lag in (3, 8, 16)),
        *(
            group("delay_line", lag, sharp(2 * lag), cell="GRUCell")
            for lag in (3, 8, 16)
        ),
        group("delay_line", 20, FAILED),
        group("latch", 9, {1: (8, 8), 2: (8, 8)}),
    ).with_columns(steady="solved")


@pytest.fixture(scope="module")
def points(rows):
    return [p for p in frontier(rows) if p.measured]


def test_the_numbers_drawn_are_the_frontiers(rows, points):
    drawn = atlas.draw(rows)
    marks = [x for x in drawn.figure.axes[0].lines if x.get_linestyle() == "None"]
    seen = [pair for line in marks for pair in zip(*line.get_data(), strict=True)]
    widths = [(p.references.bits, p.fit.u90.units) for p in points]
    assert sorted(seen) == [pytest.approx(pair) for pair in sorted(widths)]
    assert drawn.data["u90"].to_list() == [p.fit.u90.units for p in points]
    slopes = {cost.family: cost.slope for cost in atlas.costs(points)}
    assert (
        dict(drawn.data.drop_nulls("slope").select("family", "slope").rows()) == slopes
    )


def test_a_familys_line_ends_where_its_marks_do(rows, points):
    axes = atlas.draw(rows).figure.axes[0]
    lines = [line for line in axes.lines if line.get_label() == "_cost"]
    named = {text.get_text() for text in axes.get_legend().texts}
    assert len(lines) == 2
    for cost, line in zip(atlas.costs(points), lines, strict=True):
        bits = [p.references.bits for p in points if atlas.family(p) == cost.family]
        x, y = line.get_data()
        assert (x[0], x[-1]) == pytest.approx((min(bits), max(bits)))
        assert y[-1] == pytest.approx(cost.units(max(bits)))
        assert f"{cost.family}: {atlas.sentence(cost)}" in named

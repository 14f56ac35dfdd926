"""Costs by family: the numbers drawn are the frontier's, and a line ends where its marks do."""

import pytest
from study_rows import group, table

from memcap.config.knobs import UserError
from memcap.figures.costs import draw
from memcap.frontiers.costs import costs, family, sentence
from memcap.frontiers.frontier import frontier


@pytest.fixture(scope="module")
def rows():
    """Delay lines of an LSTM and a GRU at three lags, one that was not reached, and a latch."""
    edge = {lag: {lag - 1: (0, 8), lag: (8, 8), lag + 1: (8, 8)} for lag in (3, 8, 16)}
    twice = {
        lag: {2 * units: count for units, count in counts.items()}
        for lag, counts in edge.items()
    }
    return table(
        *(group("delay_line", lag, counts) for lag, counts in edge.items()),
        *(
            group("delay_line", lag, counts, cell="GRUCell")
            for lag, counts in twice.items()
        ),
        group("delay_line", 20, {10: (0, 8), 12: (0, 8)}),
        group("latch", 9, {1: (8, 8), 2: (8, 8)}),
    ).with_columns(steady="solved")


def test_the_numbers_drawn_are_the_frontiers(rows):
    drawn = draw(rows)
    points = [p for p in frontier(rows) if p.measured]
    marks = [
        line for line in drawn.figure.axes[0].lines if line.get_linestyle() == "None"
    ]
    seen = sorted(
        (x, y) for line in marks for x, y in zip(*line.get_data(), strict=True)
    )
    assert seen == [
        pytest.approx(pair)
        for pair in sorted((p.references.bits, p.fit.u90.units) for p in points)
    ]
    assert drawn.data["u90"].to_list() == [p.fit.u90.units for p in points]
    (slope,) = drawn.data.filter(drawn.data["cell"] == "GRUCell")["slope"].unique()
    assert slope == next(
        cost.slope for cost in costs(points) if cost.family.endswith("(GRUCell)")
    )


def test_a_familys_line_ends_where_its_marks_do(rows):
    drawn = draw(rows)
    axes = drawn.figure.axes[0]
    points = [p for p in frontier(rows) if p.measured]
    lines = [line for line in axes.lines if line.get_label() == "_cost"]
    assert len(lines) == len(costs(points)) == 2
    for cost, line in zip(costs(points), lines, strict=True):
        bits = [p.references.bits for p in points if family(p) == cost.family]
        x, y = line.get_data()
        assert (x[0], x[-1]) == pytest.approx((min(bits), max(bits)))
        assert y[-1] == pytest.approx(cost.units(max(bits)))
        assert any(
            text.get_text() == f"{cost.family}: {sentence(cost)}"
            for text in axes.get_legend().texts
        )


def test_nothing_measured_is_one_line():
    with pytest.raises(UserError, match="nothing to draw"):
        draw(table(group("delay_line", 20, {10: (0, 8), 12: (0, 8)})))

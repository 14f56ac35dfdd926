"""The law: the line is least squares over what was measured, and the numbers drawn are those of the
frontier."""

import math

import numpy as np
import pytest
from study_rows import group, table

from memcap.capacity.frontier import frontier
from memcap.figures.law import draw, laws
from memcap.figures.style import colour_and_marker
from memcap.knobs import UserError


@pytest.fixture(scope="module")
def rows():
    """Delay lines of 2 and 4 symbols, one not reached, one whose smallest width was enough; a latch; a GRU's
    delay line."""
    edge = {lag: {lag - 1: (0, 8), lag: (8, 8), lag + 1: (8, 8)} for lag in (3, 4, 8, 16)}
    return table(
        *(group("delay_line", lag, counts) for lag, counts in edge.items()),
        group("delay_line", 4, {7: (0, 8), 8: (8, 8), 9: (8, 8)}, knobs={"symbols": 4}),
        group("delay_line", 20, {10: (0, 8), 12: (0, 8)}),
        group("delay_line", 5, {4: (8, 8), 5: (8, 8)}),
        group("latch", 9, {1: (8, 8), 2: (8, 8)}),
        *(
            group("delay_line", lag, {2 * u: n for u, n in edge[lag].items()}, cell="GRUCell")
            for lag in (3, 8, 16)
        ),
    )


def test_only_what_was_measured_counts(rows):
    labels = {(p.label, p.lag): p.measured for p in frontier(rows, at="trained")}
    assert not labels["delay_line", 20]
    assert not labels["delay_line", 5]
    assert labels["latch", 9]
    assert sum(labels.values()) == len(labels) - 2


def test_the_line_is_least_squares_over_the_measured_points(rows):
    points = [p for p in frontier(rows, at="trained") if p.measured]
    found = {law.cell: law for law in laws(points)}
    assert list(found) == ["GRUCell", "lstm"]
    for cell, law in found.items():
        bits, units = np.array([(p.references.bits, p.fit.u90.units) for p in points if p.cell == cell]).T
        slope, intercept = np.polyfit(bits, units, 1)
        assert (law.slope, law.intercept, law.points) == pytest.approx((slope, intercept, len(bits)))
        residual = units - slope * bits - intercept
        error = math.sqrt((residual**2).sum() / (len(bits) - 2) / ((bits - bits.mean()) ** 2).sum())
        assert (law.high - law.low) / 2 / error > 2.3  # the t distribution's, wider than the normal's 1.96
    assert (found["lstm"].numbers, found["GRUCell"].numbers) == (2, 1)
    assert 0.9 < found["lstm"].slope < 1.1
    assert 1.8 < found["GRUCell"].slope < 2.2


def test_too_few_points_have_no_line(rows):
    points = [p for p in frontier(rows, at="trained") if p.measured and p.cell == "GRUCell"]
    assert laws(points[:2]) == []
    assert laws([points[0]] * 5) == []


def test_the_numbers_drawn_are_the_frontiers(rows):
    rows = rows.with_columns(steady="solved")
    drawn = draw(rows)
    points = [p for p in frontier(rows) if p.measured]
    marks = [line for line in drawn.figure.axes[0].lines if line.get_linestyle() == "None"]
    seen = sorted((x, y) for line in marks for x, y in zip(*line.get_data(), strict=True))
    assert seen == [
        pytest.approx(pair) for pair in sorted((p.references.bits, p.fit.u90.units) for p in points)
    ]
    assert drawn.data["u90"].to_list() == [p.fit.u90.units for p in points]
    (law,) = drawn.data.filter(drawn.data["cell"] == "GRUCell")["units_a_bit"].unique()
    assert law == next(law.slope for law in laws(points) if law.cell == "GRUCell")


def test_a_cells_line_ends_where_its_marks_do_and_no_mark_lies_under_the_legend(rows):
    drawn = draw(rows.with_columns(steady="solved"))
    axes = drawn.figure.axes[0]
    points = [p for p in frontier(rows.with_columns(steady="solved")) if p.measured]
    for law in laws(points):
        (line,) = (line for line in axes.lines if str(line.get_label()).startswith(f"{law.cell}: "))
        bits = [p.references.bits for p in points if p.cell == law.cell]
        x, y = line.get_data()
        assert (x[0], x[-1]) == pytest.approx((min(bits), max(bits)))
        assert y[-1] == pytest.approx(law.units(max(bits)))
    drawn.figure.canvas.draw()
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1


def test_nothing_measured_is_one_line():
    with pytest.raises(UserError, match="nothing to draw"):
        draw(table(group("delay_line", 20, {10: (0, 8), 12: (0, 8)})))


def test_no_two_of_many_lines_look_alike():
    assert len({colour_and_marker(k) for k in range(64)}) == 64

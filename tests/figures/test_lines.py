"""Lines by lag: their intervals, and names that stand apart (test_frontier_figure.py has
their thresholds, test_lags_figure.py breaks where none was reached)."""

import math
from itertools import pairwise

import pytest
from matplotlib.text import Text
from study_rows import group, table

from memcap.figures.frontier import plot
from memcap.figures.lines import Panel, picture, rules, threshold_line
from memcap.frontiers.frontier import frontier


@pytest.fixture(scope="module")
def points():
    """A delay line at lags 2 and 4 that was not reached at 16."""
    rows = table(
        group("delay_line", 2, {2: (0, 8), 3: (6, 8), 4: (8, 8)}),
        group("delay_line", 4, {3: (0, 8), 4: (2, 8), 5: (8, 8), 6: (8, 8)}),
        group("delay_line", 16, {14: (0, 6), 15: (0, 6)}),
    )
    return frontier(rows)


@pytest.fixture(scope="module")
def figure(points):
    lines = [
        threshold_line(which, points, "red", "o", which) for which in ("u50", "u90")
    ]
    return picture([[Panel("units", lines)]], "A title", ["About it.", *rules(points)])


def drawn(figure, label):
    """Marks (x, y) of all lines of this label in the first panel, those on the left first."""
    lines = figure.axes[0].lines
    return sorted(x.get_xydata().tolist() for x in lines if x.get_label() == label)


def test_bars_span_the_intervals_and_what_was_not_reached_has_an_arrow_alone(
    points, figure
):
    bars = [
        (low, high)
        for (x, low), (_, high) in drawn(figure, "_interval")
        if 3.5 < x < 4.5
    ]
    assert bars == [(t.low, t.high) for t in (points[1].fit.u50, points[1].fit.u90)]
    arrows = [y for ((x, y),) in drawn(figure, "_open_end") if x > 8]
    assert len(arrows) == 2
    assert all(y >= 15 for y in arrows)


@pytest.mark.parametrize("tasks", [2, 13])
def test_names_stand_beside_the_axes_apart_and_inside_the_figure(tasks):
    groups = [
        group("delay_line", 4, {4: (0, 8), 5: (8, 8)}, knobs={"symbols": 2 + k})
        for k in range(tasks)
    ]
    figure = plot(frontier(table(*groups)))
    figure.draw_without_rendering()
    names = figure.axes[0].texts
    assert len(names) == tasks
    boxes = sorted(
        (Text.get_window_extent(name) for name in names), key=lambda box: box.y0
    )
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
    assert all(
        figure.axes[0].get_window_extent().x1 < box.x0 < box.x1 < figure.bbox.x1
        for box in boxes
    )


def test_everything_lies_inside_the_axes(figure):
    axes = figure.axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for x, y in (
        pair for line in axes.lines for pair in zip(*line.get_data(), strict=True)
    ):
        assert left <= x <= right
        assert math.isnan(y) or bottom <= y <= top

"""The gap: floors, hand-set nets and trained ones stand at their bytes of state."""

import math

import pytest
from study_rows import group, sized, table

from memcap.figures.gap import draw, gaps
from memcap.findings import load


@pytest.fixture(scope="module")
def rows():
    """A latch of 8 symbols at two lags, a delay line, and one that no width is enough for."""
    latch = {"counts": {1: (0, 8), 2: (8, 8)}, "knobs": {"symbols": 8}}
    return table(
        *(sized(group("latch", lag, **latch)) for lag in (4, 12)),
        sized(group("delay_line", 8, {4: (1, 8), 8: (8, 8), 16: (8, 8)})),
        sized(group("delay_line", 16, {4: (0, 8), 8: (0, 8)}, knobs={"symbols": 4})),
    )


def test_each_task_stands_once_at_its_longest_lag_with_its_bytes(rows):
    error = -0.01 * math.log2(0.01) - 0.99 * math.log2(0.99)  # of a bit, at .99 right
    data = draw(rows).data
    known = ["lag", "floor_bytes", "hand_set_bytes", "any_seed_bytes"]
    rows_of = data.select("label", *known).rows_by_key("label")
    assert len(rows_of) == 3
    assert rows_of["delay_line"] == [(8, pytest.approx(1 - 9 * error / 8), 72, 32)]
    assert rows_of["latch (symbols=8)"] == [(12, 3 / 8, 8, 16)]
    *met, open_line = data.select("times", "bytes_u90", "floor_bytes").rows()
    assert open_line[:2] == (None, 64)
    assert all(times == pytest.approx(u90 / floor) for times, u90, floor in met)


def test_marks_are_drawn_at_these_bytes(rows):
    axes = draw(rows).figure.axes[0]
    pairs = [pair for line in axes.lines for pair in zip(*line.get_data(), strict=True)]
    for k, gap in enumerate(gaps(rows)):
        drawn = {float(x) for x, y in pairs if y == k}
        expected = {gap.floor, gap.hand_set, gap.any_seed, gap.u90.units} - {None}
        assert expected <= drawn
    words = axes.figure.texts[1].get_text()
    one = "One unit, the least that a net has, is enough at 0 of 3 lines."
    assert words.startswith(one)


def test_a_cell_has_one_line_which_says_what_the_map_says():
    """Whoever wrote it and trained it better; of a task that it does not learn it has none."""
    cell_map = load("cell_map")
    cells = ("OptimizedLSTMCell", "GRUCell", "SimpleCell")
    other = {"study": cell_map.RECIPES}
    rows = table(
        *(sized(group("copy", 5, {3: (0, 4), 4: (4, 4)}, cell=c)) for c in cells),
        sized(group("copy", 5, {1: (1, 8), 2: (8, 8)}, cell="lstm", **other)),
        sized(group("copy", 5, {8: (0, 8), 9: (8, 8)}, cell="GRUCell", **other)),
        sized(group("copy", 5, {4: (0, 4), 8: (0, 4)}, cell="LRU")),
    )
    lines = {
        gap.point.model.cell: (gap.u90, gap.floor, gap.point.seeds)
        for gap in gaps(rows)
    }
    assert lines == {
        need.cell: (need.u90["bytes"], need.floor, need.point.seeds)
        for need in cell_map.by_place(cell_map.needs(rows))["copy, lag 5"]
        if need.is_met
    }


@pytest.mark.parametrize(("seeds", "arrows"), [(3, 1), (8, 0)])
def test_an_arrow_marks_an_interval_that_the_widths_tried_leave_open(seeds, arrows):
    counts = {1: (0, seeds), 2: (0, seeds), 3: (seeds, seeds)}
    rows = table(sized(group("latch", 4, counts)))
    (gap,) = gaps(rows)
    assert math.isinf(gap.u90.high) == bool(arrows)
    markers = [line.get_marker() for line in draw(rows).figure.axes[0].lines]
    assert markers.count(">") == arrows

"""The gap: floors, hand-set nets and trained ones stand at their bytes of state."""

import math

import pytest
from study_rows import group, sized, table

from memcap import findings
from memcap.figures.gap import draw, gaps

cell_map = findings.load("cell_map")


@pytest.fixture(scope="module")
def rows():
    """A latch of 8 symbols at two lags, a delay line, and one that no width is enough for."""
    return table(
        *(
            sized(group("latch", lag, {1: (0, 8), 2: (8, 8)}, knobs={"symbols": 8}))
            for lag in (4, 12)
        ),
        sized(group("delay_line", 8, {4: (1, 8), 8: (8, 8), 16: (8, 8)})),
        sized(group("delay_line", 16, {4: (0, 8), 8: (0, 8)}, knobs={"symbols": 4})),
    )


def test_each_task_stands_once_at_its_longest_lag_with_its_bytes(rows):
    data = {row["label"]: row for row in draw(rows).data.iter_rows(named=True)}
    latch, line, open_line = (
        data[name]
        for name in ("latch (symbols=8)", "delay_line", "delay_line (symbols=4)")
    )
    assert (latch["lag"], latch["floor_bytes"], latch["hand_set_bytes"]) == (
        12,
        3 / 8,
        8,
    )
    assert latch["any_seed_bytes"] == 16
    assert latch["times"] == pytest.approx(latch["bytes_u90"] / latch["floor_bytes"])
    error = -0.01 * math.log2(0.01) - 0.99 * math.log2(
        0.99
    )  # of one bit, at an accuracy of .99
    assert line["floor_bytes"] == pytest.approx((8 - 9 * error) / 8)
    assert (line["hand_set_bytes"], line["any_seed_bytes"], line["floor_units"]) == (
        72,
        32,
        1,
    )
    assert (
        open_line["times"],
        open_line["any_seed_bytes"],
        open_line["bytes_u90"],
    ) == (None, None, 64)


def test_marks_are_drawn_at_these_bytes(rows):
    axes = draw(rows).figure.axes[0]
    for k, gap in enumerate(gaps(rows)):
        drawn = {
            float(x)
            for line in axes.lines
            for x, y in zip(*line.get_data(), strict=True)
            if y == k
        }
        expected = {gap.floor, gap.hand_set, gap.any_seed, gap.u90.units} - {None}
        assert expected <= drawn
    words = axes.figure.texts[1].get_text()
    assert words.startswith(
        "One unit, the least that a net has, is enough at 0 of 3 lines."
    )


def test_an_arrow_marks_an_interval_that_the_widths_tried_leave_open():
    for seeds, arrows in ((3, 1), (8, 0)):
        rows = table(
            sized(group("latch", 4, {1: (0, seeds), 2: (0, seeds), 3: (seeds, seeds)}))
        )
        (gap,) = gaps(rows)
        markers = [
            line for line in draw(rows).figure.axes[0].lines if line.get_marker() == ">"
        ]
        assert (len(markers), math.isinf(gap.u90.high)) == (arrows, bool(arrows))


def test_a_cell_has_one_line_which_says_what_the_map_says():
    """Whoever wrote it and trained it better; of a task that it does not learn it has none."""
    cells = {
        "OptimizedLSTMCell": "lstm",
        "GRUCell": "GRUCell",
        "SimpleCell": "SimpleCell",
    }
    own = [sized(group("copy", 5, {3: (0, 4), 4: (4, 4)}, cell=cell)) for cell in cells]
    better = sized(
        group("copy", 5, {1: (1, 8), 2: (8, 8)}, cell="lstm", study=cell_map.RECIPES)
    )
    worse = sized(
        group("copy", 5, {8: (0, 8), 9: (8, 8)}, cell="GRUCell", study=cell_map.RECIPES)
    )
    none = [
        sized(group(task, 5, {4: (0, 4), 8: (0, 4)}, cell="LRU"))
        for task in ("copy", "parity")
    ]
    rows = table(*own, better, worse, *none)
    lines = {
        gap.point.model.cell: gap for gap in gaps(rows) if gap.point.task.name == "copy"
    }
    needs = {
        need.cell: need
        for need in cell_map.needs(rows)
        if need.point.task.name == "copy"
    }
    assert (
        set(lines)
        == set(cells.values())
        == {need.cell for need in needs.values() if need.is_met}
    )
    for cell, gap in lines.items():
        need = needs[cell]
        assert (gap.u90, gap.floor, gap.point.seeds) == (
            need.u90["bytes"],
            need.floor,
            need.point.seeds,
        )
    assert [lines[cell].any_seed for cell in ("lstm", "GRUCell")] == [8, 16]
    names = [text.get_text() for text in draw(rows).figure.axes[0].get_yticklabels()]
    assert names[-2:] == ["copy, lstm, lag 5", "parity (LRU), lag 5"]

"""The table of counts: what stands in its cells, and how dark they are."""

import pytest
from study_rows import group, table

from memcap.figures.seeds import MOST, draw
from memcap.knobs import UserError


def test_the_cells_hold_the_counts_of_the_rows():
    rows = table(
        group("latch", 5, {1: (0, 4), 2: (3, 4)}),
        group("latch", 5, {2: (4, 4)}, readout="lstm", recipe="chrono"),
        group("delay_line", 3, {1: (4, 4)}, steady={1: 1}),
        group("latch", 8, {1: (1, 4)}, lr=0.01),
        group("latch", 8, {1: (2, 4)}, lr=0.1),
    )
    drawn = draw(rows)
    assert drawn.data.select(
        "label", "lag", "recipe", "at", "units", "passed", "seeds"
    ).rows() == [
        ("delay_line", 3, "hold", "steady", 1, 1, 4),
        ("latch", 5, "hold", "trained", 1, 0, 4),
        ("latch", 5, "hold", "trained", 2, 3, 4),
        ("latch", 8, "hold, lr 0.01", "trained", 1, 1, 4),
        ("latch", 8, "hold, lr 0.1", "trained", 1, 2, 4),
        ("latch (readout=lstm)", 5, "chrono", "trained", 2, 4, 4),
    ]
    (axes,) = drawn.figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [
        "delay_line, lag 3, hold",
        "latch, lag 5, hold",
        "latch, lag 8, hold, lr 0.01",
        "latch, lag 8, hold, lr 0.1",
        "latch (readout=lstm), lag 5, chrono",
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {
        (0, 0): "1/4",
        (0, 1): "0/4",
        (1, 1): "3/4",
        (0, 2): "1/4",
        (0, 3): "2/4",
        (1, 4): "4/4",
    }
    light = {
        cell: sum(bar.get_facecolor()[:3])
        for cell, bar in zip(cells.values(), axes.patches, strict=True)
    }
    assert light["0/4"] > light["1/4"] > light["2/4"] > light["3/4"] > light["4/4"]


def test_more_lines_than_can_be_read_are_refused():
    with pytest.raises(
        UserError,
        match=f"{MOST + 1} tasks, lags and recipes: this figure has 1 to {MOST}",
    ):
        draw(table(*(group("latch", lag, {1: (1, 1)}) for lag in range(1, MOST + 2))))

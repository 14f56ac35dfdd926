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
    columns = ["label", "lag", "recipe", "at", "units", "passed", "seeds"]
    counts = drawn.data.select(columns).rows()
    assert counts == [
        ("delay_line", 3, "hold", "steady", 1, 1, 4),
        ("latch", 5, "hold", "trained", 1, 0, 4),
        ("latch", 5, "hold", "trained", 2, 3, 4),
        ("latch", 8, "hold, lr 0.01", "trained", 1, 1, 4),
        ("latch", 8, "hold, lr 0.1", "trained", 1, 2, 4),
        ("latch (readout=lstm)", 5, "chrono", "trained", 2, 4, 4),
    ]
    (axes,) = drawn.figure.axes
    lines, widths = (
        [label.get_text() for label in labels]
        for labels in (axes.get_yticklabels(), axes.get_xticklabels())
    )
    shown = {}
    light = {}
    spans = {}
    for text, bar in zip(axes.texts, axes.patches, strict=True):
        x, y = text.get_position()
        shares, spans[lines[y], widths[x]] = text.get_text().split("\n")
        shown[lines[y], widths[x]] = shares
        light[shares] = sum(bar.get_facecolor()[:3])
    assert shown == {
        (f"{label}, lag {lag}, {recipe}", str(units)): f"{passed}/{seeds}"
        for label, lag, recipe, _, units, passed, seeds in counts
    }
    # by Wilson's formula
    assert spans["latch, lag 5, hold", "2"] == "30-95 %"
    assert drawn.data.select("low", "high").row(2) == pytest.approx(
        (0.3006, 0.9544), abs=1e-4
    )
    assert light["0/4"] > light["1/4"] > light["2/4"] > light["3/4"] > light["4/4"]


def test_more_lines_than_can_be_read_are_refused():
    with pytest.raises(
        UserError,
        match=f"{MOST + 1} tasks, lags and recipes: this figure has 1 to {MOST}",
    ):
        draw(table(*(group("latch", lag, {1: (1, 1)}) for lag in range(1, MOST + 2))))

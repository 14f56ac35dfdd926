"""The frontier: the numbers drawn are its own, and what they rest on is written below them."""

import math

import polars as pl
import pytest
from study_rows import group, table

from memcap import figures
from memcap.figures.frontier import caption, draw
from memcap.frontiers.frontier import columns, frontier

LAGS = (2, 4, 16)


@pytest.fixture(scope="module")
def rows():
    """A delay line at lags 2 and 4 that was not reached at 16, and a latch at lags 2
    and 16 that needs 1 unit."""
    old = {"recipe": "forget_bias", "budget": 3000}
    new = {"recipe": "open_gate", "lr": 0.005, "budget": 1234}
    return table(
        group("delay_line", 2, {2: (0, 8), 3: (6, 8), 4: (8, 8)}, **old),
        group("delay_line", 4, {3: (0, 8), 4: (2, 8), 5: (8, 8), 6: (8, 8)}, **old),
        group("delay_line", 16, {14: (0, 6), 15: (0, 6)}, **new),
        *(group("latch", lag, {1: (8, 8), 2: (8, 8)}) for lag in (2, 16)),
    )


def marks(axes, **look):
    """Lags and widths of the lines of this look, but for widths that are NaN."""
    lines = [
        line
        for line in axes.lines
        if all(getattr(line, f"get_{name}")() == v for name, v in look.items())
    ]
    pairs = [pair for line in lines for pair in zip(*line.get_data(), strict=True)]
    nearest = [(min(LAGS, key=lambda lag, x=x: abs(lag - x)), y) for x, y in pairs]
    return [pair for pair in nearest if not math.isnan(pair[1])]


@pytest.mark.parametrize("name", ["delay_line", "latch"])
def test_each_task_has_its_thresholds_and_the_widths_of_theory_in_its_colour(
    rows, name
):
    axes = draw(rows).figure.axes[0]
    (line,) = (line for line in axes.lines if line.get_label() == name)
    colour = line.get_color()
    points = [p for p in frontier(rows) if p.label == name]
    fits = {p.lag: p.fit for p in points if p.fit.u90.censored != "above"}
    u90 = [(lag, fit.u90.units) for lag, fit in fits.items()]
    u50 = [(lag, fit.u50.units) for lag, fit in fits.items()]
    assert marks(axes, color=colour, label=name) == u90
    assert marks(axes, color=colour, markerfacecolor="white") == u50
    theory = {p.lag: p.references for p in points}
    one_per_number = [(lag, width.one_per_number) for lag, width in theory.items()]
    constructed = [(lag, width.constructed) for lag, width in theory.items()]
    assert marks(axes, color=colour, linestyle=":") == one_per_number
    assert marks(axes, color=colour, marker="x") == constructed


def test_the_steady_members_are_drawn_and_the_caption_says_what_that_is():
    counts = {3: (0, 8), 4: (8, 8), 5: (8, 8), 6: (8, 8)}
    rows = table(
        group("delay_line", 4, counts, steady={4: 0, 5: 2}, stretch=7),
        group("latch", 4, {1: (8, 8), 2: (8, 8)}, steady={1: 0, 2: 0}),
    )
    steady = frontier(rows)
    trained = frontier(rows, "trained")
    assert [p.at for p in steady] == ["steady", "trained"]
    assert steady[0].fit.u90.units > trained[0].fit.u90.units + 1
    assert draw(rows).data["u90"].to_list() == [p.fit.u90.units for p in steady]
    text = " ".join(caption(steady))
    which = "solved (latch); steady (delay_line (stretch 7))."
    assert f"A seed passes if its net is {which}" in text
    assert "Steady:" not in " ".join(caption(trained))


def test_the_numbers_lie_beside_the_picture(rows, tmp_path):
    picture = figures.save(draw(rows), tmp_path / "new" / "figures", "frontier")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    read = pl.read_csv(picture.with_suffix(".csv"), infer_schema_length=None)
    for row, point in zip(read.to_dicts(), frontier(rows), strict=True):
        assert row == pytest.approx(columns(point))

"""README's first picture shows what it says it does."""

import re
from pathlib import Path

import pytest
from own_programs import program

ROOT = Path(__file__).parents[1]


def test_it_shows_u90_with_its_intervals_and_the_widths_of_the_table():
    module = program("docs/first_picture.py")
    (axes,) = module.plot().axes
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    squares = [each for each in axes.lines if each.get_label() == "_table"]
    widths = [int(each.get_ydata()[0]) for each in squares]
    assert len(widths) == len(module.LINES)
    for width, text in zip(widths, axes.texts, strict=True):
        assert text.get_text() == f"LSTM({width})"
        assert re.search(rf"^\|.*`LSTM\({width}\)`", page, re.MULTILINE)
    bars = [each for each in axes.lines if each.get_label() == "_interval"]
    points = [
        point
        for _, task, studies in module.LINES
        for point in module.line(task, studies)
    ]
    dots = [each for each in axes.lines if not each.get_label().startswith("_")]
    drawn = [units for each in dots for units in each.get_ydata()]
    assert drawn == pytest.approx([point.fit.u90.units for point in points])
    assert len(bars) == len(points)

"""The marks of the papers' figures."""

import polars as pl
import pytest

from memcap.findings import marks


def test_a_mark_has_a_bar_to_each_extreme():
    data = pl.DataFrame(
        {"units": [2], "score": [0.5], "least": [0.4], "greatest": [0.7]}
    )
    _, axes = marks.panels((4, 3))
    marks.with_bars(axes, data, "units", "score", beside=2, **marks.look(0))
    line, _, (bars,) = axes.containers[0].lines
    assert line.get_xydata().tolist() == [[4, 0.5]]
    assert bars.get_segments()[0][:, 1].tolist() == pytest.approx([0.4, 0.7])


def test_kinds_differ_in_colour_or_marker():
    looks = [marks.look(k) for k in range(40)]
    assert len({(look["color"], look["marker"]) for look in looks}) == 40
    assert [marks.dots(k)["color"] for k in range(40)] == [
        look["color"] for look in looks
    ]
    assert marks.look(0, ms=9, ls="")["ms"] == 9


def test_numbers_stand_where_they_are_put_and_nowhere_else():
    _, (left, right) = marks.panels((4, 3), 1, 2)
    left.set_xscale("log")
    marks.number_x(left, [1, 20])
    marks.number_x(right, [1000], ",")
    assert [text.get_text() for text in left.get_xticklabels()] == ["1", "20"]
    assert list(left.get_xticks(minor=True)) == []
    assert [text.get_text() for text in right.get_xticklabels()] == ["1,000"]


def test_the_caption_and_the_seeds_stand_below():
    picture, _ = marks.panels((4, 3))
    rows = pl.DataFrame({"seed": [2, 0, 1, 1, 100]})
    data = pl.DataFrame({"seeds": [1, 3]})
    most = marks.greatest(data, "seeds")
    drawn = marks.finish(picture, rows, data, f"of {most} seeds", 8, left=0.2)
    assert picture.texts[0].get_text() == "of 3\nseeds\nSeeds 0\nto 2 and\n100."
    assert drawn.data is data
    assert marks.greatest(data.clear(), "seeds") == 0

"""The marks of the papers' figures."""

import polars as pl
import pytest

from memcap.findings import marks


def test_a_mark_has_a_bar_to_each_extreme():
    data = pl.DataFrame(
        {
            "units": [1, 2],
            "score": [0.5, 0.8],
            "least": [0.4, 0.8],
            "greatest": [0.7, 0.9],
        }
    )
    _, axes = marks.panels((4, 3))
    marks.with_bars(
        axes, data, "units", "score", beside=2, **marks.look(0, label="LSTM")
    )
    (line, _, (bars,)), label = axes.containers[0], axes.containers[0].get_label()
    assert (label, list(line.get_xdata()), list(line.get_ydata())) == (
        "LSTM",
        [2, 4],
        [0.5, 0.8],
    )
    assert [part[:, 1].tolist() for part in bars.get_segments()] == [
        pytest.approx([0.4, 0.7]),
        pytest.approx([0.8, 0.9]),
    ]


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


def test_references_are_grey_and_pale_and_the_caption_is_below():
    picture, axes = marks.panels((4, 3))
    marks.level(axes, 0.25, "chance")
    marks.theirs(axes, [1, 2], [3, 4], lw=6, label="the paper")
    marks.legend(axes, loc="upper left")
    rows = pl.DataFrame({"seed": [7]})
    data = pl.DataFrame({"seeds": [1, 3]})
    drawn = marks.finish(
        picture, rows, data, f"of {marks.greatest(data, 'seeds')} seeds", 8, left=0.2
    )
    assert [(line.get_label(), list(line.get_ydata())) for line in axes.lines] == [
        ("chance", [0.25, 0.25]),
        ("the paper", [3, 4]),
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "chance",
        "the paper",
    ]
    assert picture.texts[0].get_text() == "of 3\nseeds\nSeed 7."
    assert drawn.data is data
    assert marks.greatest(data.clear(), "seeds") == 0


def test_seeds_are_named_by_their_runs():
    def of(*own):
        return marks.seeds(pl.DataFrame({"seed": own}, {"seed": pl.Int64}))

    assert of(2, 0, 1, 1, 100) == "Seeds 0 to 2 and 100."
    assert (of(7), of()) == ("Seed 7.", "")

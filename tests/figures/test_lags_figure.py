"""Units against lag: which lines are drawn, and that the numbers drawn are the frontier's."""

import math

import polars as pl
import pytest
from matplotlib.colors import to_rgb
from study_rows import group, sharp, table

from memcap.config.knobs import UserError
from memcap.figures.lags import draw, growth
from memcap.frontiers.frontier import frontier


@pytest.fixture(scope="module")
def rows():
    """A copy that holds, two tasks that need one unit, a delay line that rises and is
    not reached at lag 20; a pattern of one lag; a GRU."""
    return table(
        *(group("copy", lag, sharp(5)) for lag in (5, 12, 50)),
        *(group("delay_line", lag, sharp(lag + 1)) for lag in (4, 8)),
        group("delay_line", 20, {10: (0, 8), 12: (0, 8)}),
        *(group("latch", lag, {1: (8, 8), 2: (8, 8)}) for lag in (5, 50)),
        *(group("count", lag, {1: (8, 8), 2: (8, 8)}) for lag in (5, 9)),
        group("pattern", 9, sharp(2)),
        *(group("copy", lag, sharp(9), cell="GRUCell") for lag in (5, 12)),
    ).with_columns(steady="solved")


def test_a_line_per_task_of_an_lstm_at_two_lags_and_one_for_all_that_need_one_unit(
    rows,
):
    axes = draw(rows).figure.axes[0]
    points = frontier(rows)
    lines = {
        line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"
    }
    assert set(lines) == {"copy, x 1", "delay_line", "1 unit: count, latch"}
    assert {text.get_text() for text in axes.texts} == set(lines)
    for name, label in (("copy, x 1", "copy"), ("delay_line", "delay_line")):
        u90 = [p.fit.u90 for p in points if p.label == label]
        expected = [
            math.nan if each.censored == "above" else each.units for each in u90
        ]
        assert list(lines[name].get_ydata()) == pytest.approx(expected, nan_ok=True)
    assert list(lines["1 unit: count, latch"].get_ydata()) == pytest.approx(
        [1, 1, 1]
    )  # at lags 5, 9 and 50


def test_what_holds_is_blue_and_what_shifts_is_orange(rows):
    figure = draw(rows).figure
    for line in (line for line in figure.axes[0].lines if line.get_label()[0] != "_"):
        red, _, blue = to_rgb(line.get_color())
        assert (red > blue) == (line.get_label() == "delay_line")
    key = [text.get_text() for text in figure.texts if "Seen once" in text.get_text()]
    assert key == [
        "Seen once, held until asked for: 1 to 1 times the units at the longest lag"
    ]


def test_the_table_holds_every_line(rows):
    data = draw(rows).data
    kinds = data.group_by("label", "shifts", maintain_order=True).len().rows()
    assert kinds == [
        ("copy", False, 3),
        ("count", False, 2),
        ("delay_line", True, 3),
        ("latch", False, 2),
    ]
    own = [p for p in frontier(rows) if p.model.cell == "lstm" and p.label != "pattern"]
    assert data["u90"].to_list() == [p.fit.u90.units for p in own]


def test_of_a_task_that_is_right_at_every_lag_up_to_its_own_only_that_is_drawn(rows):
    asked = table(*(group("latch", lag, {1: (8, 8)}) for lag in (5, 50))).with_columns(
        up_to="solved", evaluation_until=pl.lit("up_to")
    )
    kinds = (
        draw(pl.concat([rows, asked], how="diagonal"))
        .data.group_by("label", maintain_order=True)
        .len()
    )
    assert kinds.rows() == [
        ("copy", 3),
        ("count", 2),
        ("delay_line", 3),
        ("latch (every lag)", 2),
    ]


def test_growth_is_of_u90_from_the_shortest_lag_to_the_longest(rows):
    shifted = [p for p in frontier(rows) if p.label == "delay_line"]
    assert growth(shifted[:2]) == pytest.approx(9 / 5, rel=0.05)
    assert math.isnan(growth(shifted))


def test_one_lag_is_one_line_of_an_error():
    with pytest.raises(UserError, match="no task at two lags"):
        draw(table(group("latch", 9, sharp(2))))


def test_one_unit_that_was_not_enough_is_not_what_a_task_needs():
    failed = table(*(group("latch", lag, {1: (0, 8)}) for lag in (4, 8)))
    assert [text.get_text() for text in draw(failed).figure.axes[0].texts] == ["latch"]


def test_the_caption_names_the_seeds_of_what_is_drawn_alone(rows):
    later = rows.with_columns(
        seed=pl.when(task="pattern").then(pl.col("seed") + 100).otherwise("seed")
    )
    assert "Seeds 0 to 7." in " ".join(
        text.get_text() for text in draw(later).figure.texts
    )

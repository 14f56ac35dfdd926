"""The frontier: the numbers drawn are its own, and what they rest on is written below them."""

import math

import polars as pl
import pytest
from matplotlib.figure import Figure
from study_rows import group, table

from memcap import figures
from memcap.figures.frontier import caption, draw
from memcap.figures.style import write_below
from memcap.frontiers.frontier import frontier
from memcap.frontiers.points import columns
from memcap.rule import Criterion, Evaluation, solved_words, steady_words

LAGS = (2, 4, 16)


@pytest.fixture(scope="module")
def rows():
    """A delay line at lags 2 and 4 that was not reached at 16, and a latch at lags 2
    and 16 that needs 1 unit."""
    old = {"recipe": "forget_bias", "budget": 3000}
    return table(
        group("delay_line", 2, {2: (0, 8), 3: (6, 8), 4: (8, 8)}, **old),
        group("delay_line", 4, {3: (0, 8), 4: (2, 8), 5: (8, 8), 6: (8, 8)}, **old),
        group(
            "delay_line",
            16,
            {14: (0, 6), 15: (0, 6)},
            recipe="open_gate",
            lr=0.005,
            budget=1234,
        ),
        *(group("latch", lag, {1: (8, 8), 2: (8, 8)}) for lag in (2, 16)),
    )


def marks(axes, colour, **look):
    """Marks of the lines of this colour and look, but for those that are NaN."""
    own = [line for line in axes.lines if line.get_color() == colour]
    own = [
        line
        for line in own
        if all(getattr(line, f"get_{k}")() == v for k, v in look.items())
    ]
    pairs = [pair for line in own for pair in zip(*line.get_data(), strict=True)]
    return [
        (min(LAGS, key=lambda lag: abs(lag - x)), y)
        for x, y in pairs
        if not math.isnan(y)
    ]


def test_each_task_has_its_thresholds_and_the_widths_of_theory_in_its_colour(rows):
    axes = draw(rows).figure.axes[0]
    for name in ("delay_line", "latch"):
        (line,) = (line for line in axes.lines if line.get_label() == name)
        colour = line.get_color()
        own = [p for p in frontier(rows) if p.label == name]
        reached = [p for p in own if p.fit.u90.censored != "above"]
        u90 = marks(axes, colour, label=name)
        assert u90 == [(p.lag, p.fit.u90.units) for p in reached]
        assert marks(axes, colour, linestyle=":") == [
            (p.lag, p.references.one_per_number) for p in own
        ]
        assert marks(axes, colour, marker="x") == [
            (p.lag, p.references.constructed) for p in own
        ]
        open_marks = marks(axes, colour, markerfacecolor="white")
        assert open_marks == [(p.lag, p.fit.u50.units) for p in reached]


def test_the_caption_says_recipe_rate_budget_and_seeds(rows):
    drawn = draw(rows)
    text = " ".join(" ".join(text.get_text() for text in drawn.figure.texts).split())
    assert "lag 2, 4: forget_bias, lr 0.03, budget 3000 steps" in text
    assert "lag 16: open_gate, lr 0.005, budget 1234 steps" in text
    assert "6 to 8 seeds per width" in text
    assert "Best of" not in text
    two = " ".join(caption(frontier(table(group(lr=0.1), group(lr=0.2)))))
    assert (
        "Each lag uses the best of up to 2 recipes, chosen on the seeds that it is judged on."
        in two
    )


def test_the_steady_members_are_drawn_and_the_caption_says_what_that_is():
    rows = table(
        group(
            "delay_line",
            4,
            {3: (0, 8), 4: (8, 8), 5: (8, 8), 6: (8, 8)},
            steady={4: 0, 5: 2},
            stretch=7,
        ),
        group("latch", 4, {1: (8, 8), 2: (8, 8)}, steady={1: 0, 2: 0}),
    )
    steady = frontier(rows)
    assert [p.at for p in steady] == ["steady", "trained"]
    assert steady[0].fit.u90.units > frontier(rows, "trained")[0].fit.u90.units + 1
    assert draw(rows).data["u90"].to_list() == [p.fit.u90.units for p in steady]
    text = " ".join(caption(steady))
    assert (
        "A seed passes if its net is solved (latch); steady (delay_line (stretch 7))."
        in text
    )
    assert steady_words(7, 100) in text
    assert solved_words(str(Criterion("accuracy", 0.99)), Evaluation()) in text
    assert "Steady:" not in " ".join(caption(frontier(rows, "trained")))


def test_the_numbers_lie_beside_the_picture(rows, tmp_path):
    picture = figures.save(draw(rows), tmp_path / "new" / "figures", "frontier")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    read = pl.read_csv(picture.with_suffix(".csv"), infer_schema_length=None)
    expected = [columns(p) for p in frontier(rows)]
    assert read.columns == list(expected[0])
    for row, point in zip(read.iter_rows(named=True), expected, strict=True):
        assert {
            k: v if v is None or isinstance(v, str) else pytest.approx(v)
            for k, v in point.items()
        } == row


def test_a_caption_of_many_lines_has_a_higher_figure():
    """As of a study with 20 cells and tasks, each of which the caption names."""
    figures_of = {lines: Figure(figsize=(7.2, 6.4)) for lines in (3, 60)}
    for lines, figure in figures_of.items():
        write_below(figure, "\n".join(["a line"] * lines))
    assert figures_of[3].get_figheight() == pytest.approx(6.4)
    assert figures_of[60].subplotpars.bottom == pytest.approx(0.5)
    assert figures_of[60].get_figheight() / 2 > 60 * 7 / 72  # lines of 7 points

"""The numbers drawn are the frontier's, and what they rest on is written below them."""

import math

import polars as pl
import pytest
from matplotlib.figure import Figure
from study_rows import group, table

from memcap import figures
from memcap.capacity.frontier import frontier
from memcap.capacity.points import columns
from memcap.config import Evaluation
from memcap.figures.frontier import caption, draw, plot
from memcap.figures.style import write_below
from memcap.knobs import UserError
from memcap.training.early_stopping import criterion, rule, steady_rule


@pytest.fixture(scope="module")
def rows():
    """A delay line at lags 2 and 4 that was not reached at 16, and a latch at lags 2 and 16 that needs 1
    unit."""
    return table(
        group("delay_line", 2, {2: (0, 8), 3: (6, 8), 4: (8, 8)}, recipe="forget_bias", budget=3000),
        group(
            "delay_line", 4, {3: (0, 8), 4: (2, 8), 5: (8, 8), 6: (8, 8)}, recipe="forget_bias", budget=3000
        ),
        group("delay_line", 16, {14: (0, 6), 15: (0, 6)}, recipe="open_gate", lr=0.005, budget=1234),
        *(group("latch", lag, {1: (8, 8), 2: (8, 8)}) for lag in (2, 16)),
    )


@pytest.fixture(scope="module")
def points(rows):
    return frontier(rows)


@pytest.fixture(scope="module")
def axes(points):
    return plot(points).axes[0]


def drawn(axes, start, colour=None):
    """Data of all lines whose label starts so, and which have data, by colour if one is named."""
    lines = [x for x in axes.lines if x.get_label().startswith(start) and colour in (None, x.get_color())]
    data = [[(x, y) for x, y in zip(*line.get_data(), strict=True) if not math.isnan(y)] for line in lines]
    return [tuple(pairs) for pairs in data if pairs]


def colour(axes, task):
    return next(x.get_color() for x in axes.lines if x.get_label().startswith(f"{task}, "))


def same(found, expected):
    """Same heights, and at the right lags but for the shift that keeps tasks apart."""
    assert [y for _, y in found] == pytest.approx([y for _, y in expected])
    assert all(abs(math.log2(x / lag)) < 0.15 for (x, _), (lag, _) in zip(found, expected, strict=True))


@pytest.mark.parametrize(("task", "measured"), [("delay_line", (2, 4)), ("latch", (2, 16))])
@pytest.mark.parametrize("which", ["u50", "u90"])
def test_lines_go_through_the_thresholds_that_were_reached(points, axes, task, measured, which):
    (found,) = drawn(axes, f"{task}, {which[1:]} %")
    same(
        found,
        [(p.lag, getattr(p.fit, which).units) for p in points if p.task.name == task and p.lag in measured],
    )


def test_a_threshold_that_was_not_reached_has_an_arrow_and_no_marker(points, axes):
    own = colour(axes, "delay_line")
    assert not [x for line in drawn(axes, "delay_line, ") for x, _ in line if x > 8]
    arrows = [
        x for line in axes.lines for x in [line] if x.get_label() == "_open_end" and x.get_color() == own
    ]
    up = [x.get_data() for x in arrows if x.get_marker() == "^"]
    at_16 = [(float(x[0]), float(y[0])) for x, y in up if x[0] > 8]
    assert len(at_16) == 2  # u50 and u90
    assert all(y >= 15 for _, y in at_16)


def test_a_line_breaks_where_nothing_was_reached(axes):
    (line,) = (x for x in axes.lines if x.get_label() == "delay_line, 90 % of seeds")
    assert [math.isnan(y) for y in line.get_ydata()] == [False, False, True]


def test_bars_span_the_intervals(points, axes):
    (point,) = (p for p in points if p.task.name == "delay_line" and p.lag == 4)
    bars = [bar for bar in drawn(axes, "_interval", colour(axes, "delay_line")) if 3.5 < bar[0][0] < 4.5]
    expected = sorted((t.low, t.high) for t in (point.fit.u50, point.fit.u90))
    assert sorted((low, high) for (_, low), (_, high) in bars) == [pytest.approx(e) for e in expected]


def test_reference_lines_and_constructed_marks_are_where_theory_says(axes):
    own = colour(axes, "delay_line")
    assert drawn(axes, "_one_per_number", own) == [((2, 2), (4, 3), (16, 9))]
    assert drawn(axes, "_constructed", own) == [((2, 3), (4, 5), (16, 17))]
    assert drawn(axes, "_constructed", colour(axes, "latch")) == [((2, 1), (16, 1))]


def test_everything_lies_inside_the_axes(axes):
    bottom, top = axes.get_ylim()
    left, right = axes.get_xlim()
    for line in axes.lines:
        assert all(left <= x <= right for x in line.get_xdata())
        assert all(bottom <= y <= top for y in line.get_ydata() if not math.isnan(y))


def test_the_caption_says_recipe_rate_budget_and_seeds(points, axes):
    text = " ".join(caption(points).split())
    assert "lag 2, 4: forget_bias, lr 0.03, budget 3000 steps" in text
    assert "lag 16: open_gate, lr 0.005, budget 1234 steps" in text
    assert "6 to 8 seeds per width" in text
    assert "not a capacity limit" in text
    assert "Best of" not in text
    assert caption(points) in [t.get_text() for t in axes.figure.texts]


def test_the_caption_says_that_the_best_of_several_recipes_was_taken():
    two = frontier(table(group(lr=0.1), group(lr=0.2)))
    said = " ".join(caption(two).split())
    assert "At each lag the best of up to 2 recipes, chosen on the seeds it is judged on." in said


def test_the_steady_members_are_drawn_and_the_caption_says_what_that_is():
    rows = table(
        group("delay_line", 4, {3: (0, 8), 4: (8, 8), 5: (8, 8), 6: (8, 8)}, steady={4: 0, 5: 2}, stretch=7),
        group("latch", 4, {1: (8, 8), 2: (8, 8)}, steady={1: 0, 2: 0}),
    )
    found = draw(rows)
    axes = found.figure.axes[0]
    steady = frontier(rows)
    assert [p.at for p in steady] == ["steady", "trained"]
    assert steady[0].fit.u90.units > frontier(rows, "trained")[0].fit.u90.units + 1
    for point in steady:
        ((pair,),) = drawn(axes, f"{point.label}, 90 %")
        assert pair[1] == pytest.approx(point.fit.u90.units)
    text = " ".join(caption(steady).split())
    assert "Seeds that count: solved ones of latch; steady ones of delay_line (stretch 7)." in text
    assert steady_rule(7, 100) in text
    assert rule(criterion("accuracy", 0.99), Evaluation()) in text
    assert "Steady:" not in caption(frontier(rows, "trained"))


def test_the_numbers_lie_beside_the_picture(rows, points, tmp_path):
    picture = figures.save(draw(rows), tmp_path / "new" / "figures", "frontier")
    assert sorted(p.name for p in picture.parent.iterdir()) == [
        "frontier.csv",
        "frontier.pdf",
        "frontier.png",
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    read = pl.read_csv(picture.with_suffix(".csv"), infer_schema_length=None)
    expected = [columns(p) for p in points]
    assert read.columns == list(expected[0])
    for row, point in zip(read.iter_rows(named=True), expected, strict=True):
        assert {
            k: v if v is None or isinstance(v, str) else pytest.approx(v) for k, v in point.items()
        } == row


def test_nothing_to_draw():
    with pytest.raises(UserError, match="nothing to draw"):
        draw(table())


def test_a_folder_that_cannot_be_written(rows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        figures.save(draw(rows), tmp_path / "file" / "figures", "frontier")


def test_a_caption_of_many_lines_has_a_higher_figure():
    """As of a study with 20 cells and tasks, each of which the caption names."""
    figures_of = {lines: Figure(figsize=(7.2, 6.4)) for lines in (3, 60)}
    for lines, figure in figures_of.items():
        write_below(figure, "\n".join(["a line"] * lines))
    assert figures_of[3].get_figheight() == pytest.approx(6.4)
    assert figures_of[60].subplotpars.bottom == pytest.approx(0.5)
    assert figures_of[60].get_figheight() / 2 > 60 * 7 / 72  # lines of 7 points


@pytest.mark.parametrize("tasks", [2, 13])
def test_a_legend_of_many_tasks_stands_beside_the_marks_and_inside_the_figure(tasks):
    groups = [group("delay_line", 4, {4: (0, 8), 5: (8, 8)}, knobs={"symbols": 2 + k}) for k in range(tasks)]
    figure = plot(frontier(table(*groups)))
    axes = figure.axes[0]
    figure.canvas.draw()
    legend, marks = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert (legend.x0 > marks.x1) == (tasks > 5)
    assert legend.x1 < figure.bbox.x1
    assert len(axes.get_legend().get_texts()) == tasks + 4

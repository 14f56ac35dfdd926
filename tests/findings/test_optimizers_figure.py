"""A mark for each optimizer, task and lag: its u90 over what its nets took."""

import pytest
from study_rows import group, sharp, table

from memcap import findings
from memcap.config.knobs import UserError
from memcap.frontiers.frontier import fit_all_recipes

draw = findings.load("optimizers").draw


@pytest.fixture(scope="module")
def rows():
    """Two optimizers on a delay line, one of them at two rates; a third that no width
    was enough for."""
    return table(
        group("delay_line", 8, sharp(6), run_seconds=2.0),
        group(
            "delay_line",
            8,
            sharp(5),
            optimizer="muon",
            lr=0.05,
            steps=200,
            run_seconds=3.0,
        ),
        group(
            "delay_line",
            8,
            sharp(7),
            optimizer="muon",
            lr=0.1,
            steps=50,
            run_seconds=1.0,
        ),
        group("delay_line", 8, {5: (0, 8)}, optimizer="soap"),
        group("latch", 4, {1: (8, 8)}),
    )


def test_a_mark_is_u90_over_what_its_nets_took(rows):
    data = draw(rows).data.filter(label="delay_line")
    points = {
        (p.recipe.optimizer, p.recipe.lr): p
        for p in fit_all_recipes(rows)
        if p.task.stream
    }
    found = {(row["optimizer"], row["lr"]): row for row in data.iter_rows(named=True)}
    assert set(found) == {("adam", 0.03), ("muon", 0.05), ("muon", 0.1)}
    for key, row in found.items():
        assert row["u90"] == points[key].fit.u90.units
        assert row["steps"] == points[key].steps
    assert [found[key]["seconds"] for key in sorted(found)] == [2.0, 3.0, 1.0]
    steps, seconds = draw(rows).figure.axes
    for axes, column in ((steps, "steps"), (seconds, "seconds")):
        marks = {
            (line.get_xdata()[0], line.get_ydata()[0])
            for line in axes.lines
            if line.get_ls() == "None"
        }
        assert {
            (row[column], row["u90"]) for row in data.iter_rows(named=True)
        } <= marks


def test_the_key_names_optimizers_with_their_rates_and_marks(rows):
    legend = draw(rows).figure.axes[-1].get_legend()
    words = [text.get_text() for text in legend.get_texts()]
    assert words == [
        "adam 0.03",
        "muon 0.05",
        "muon 0.1",
        "delay_line, lag 8",
        "latch, lag 4",
    ]
    text = " ".join(draw(rows).figure.texts[0].get_text().split())
    assert "Budgets: 1500 steps." in text
    assert "Steady:" in text


def test_where_no_net_passed_there_is_nothing_to_draw():
    for rows in (table(), table(group("latch", 4, {1: (0, 8)}))):
        with pytest.raises(UserError, match="no net passed: nothing to draw"):
            draw(rows)

"""Every recipe has its line, and the frontier takes the best that competes."""

import pytest
from figure_checks import line
from study_rows import group, sharp, table

from memcap.findings import load
from memcap.frontiers.frontier import fit_all_recipes

draw = load("delay_line_frontier").draw

GATE = {"recipe": "open_gate", "budget": 1500}
GROWS = {"recipe": "curriculum", "budget": 8000}


@pytest.fixture(scope="module")
def rows():
    """Two recipes on delay lines, of which now one is better and now the other; a third
    with too few seeds; a latch with one."""
    return table(
        group("delay_line", 4, sharp(5), **GATE),
        group("delay_line", 4, sharp(4), **GROWS),
        group("delay_line", 8, sharp(7), **GATE),
        group("delay_line", 8, sharp(9), input_bias=-3.0, **GROWS),
        group("delay_line", 8, sharp(3, seeds=2), recipe="lucky", budget=100),
        group("delay_line", 16, {15: (0, 8)}, **GATE),
        group("latch", 4, {1: (8, 8)}),
    )


def test_each_recipe_is_a_line_through_its_own_thresholds_and_the_frontier_takes_the_best(
    rows,
):
    above, below = draw(rows).figure.axes
    points = {(p.recipe.name, p.lag): p.fit.u90.units for p in fit_all_recipes(rows)}
    for name in ("open_gate", "curriculum"):
        widths = {lag: points[name, lag] for lag in (4, 8)}
        assert line(above, name) == pytest.approx(widths)
        per_lag = {lag: width / lag for lag, width in widths.items()}
        assert line(below, name) == pytest.approx(per_lag)
    best = {4: points["curriculum", 4], 8: points["open_gate", 8]}
    assert line(above, "_unnamed") == pytest.approx(best)


def test_the_numbers_say_which_is_best(rows):
    data = draw(rows).data
    assert set(data["label"]) == {"delay_line"}  # the latch has but one recipe
    assert data.height == 6
    best = [(4, "curriculum"), (8, "open_gate"), (16, "open_gate")]
    assert data.filter("best").select("lag", "recipe").rows() == best
    per_lag = (data["u90"] / data["lag"]).to_list()
    assert data["units_a_lag"].to_list() == pytest.approx(per_lag)


@pytest.mark.parametrize(
    ("counts", "below"), [({1: (8, 8)}, {"good"}), ({15: (0, 8)}, set())]
)
def test_recipes_that_no_width_was_enough_for_are_drawn_by_their_arrows(counts, below):
    failed = group("latch", 4, {15: (0, 8)}, recipe="bad")
    drawn = draw(table(group("latch", 4, counts, recipe="good"), failed))
    named = [{text.get_text() for text in axes.texts} for axes in drawn.figure.axes]
    assert named == [{"good", "bad"}, below]

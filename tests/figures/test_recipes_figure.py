"""Every recipe has its line, and the frontier takes the best that competes."""

import pytest
from figure_checks import line
from study_rows import group, sharp, table

from memcap.figures.recipes import draw, recipe_names
from memcap.frontiers.frontier import fit_all_recipes, frontier


@pytest.fixture(scope="module")
def rows():
    """Two recipes on delay lines, of which now one is better and now the other; a third
    with too few seeds; a latch with one."""
    return table(
        group("delay_line", 4, sharp(5), recipe="open_gate", budget=1500),
        group("delay_line", 4, sharp(4), recipe="curriculum", budget=8000),
        group("delay_line", 8, sharp(7), recipe="open_gate", budget=1500),
        group(
            "delay_line", 8, sharp(9), recipe="curriculum", budget=8000, input_bias=-3.0
        ),
        group("delay_line", 8, sharp(3, seeds=2), recipe="lucky", budget=100),
        group("delay_line", 16, {15: (0, 8)}, recipe="open_gate", budget=1500),
        group("latch", 4, {1: (8, 8)}),
    )


def test_each_recipe_is_a_line_through_its_own_thresholds_and_the_frontier_takes_the_best(
    rows,
):
    above, below = draw(rows).figure.axes
    points = {(p.recipe.name, p.lag): p.fit.u90.units for p in fit_all_recipes(rows)}
    for name in ("open_gate", "curriculum"):
        own = {lag: points[name, lag] for lag in (4, 8)}
        assert line(above, name) == pytest.approx(own)
        assert line(below, name) == pytest.approx(
            {lag: width / lag for lag, width in own.items()}
        )
    best = {4: points["curriculum", 4], 8: points["open_gate", 8]}
    assert line(above, "_unnamed") == pytest.approx(best)


def test_the_numbers_say_which_is_best(rows):
    data = draw(rows).data
    assert set(data["label"]) == {"delay_line"}  # the latch has but one recipe
    best = {
        (row["lag"], row["recipe"]) for row in data.filter("best").iter_rows(named=True)
    }
    assert best == {(4, "curriculum"), (8, "open_gate"), (16, "open_gate")}
    assert data.height == 6
    assert data["units_a_lag"].to_list() == pytest.approx(
        (data["u90"] / data["lag"]).to_list()
    )


def test_the_caption_names_recipes_budgets_seeds_and_how_the_best_was_chosen(rows):
    text = " ".join(draw(rows).figure.texts[0].get_text().split())
    assert (
        "open_gate: 1500 steps; curriculum: 8000 steps; lucky: 100 steps. Seeds per width: up to"
        " 2, 8." in text
    )
    assert (
        "It is the best of up to 2, chosen on the seeds that it is judged on." in text
    )
    assert "Steady:" in text


def test_recipes_of_one_name_are_told_apart_by_what_differs():
    rows = table(group(lr=0.1), group(lr=0.2, batch=7), group(recipe="other"))
    names = set(recipe_names(fit_all_recipes(rows)))
    assert names == {"hold, lr 0.1, batch 64", "hold, lr 0.2, batch 7", "other"}


def test_one_recipe_is_the_frontier():
    rows = table(group("latch", 4))
    assert draw(rows).data["u90"].to_list() == [p.fit.u90.units for p in frontier(rows)]


def test_recipes_that_no_width_was_enough_for_are_drawn_by_their_arrows():
    failed = {15: (0, 8)}
    one = table(
        group("latch", 4, recipe="good"), group("latch", 4, failed, recipe="bad")
    )
    none = table(
        group("latch", 4, failed, recipe="bad"),
        group("latch", 4, failed, recipe="worse"),
    )
    for rows, named in ((one, {"good"}), (none, set())):
        above, below = draw(rows).figure.axes
        recipes = set(draw(rows).data["recipe"])
        assert {text.get_text() for text in above.texts} == recipes
        assert {text.get_text() for text in below.texts} == named

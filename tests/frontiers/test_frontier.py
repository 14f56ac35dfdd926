"""The frontier on rows that were made up, so that what it must say is known."""

import pytest
from study_rows import group, table

from memcap.config.knobs import UserError
from memcap.frontiers.frontier import fit_all_recipes, frontier
from memcap.frontiers.points import columns, label, references
from memcap.models.model import Model
from memcap.tasks import task_class
from memcap.thresholds.curve import fit_of, posterior

SHARP = {1: (0, 4), 2: (0, 4), 3: (4, 4), 4: (4, 4)}


def test_counts_by_width_and_thresholds_are_those_of_the_rows():
    counts = {4: (3, 8), 2: (0, 8), 6: (8, 8), 5: (7, 9)}
    (point,) = frontier(table(group(counts=counts)))
    assert point.units == (2, 4, 5, 6)
    assert point.solved == (0, 3, 7, 8)
    assert point.runs == (8, 8, 9, 8)
    assert point.fit == fit_of(posterior([2, 4, 5, 6], [0, 3, 7, 8], [8, 8, 9, 8]))
    assert point.seeds == 9
    assert columns(point)["counts"] == "2:0/8 4:3/8 5:7/9 6:8/8"
    assert columns(point)["runs"] == 33


def test_diverged_members_count_as_not_solved():
    (with_diverged,) = frontier(table(group(counts=SHARP | {3: (2, 4)}, diverged=2)))
    (without,) = frontier(table(group(counts=SHARP | {3: (2, 4)})))
    assert with_diverged.runs == (4, 4, 4, 4)
    assert with_diverged.solved == (0, 0, 2, 4)
    assert with_diverged.fit == without.fit


def test_the_recipe_with_the_smallest_u90_stands_and_is_named_with_the_number_tried():
    fit_all_recipes = (
        group(
            counts={1: (0, 4), 2: (0, 4), 3: (0, 4), 4: (4, 4)}, recipe="hold", lr=0.03
        ),
        group(counts=SHARP, recipe="chrono", lr=0.01),
        group(
            counts={1: (0, 4), 2: (0, 4), 3: (0, 4), 4: (0, 4)}, recipe="hold", lr=0.1
        ),
    )
    for order in (fit_all_recipes, fit_all_recipes[::-1]):
        (point,) = frontier(table(*order))
        assert (point.recipe.name, point.recipe.lr) == ("chrono", 0.01)
        assert point.recipes == 3
        assert sum(point.runs) == 16  # the losers' runs are not mixed in


@pytest.mark.parametrize(
    ("column", "values"), [("lr", (0.1, 0.2)), ("forget_bias", (None, 1.0))]
)
def test_runs_of_recipes_that_differ_in_one_value_are_not_mixed(column, values):
    (point,) = frontier(
        table(*(group(counts=SHARP, **{column: value}) for value in values))
    )
    assert point.recipes == 2
    assert point.runs == (4, 4, 4, 4)


@pytest.mark.parametrize(
    "other",
    [
        {"knobs": {"symbols": 4}},
        {"length": 20},
        {"cell": "GRUCell"},
        {"readout": "lstm"},
        {"layers": 2},
        {"initial_carry": "learned"},
        {"lag": 6},
    ],
)
def test_what_was_asked_of_which_net_makes_a_point_of_its_own(other):
    points = frontier(table(group(counts=SHARP), group(counts={1: (4, 4)}, **other)))
    assert sorted(p.units for p in points) == [(1,), (1, 2, 3, 4)]
    assert [p.recipes for p in points] == [1, 1]


def test_points_come_by_label_and_lag():
    points = frontier(
        table(*(group(task, lag) for lag in (16, 2) for task in ("latch", "copy")))
    )
    assert [(p.label, p.lag) for p in points] == [
        ("copy", 2),
        ("copy", 16),
        ("latch", 2),
        ("latch", 16),
    ]


def test_labels_name_what_is_not_the_default():
    latch = task_class("latch")
    assert label(latch()) == "latch"
    assert (
        label(latch(symbols=4), Model("GRUCell", readout="lstm"))
        == "latch (symbols=4, GRUCell, readout=lstm)"
    )
    assert label(latch(), Model(layers=2)) == "latch (layers=2)"
    (learned,) = frontier(table(group(counts=SHARP, initial_carry="learned")))
    assert learned.label == "latch (initial_carry=learned)"


def test_columns_of_a_measured_point():
    (point,) = frontier(table(group("delay_line", 2, SHARP | {2: (1, 4)}, steps=100)))
    row = columns(point)
    assert (row["task"], row["lag"], row["length"], row["cell"]) == (
        "delay_line",
        2,
        14,
        "lstm",
    )
    assert (row["u_exist"], row["u75_observed"]) == (2, 3)
    assert 1 <= row["u50_low"] < row["u50"] < row["u50_high"]
    assert row["u50"] <= row["u90"] <= row["u90_high"]
    assert row["u50_censored"] == row["u90_censored"] == "no"
    assert (row["information_floor"], row["one_per_number"], row["constructed"]) == (
        1,
        2,
        3,
    )
    assert row["recipe"] == "hold"
    assert (row["lr"], row["budget"], row["recipes"], row["seeds"]) == (
        0.03,
        1500,
        1,
        4,
    )
    assert (
        row["steps_median"] == 115
    )  # of 100, and twice 100 110 120 130, and 5 more each to be steady
    assert row["stretched_median"] == pytest.approx(0.999)


def test_columns_of_censored_points():
    reached_at_once, never = frontier(
        table(
            group(lag=1, counts={2: (4, 4)}),
            group(lag=2, counts={2: (0, 4), 3: (0, 4)}),
        )
    )
    row = columns(reached_at_once)
    assert (row["u50_censored"], row["u50"], row["u50_low"], row["u_exist"]) == (
        "below",
        2,
        1,
        2,
    )
    row = columns(never)
    assert (row["u90_censored"], row["u90"], row["u90_high"]) == ("above", 3, None)
    assert (
        row["u_exist"]
        is row["u75_observed"]
        is row["steps_median"]
        is row["stretched_median"]
        is None
    )


def test_reference_widths_are_those_of_the_cell():
    task = task_class("delay_line")()
    assert references(task, 50).one_per_number == 26  # h and c
    assert references(task, 50, model=Model("GRUCell")).one_per_number == 51
    assert references(task, 50, model=Model("GRUCell")).constructed is None
    two = references(
        task, 70, model=Model(layers=2)
    )  # hand-set weights are of one layer
    assert (two.information_floor, two.one_per_number, two.constructed) == (1, 18, None)
    assert [references(task, lag).information_floor for lag in (50, 69, 70, 140)] == [
        1,
        1,
        2,
        3,
    ]  # .919 bits a step, 64 a unit


def test_no_rows_no_points():
    assert frontier(table()) == []


def test_a_recipe_tried_with_fewer_seeds_does_not_compete():
    whole = group("delay_line", 8, {u: (8 if u > 6 else 0, 8) for u in range(4, 11)})
    lucky = group("delay_line", 8, {5: (1, 1)}, budget=20_000)
    (point,) = frontier(table(whole, lucky))
    assert (sum(point.runs), point.recipe.budget, point.recipes) == (56, 1500, 1)
    assert point.u_exist == 5


def test_recipes_tried_at_widths_of_their_own_compete():
    """As a bisection tries them: the fullest width has as many seeds, the widths
    differ, and most have fewer seeds."""
    first = group(
        "delay_line",
        8,
        {4: (0, 4), 8: (3, 8), 9: (8, 8), 12: (4, 4)},
        recipe="open_gate",
    )
    second = group(
        "delay_line",
        8,
        {3: (0, 4), 5: (0, 5), 6: (8, 8)},
        recipe="curriculum",
        budget=8000,
    )
    unlike = group("delay_line", 8, {4: (7, 7)}, recipe="hold")
    (point,) = frontier(table(first, second, unlike))
    assert (point.recipe.name, point.recipes, point.seeds, point.units) == (
        "curriculum",
        2,
        8,
        (3, 5, 6),
    )
    assert point.u_exist == 4
    found = fit_all_recipes(table(first, second, unlike))
    assert [(p.recipe.name, p.recipes, p.u_exist) for p in found] == [
        ("open_gate", 1, 8),
        ("curriculum", 1, 6),
        ("hold", 1, 4),
    ]
    (point,) = frontier(table(first, second, unlike), budget=7999)
    assert (point.recipe.name, point.recipes) == ("open_gate", 1)
    assert [
        p.recipe.name
        for p in fit_all_recipes(table(first, second, unlike), budget=1500)
    ] == ["open_gate", "hold"]
    assert frontier(table(first), budget=1) == []


def test_of_like_recipes_the_one_with_the_smallest_u90_stands():
    early = group(
        "delay_line", 8, {4: (2, 8), 5: (4, 8), 6: (4, 8), 7: (5, 8), 8: (6, 8)}, lr=0.1
    )
    sharp = group(
        "delay_line", 8, {4: (0, 8), 5: (0, 8), 6: (0, 8), 7: (8, 8), 8: (8, 8)}, lr=0.2
    )
    (point,) = frontier(table(early, sharp))
    assert (point.recipe.lr, point.recipes, point.u_exist) == (0.2, 2, 4)


# Verdicts


LOST = {4: (0, 8), 5: (6, 8), 6: (8, 8), 7: (8, 8), 8: (8, 8)}
STEADY = {5: 1, 6: 3}  # of those solved


def test_where_the_task_is_a_stream_the_steady_members_count_and_the_solved_ones_stand_beside():
    rows = table(group("delay_line", 6, LOST, steady=STEADY))
    (steady,), (trained,) = frontier(rows), frontier(rows, at="trained")
    assert steady.at == "steady"
    assert (steady.solved, trained.at, trained.solved) == (
        (0, 1, 3, 8, 8),
        "trained",
        (0, 6, 8, 8, 8),
    )
    assert steady.fit == fit_of(posterior([4, 5, 6, 7, 8], [0, 1, 3, 8, 8], [8] * 5))
    assert (
        steady.trained
        == trained.fit
        == trained.trained
        == fit_of(posterior([4, 5, 6, 7, 8], [0, 6, 8, 8, 8], [8] * 5))
    )
    assert (steady.posterior.solved == [0, 1, 3, 8, 8]).all()
    for row, point in ((columns(steady), steady), (columns(trained), trained)):
        assert row["at"] == point.at
        assert (row["u90"], row["u90_trained"]) == (
            point.fit.u90.units,
            trained.fit.u90.units,
        )
        assert row["u50_trained_low"] <= row["u50_trained"] <= row["u50_trained_high"]
        assert row["u90_trained_censored"] == "no"
        assert (row["until"], row["u_exist"]) == ("steady", 5)
    assert columns(steady)["counts"] == "4:0/8 5:1/8 6:3/8 7:8/8 8:8/8"
    assert columns(steady)["u50"] > columns(trained)["u50"]


def test_where_the_task_has_an_end_of_its_own_the_solved_members_count():
    rows = table(group("latch", 6, LOST, steady=dict.fromkeys(LOST, 0)))
    (point,) = frontier(rows)
    assert (point.at, point.solved) == ("trained", (0, 6, 8, 8, 8))
    assert point.fit == point.trained


def test_the_best_recipe_is_that_of_the_verdict_asked_for():
    early = group(
        "delay_line",
        6,
        {4: (0, 8), 5: (8, 8), 6: (8, 8), 7: (8, 8)},
        steady={5: 0, 6: 0},
        recipe="early",
    )
    sure = group(
        "delay_line", 6, {4: (0, 8), 5: (0, 8), 6: (8, 8), 7: (8, 8)}, recipe="sure"
    )
    assert [
        frontier(table(early, sure), at)[0].recipe.name for at in ("steady", "trained")
    ] == ["sure", "early"]


def test_an_unknown_verdict_is_refused():
    with pytest.raises(
        UserError, match=r"at=nope: must be one of up_to, steady, trained"
    ):
        frontier(table(group()), at="nope")


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"evaluation_until": "solved"}, "trained until solved"),
        ({"stretch": 5}, "stretch 5"),
    ],
)
def test_members_trained_to_another_end_are_no_further_seeds_and_not_usual(other, name):
    usual, odd = sorted(
        frontier(
            table(group("delay_line", 4, SHARP), group("delay_line", 4, SHARP, **other))
        ),
        key=lambda p: p.label,
    )
    assert (usual.runs, odd.runs) == ((4, 4, 4, 4), (4, 4, 4, 4))
    assert (usual.usual, usual.label) == (True, "delay_line")
    assert (odd.usual, odd.label) == (False, f"delay_line ({name})")
    assert frontier(table(group("latch", 4)))[0].usual


def test_members_trained_until_steady_count_where_they_became_it_whatever_the_task():
    """A task that is no stream, too: a net that follows a state does so in longer sequences."""
    counts = {1: (4, 4), 2: (4, 4), 3: (4, 4)}  # solved at the trained length
    rows = table(
        group("parity", 8, counts, steady={1: 0}, evaluation_until="steady", stretch=4)
    )
    (steady,), (trained,) = frontier(rows), frontier(rows, "trained")
    assert (steady.at, steady.solved, steady.u_exist) == ("steady", (0, 4, 4), 2)
    assert (trained.at, trained.solved, trained.u_exist) == ("trained", (4, 4, 4), 1)
    assert steady.label == "parity (stretch 4, trained until steady)"


def test_the_stretched_score_is_known_by_width():
    rows = table(group("latch", 5, {1: (0, 4), 2: (1, 4), 3: (4, 4), 5: (3, 4)}))
    (point,) = frontier(rows)
    assert point.stretched_by_width == (
        None,
        1.0,
        pytest.approx(0.9985),
        pytest.approx(0.999),
    )  # 1 - .001 seed
    assert point.stretched_at(2) == (2, 1.0)
    assert point.stretched_at(4) == (5, pytest.approx(0.999))
    assert point.stretched_at(1) is None  # tried, and none was solved
    assert point.stretched_at(6) is None

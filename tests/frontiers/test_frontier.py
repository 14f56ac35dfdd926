"""The frontier on rows that were made up, so that what it must say is known."""

import pytest
from study_rows import group, table

from memcap.frontiers.frontier import (
    columns,
    fit_all_recipes,
    frontier,
    label,
    references,
)
from memcap.models.model import Model
from memcap.tasks import task_class
from memcap.thresholds.curve import fit_of, posterior

SHARP = {1: (0, 4), 2: (0, 4), 3: (4, 4), 4: (4, 4)}


def point_of(*groups, at="up_to", budget=None):
    """The only point of the frontier of these rows."""
    (point,) = frontier(table(*groups), at, budget)
    return point


def test_counts_by_width_and_thresholds_are_those_of_the_rows():
    point = point_of(group(counts={4: (3, 8), 2: (0, 8), 6: (8, 8), 5: (7, 9)}))
    assert point.units == (2, 4, 5, 6)
    assert point.solved == (0, 3, 7, 8)
    assert point.runs == (8, 8, 9, 8)
    assert point.fit == fit_of(posterior([2, 4, 5, 6], [0, 3, 7, 8], [8, 8, 9, 8]))
    assert point.seeds == 9
    assert columns(point)["counts"] == "2:0/8 4:3/8 5:7/9 6:8/8"
    assert columns(point)["runs"] == 33


def test_diverged_members_count_as_not_solved():
    counts = SHARP | {3: (2, 4)}
    diverged = point_of(group(counts=counts, diverged=2))
    assert diverged.runs == (4, 4, 4, 4)
    assert diverged.solved == (0, 0, 2, 4)
    assert diverged.fit == point_of(group(counts=counts)).fit


def test_the_recipe_with_the_smallest_u90_stands_and_is_named_with_the_number_tried():
    late = group(counts=SHARP | {3: (0, 4)}, recipe="hold", lr=0.03)
    best = group(counts=SHARP, recipe="chrono", lr=0.01)
    none = group(counts=dict.fromkeys(SHARP, (0, 4)), recipe="hold", lr=0.1)
    early = group(counts=SHARP | {1: (1, 4), 2: (2, 4), 3: (2, 4)}, recipe="early")
    for order in ((late, best, none, early), (early, none, best, late)):
        point = point_of(*order)
        assert (point.recipe.name, point.recipe.lr) == ("chrono", 0.01)
        assert (point.recipes, point.u_exist) == (4, 1)
        assert sum(point.runs) == 16  # the losers' runs are not mixed in


@pytest.mark.parametrize(
    ("column", "values"), [("lr", (0.1, 0.2)), ("forget_bias", (None, 1.0))]
)
def test_runs_of_recipes_that_differ_in_one_value_are_not_mixed(column, values):
    point = point_of(*(group(counts=SHARP, **{column: value}) for value in values))
    assert (point.recipes, point.runs) == (2, (4, 4, 4, 4))


@pytest.mark.parametrize(
    "other",
    [
        {"knobs": {"symbols": 4}},
        {"length": 20},
        {"cell": "GRUCell"},
        {"readout": "lstm"},
        {"layers": 2},
        {"lag": 6},
    ],
)
def test_what_was_asked_of_which_net_makes_a_point_of_its_own(other):
    points = frontier(table(group(counts=SHARP), group(counts={1: (4, 4)}, **other)))
    assert sorted(p.units for p in points) == [(1,), (1, 2, 3, 4)]
    assert [p.recipes for p in points] == [1, 1]


@pytest.mark.parametrize(
    ("knobs", "model", "name"),
    [
        ({}, {}, "latch"),
        (
            {"symbols": 4},
            {"cell": "GRUCell", "readout": "lstm", "layers": 2},
            "latch (symbols=4, GRUCell, readout=lstm, layers=2)",
        ),
    ],
)
def test_labels_name_what_is_not_the_default(knobs, model, name):
    assert label(task_class("latch")(**knobs), Model(**model)) == name
    assert point_of(group(knobs=knobs, **model)).label == name


def test_columns_of_a_measured_point():
    row = columns(point_of(group("delay_line", 2, SHARP | {2: (1, 4)}, steps=100)))
    expected = {
        "task": "delay_line",
        "lag": 2,
        "length": 14,
        "cell": "lstm",
        "u_exist": 2,
        "u75_observed": 3,
        "u50_censored": "no",
        "u90_censored": "no",
        "information_floor": 1,
        "one_per_number": 2,
        "constructed": 3,
        "recipe": "hold",
        "lr": 0.03,
        "budget": 1500,
        "recipes": 1,
        "seeds": 4,
        # of 100, and twice 100 110 120 130, and 5 more each to be steady
        "steps_median": 115,
        "stretched_median": pytest.approx(0.999),
    }
    assert row | expected == row
    assert 1 <= row["u50_low"] < row["u50"] < row["u50_high"]
    assert row["u50"] <= row["u90"] <= row["u90_high"]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({2: (4, 4)}, {"u50": 2, "u50_low": 1, "u50_censored": "below", "u_exist": 2}),
        (
            {2: (0, 4), 3: (0, 4)},
            {"u90": 3, "u90_high": None, "u90_censored": "above"}
            | dict.fromkeys(["u_exist", "u75_observed", "steps_median"])
            | {"stretched_median": None},
        ),
    ],
)
def test_columns_of_censored_points(counts, expected):
    row = columns(point_of(group(counts=counts)))
    assert row | expected == row


def test_reference_widths_are_those_of_the_cell():
    task = task_class("delay_line")()
    assert references(task, 50).one_per_number == 26  # h and c
    gru = references(task, 50, model=Model("GRUCell"))
    assert (gru.one_per_number, gru.constructed) == (51, None)
    two = references(task, 70, model=Model(layers=2))  # hand-set ones are of one layer
    assert (two.information_floor, two.one_per_number, two.constructed) == (1, 18, None)
    # .919 bits a step, 64 a unit
    floors = [references(task, lag).information_floor for lag in (50, 69, 70, 140)]
    assert floors == [1, 1, 2, 3]


def test_floors_of_a_linear_read_out_and_of_linear_cells():
    vector = references(task_class("vector_hold")(numbers=16), 5)
    assert (vector.information_floor, vector.readout_floor) == (1, 16)
    assert (vector.one_per_number, vector.linear_floor) == (8, 8)
    wide = references(task_class("vector_hold")(numbers=64), 5)  # 1 / 64 is below 0.02
    assert wide.readout_floor == 63
    layers = references(task_class("vector_hold")(), 5, model=Model(layers=2))
    assert (layers.readout_floor, layers.linear_floor) == (16, 4)
    nonlinear = references(task_class("vector_hold")(), 5, model=Model(readout="lstm"))
    assert (nonlinear.readout_floor, nonlinear.linear_floor) == (1, None)
    # an error of 0.05 lets a linear cell forget a twentieth of the 51 numbers
    reals = references(task_class("delay_line")(reals=True), 50)
    assert (reals.readout_floor, reals.linear_floor, reals.one_per_number) == (
        1,
        25,
        26,
    )
    assert references(task_class("delay_line")(), 50).linear_floor is None


def test_a_recipe_tried_with_fewer_seeds_does_not_compete():
    whole = group("delay_line", 8, {u: (8 if u > 6 else 0, 8) for u in range(4, 11)})
    point = point_of(whole, group("delay_line", 8, {5: (1, 1)}, budget=20_000))
    assert (sum(point.runs), point.recipe.budget, point.recipes) == (56, 1500, 1)
    assert point.u_exist == 5


def test_recipes_tried_at_widths_of_their_own_compete():
    """As a bisection tries them: the fullest width has as many seeds, the widths
    differ, and most have fewer seeds."""
    counts = {4: (0, 4), 8: (3, 8), 9: (8, 8), 12: (4, 4)}
    first = group("delay_line", 8, counts, recipe="open_gate")
    counts = {3: (0, 4), 5: (0, 5), 6: (8, 8)}
    second = group("delay_line", 8, counts, recipe="curriculum", budget=8000)
    unlike = group("delay_line", 8, {4: (7, 7)}, recipe="hold")
    rows = (first, second, unlike)
    point = point_of(*rows)
    assert (point.recipe.name, point.recipes, point.seeds) == ("curriculum", 2, 8)
    assert (point.units, point.u_exist) == ((3, 5, 6), 4)
    found = fit_all_recipes(table(*rows))
    assert [p.recipe.name for p in found] == ["open_gate", "curriculum", "hold"]
    point = point_of(*rows, budget=7999)
    assert (point.recipe.name, point.recipes) == ("open_gate", 1)
    assert frontier(table(first), budget=1) == []


# Verdicts


LOST = {4: (0, 8), 5: (6, 8), 6: (8, 8), 7: (8, 8), 8: (8, 8)}
STEADY = {5: 1, 6: 3}  # of those solved


def test_where_the_task_is_a_stream_the_steady_members_count_and_the_solved_ones_stand_beside():
    rows = group("delay_line", 6, LOST, steady=STEADY)
    steady = point_of(rows)
    trained = point_of(rows, at="trained")
    assert (steady.at, steady.solved) == ("steady", (0, 1, 3, 8, 8))
    assert (trained.at, trained.solved) == ("trained", (0, 6, 8, 8, 8))
    assert steady.fit == fit_of(posterior([4, 5, 6, 7, 8], [0, 1, 3, 8, 8], [8] * 5))
    assert steady.trained_fit == trained.fit == trained.trained_fit
    assert steady.posterior.solved.tolist() == [0, 1, 3, 8, 8]
    for point in (steady, trained):
        row = columns(point)
        assert (row["at"], row["until"], row["u_exist"]) == (point.at, "steady", 5)
        assert row["u90"] == point.fit.u90.units
        assert row["u90_trained"] == trained.fit.u90.units


def test_where_the_task_has_an_end_of_its_own_the_solved_members_count():
    point = point_of(group("latch", 6, LOST, steady=dict.fromkeys(LOST, 0)))
    assert (point.at, point.solved) == ("trained", (0, 6, 8, 8, 8))
    assert point.fit == point.trained_fit


def test_the_best_recipe_is_that_of_the_verdict_asked_for():
    counts = {4: (0, 8), 5: (8, 8), 6: (8, 8), 7: (8, 8)}
    early = group("delay_line", 6, counts, steady={5: 0, 6: 0}, recipe="early")
    sure = group("delay_line", 6, counts | {5: (0, 8)}, recipe="sure")
    for at, best in (("steady", "sure"), ("trained", "early")):
        assert point_of(early, sure, at=at).recipe.name == best


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"evaluation_until": "solved"}, "trained until solved"),
        ({"stretch": 5}, "stretch 5"),
    ],
)
def test_members_trained_to_another_end_are_no_further_seeds_and_not_usual(other, name):
    kinds = ({}, other)
    rows = table(*(group("delay_line", 4, SHARP, **kind) for kind in kinds))
    points = {point.label: point for point in frontier(rows)}
    assert {text: point.usual for text, point in points.items()} == {
        "delay_line": True,
        f"delay_line ({name})": False,
    }
    assert all(point.runs == (4, 4, 4, 4) for point in points.values())


def test_members_trained_until_steady_count_where_they_became_it_whatever_the_task():
    """A task that is no stream, too: a net that follows a state does so in longer sequences."""
    counts = {1: (4, 4), 2: (4, 4), 3: (4, 4)}  # solved at the trained length
    until = {"evaluation_until": "steady", "stretch": 4}
    rows = group("parity", 8, counts, steady={1: 0}, **until)
    steady = point_of(rows)
    trained = point_of(rows, at="trained")
    assert (steady.at, steady.solved, steady.u_exist) == ("steady", (0, 4, 4), 2)
    assert (trained.at, trained.solved, trained.u_exist) == ("trained", (4, 4, 4), 1)
    assert steady.label == "parity (stretch 4, trained until steady)"


def test_the_stretched_score_is_known_by_width():
    """It is 1 less .001 for each seed."""
    point = point_of(group(counts={1: (0, 4), 2: (1, 4), 3: (4, 4), 5: (3, 4)}))
    assert point.stretched_by_width == (None, 1, pytest.approx(0.9985), 0.999)
    assert point.stretched_at(2) == (2, 1.0)
    assert point.stretched_at(4) == (5, 0.999)
    assert point.stretched_at(1) is None  # tried, and none was solved
    assert point.stretched_at(6) is None

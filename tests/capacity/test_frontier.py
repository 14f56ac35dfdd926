"""The frontier on rows that were made up, so that what it must say is known."""

import math

import numpy as np
import pytest
from scipy import stats
from study_rows import group, table

from memcap.capacity.frontier import columns, frontier, label, predict, references
from memcap.capacity.thresholds import fit
from memcap.tasks import task_class

SHARP = {1: (0, 4), 2: (0, 4), 3: (4, 4), 4: (4, 4)}


def test_counts_by_width_and_thresholds_are_those_of_the_rows():
    counts = {4: (3, 8), 2: (0, 8), 6: (8, 8), 5: (7, 9)}
    (point,) = frontier(table(group(counts=counts)))
    assert point.units == (2, 4, 5, 6)
    assert point.solved == (0, 3, 7, 8)
    assert point.runs == (8, 8, 9, 8)
    assert point.fit == fit([2, 4, 5, 6], [0, 3, 7, 8], [8, 8, 9, 8])
    assert point.seeds == 9
    assert columns(point)["counts"] == "2:0/8 4:3/8 5:7/9 6:8/8"
    assert columns(point)["runs"] == 33


def test_diverged_members_count_as_not_solved():
    (with_diverged,) = frontier(table(group(counts=SHARP | {3: (2, 4)}, diverged=2)))
    (without,) = frontier(table(group(counts=SHARP | {3: (2, 4)})))
    assert with_diverged.runs == (4, 4, 4, 4)
    assert with_diverged.solved == (0, 0, 2, 4)
    assert with_diverged.fit == without.fit


def test_the_recipe_with_the_smallest_u50_stands_and_is_named_with_the_number_tried():
    tried = (
        group(counts={1: (0, 4), 2: (0, 4), 3: (0, 4), 4: (4, 4)}, recipe="hold", lr=0.03),
        group(counts=SHARP, recipe="chrono", lr=0.01),
        group(counts={1: (0, 4), 2: (0, 4), 3: (0, 4), 4: (0, 4)}, recipe="hold", lr=0.1),
    )
    for order in (tried, tried[::-1]):
        (point,) = frontier(table(*order))
        assert (point.recipe["recipe"], point.recipe["lr"]) == ("chrono", 0.01)
        assert point.recipes == 3
        assert sum(point.runs) == 16  # the losers' runs are not mixed in


@pytest.mark.parametrize("column", ["lr", "budget", "forget_bias", "init", "batch"])
def test_runs_of_recipes_that_differ_in_one_value_are_not_mixed(column):
    values = {"lr": (0.1, 0.2), "budget": (1, 2), "forget_bias": (None, 1.0), "init": ("hold", "flax"), "batch": (1, 2)}
    (point,) = frontier(table(*(group(counts=SHARP, **{column: value}) for value in values[column])))
    assert point.recipes == 2
    assert point.runs == (4, 4, 4, 4)


def test_a_recipe_that_never_got_there_does_not_win():
    (point,) = frontier(table(group(counts={1: (0, 4)}, recipe="hold"), group(counts={8: (0, 4), 9: (4, 4)}, recipe="chrono")))
    assert point.recipe["recipe"] == "chrono"


@pytest.mark.parametrize(
    "other", [{"knobs": {"symbols": 4}}, {"length": 20}, {"cell": "GRUCell"}, {"readout": "lstm"}, {"lag": 6}]
)
def test_what_was_asked_of_which_net_makes_a_point_of_its_own(other):
    points = frontier(table(group(counts=SHARP), group(counts={1: (4, 4)}, **other)))
    assert sorted(p.units for p in points) == [(1,), (1, 2, 3, 4)]
    assert [p.recipes for p in points] == [1, 1]


def test_points_come_by_label_and_lag():
    points = frontier(table(*(group(task, lag) for lag in (16, 2) for task in ("latch", "copy"))))
    assert [(p.label, p.lag) for p in points] == [("copy", 2), ("copy", 16), ("latch", 2), ("latch", 16)]


def test_labels_name_what_is_not_the_default():
    latch = task_class("latch")
    assert label(latch()) == "latch"
    assert label(latch(symbols=4), "GRUCell", "lstm") == "latch (symbols=4, GRUCell, readout=lstm)"


def test_columns_of_a_measured_point():
    (point,) = frontier(table(group("delay_line", 2, SHARP | {2: (1, 4)}, steps=100)))
    row = columns(point)
    assert (row["task"], row["lag"], row["length"], row["cell"]) == ("delay_line", 2, 14, "lstm")
    assert (row["u_exist"], row["u75_observed"]) == (2, 3)
    assert 1 <= row["u50_low"] < row["u50"] < row["u50_high"]
    assert row["u50"] <= row["u90"] <= row["u90_high"]
    assert row["u50_censored"] == row["u90_censored"] == "no"
    assert (row["information_floor"], row["one_per_number"], row["constructed"]) == (1, 2, 3)
    assert (row["recipe"], row["lr"], row["budget"], row["recipes"], row["seeds"]) == ("hold", 0.03, 1500, 1, 4)
    assert row["steps_median"] == 110  # of 100, and twice 100 110 120 130
    assert row["stretched_median"] == pytest.approx(0.99)


def test_columns_of_censored_points():
    reached_at_once, never = frontier(table(group(lag=1, counts={2: (4, 4)}), group(lag=2, counts={2: (0, 4), 3: (0, 4)})))
    row = columns(reached_at_once)
    assert (row["u50_censored"], row["u50"], row["u50_low"], row["u_exist"]) == ("below", 2, 1, 2)
    row = columns(never)
    assert (row["u90_censored"], row["u90"], row["u90_high"]) == ("above", 3, None)
    assert row["u_exist"] is row["u75_observed"] is row["steps_median"] is row["stretched_median"] is None


def test_reference_widths_are_those_of_the_cell():
    task = task_class("delay_line")()
    assert references(task, 50).one_per_number == 26  # h and c
    assert references(task, 50, cell="GRUCell").one_per_number == 51
    assert references(task, 50, cell="GRUCell").constructed is None
    assert [references(task, lag).information_floor for lag in (50, 69, 70, 140)] == [1, 1, 2, 3]  # .919 bits a step, 64 a unit


def line(lags, widths):
    """Points whose u90 grows with the lag."""
    groups = (group("delay_line", lag, {w - 1: (0, 8), w: (4, 8), w + 1: (8, 8)}) for lag, w in zip(lags, widths, strict=True))
    return frontier(table(*groups))


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("lag", [6, 30])
def test_a_prediction_is_the_least_squares_line_with_its_interval(lag, share):
    points = line([2, 4, 8, 16], [3, 5, 7, 15])
    x = np.array([2.0, 4, 8, 16])
    y = np.array([p.fit.u90.units if share == 0.9 else p.fit.u50.units for p in points])
    found = predict(points, lag, share)
    assert found.units == pytest.approx(np.polyval(np.polyfit(x, y, 1), lag))
    design, at = np.stack([x, np.ones(4)], 1), np.array([lag, 1.0])
    error = ((y - design @ np.linalg.lstsq(design, y)[0]) ** 2).sum() / 2
    half = stats.t(2).ppf(0.975) * math.sqrt(error * (1 + at @ np.linalg.inv(design.T @ design) @ at))
    assert found.high == pytest.approx(found.units + half)
    assert found.low == pytest.approx(max(1, found.units - half))
    assert found.lags == (2, 4, 8, 16)
    assert found.inside == (lag == 6)


def test_a_prediction_needs_two_lags_and_an_interval_three():
    assert predict(line([2], [3]), 4) is None
    found = predict(line([2, 4], [3, 5]), 3)
    assert math.isinf(found.high)
    assert found.low == 1


def test_a_prediction_leaves_out_and_names_lags_that_were_not_reached():
    points = line([2, 4], [3, 5]) + frontier(table(group("delay_line", 8, {4: (0, 8)})))
    found = predict(points, 3)
    assert found.lags == (2, 4)
    assert found.left_out == (8,)
    assert found.units == pytest.approx(predict(points[:2], 3).units)


def test_no_rows_no_points():
    assert frontier(table()) == []


def test_a_recipe_tried_at_fewer_widths_or_seeds_does_not_compete():
    whole = group("delay_line", 8, {u: (8 if u > 6 else 0, 8) for u in range(4, 11)})
    lucky = group("delay_line", 8, {5: (1, 1)}, budget=20_000)
    (point,) = frontier(table(whole, lucky))
    assert (sum(point.runs), point.recipe["budget"], point.recipes) == (56, 1500, 1)
    assert point.u_exist == 5


def test_of_like_recipes_the_one_with_the_smallest_u90_stands():
    early = group("delay_line", 8, {4: (2, 8), 5: (4, 8), 6: (4, 8), 7: (5, 8), 8: (6, 8)}, lr=0.1)
    sharp = group("delay_line", 8, {4: (0, 8), 5: (0, 8), 6: (0, 8), 7: (8, 8), 8: (8, 8)}, lr=0.2)
    (point,) = frontier(table(early, sharp))
    assert (point.recipe["lr"], point.recipes, point.u_exist) == (0.2, 2, 4)

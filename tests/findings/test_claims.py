"""The judges of claims, on numbers made up."""

import math

import polars as pl
import pytest
from study_rows import seeds, table

from memcap.findings import NOT_MEASURED, Finding, claims
from memcap.findings.claims import all_of, at_least, compare, each


def test_each_group_must_pass_and_is_said_in_words():
    words = "{name} {nets.least:.1f} to {nets.most:.1f}"
    found = each(
        {"LSTM": [0.9, 1.0], "GRU": (0.8,)},
        words,
        at_least(0.8),
        start="best: ",
        join=", ",
    )
    assert found == Finding("best: LSTM 0.9 to 1.0, GRU 0.8 to 0.8", True)
    assert (
        each({"LSTM": [0.9, 1.0], "GRU": [0.7, 1.0]}, words, at_least(0.8)).holds
        is False
    )
    assert (
        each({2: 4, 3: math.inf}, "{nets:g} at {name}", at_least(1)).ours
        == "4 at 2; none at 3"
    )


def test_a_group_without_nets_is_not_measured():
    assert each({}, "", at_least(0)) == NOT_MEASURED
    assert each({"LSTM": [1.0], "GRU": []}, "", at_least(0)) == NOT_MEASURED
    for pairs in ({}, {"": ([], [1])}, {"": ([1], ())}, {"": (None, 1)}):
        assert compare(pairs, "", lambda a, b: True) == NOT_MEASURED


def test_pairs_of_groups_or_of_numbers_are_compared():
    words = "{name}: {a.most:g} against {b.least:g}"
    assert compare({"x": ([1, 2], [3, 4])}, words, lambda a, b: max(a) < min(b)).holds
    found = compare(
        {"x": ([1, 2], [3, 4]), "y": ([5], [4])},
        words,
        lambda a, b: max(a) < min(b),
        join=", ",
    )
    assert found == Finding("x: 2 against 3, y: 5 against 4", False)
    found = compare({7: (1.0, 2.0)}, "{a:.1f} of {b:.1f} at {name}", lambda a, b: a < b)
    assert found.ours == "1.0 of 2.0 at 7"


def test_findings_must_all_hold():
    yes = Finding("a", True)
    no = Finding("b", False)
    assert all_of(yes, yes, join=" and ") == Finding("a and a", True)
    assert all_of(yes, no) == Finding("a; b", False)
    assert all_of(yes, no, NOT_MEASURED) == NOT_MEASURED


@pytest.mark.parametrize(
    ("test", "passes", "fails"),
    [
        (claims.at_least(2), [2, 3], [1.9, 3]),
        (claims.at_most(2), [1, 2], [1, 2.1]),
        (claims.below(2), [1, 1.9], [1, 2]),
        (claims.within(1, 2), [1, 2], [0.9, 2]),
        (claims.within(1, 2), [1.5], [1, 2.1]),
        (claims.share_of(2 / 3), [True, True, False], [True, False, False]),
        (claims.share_of(0.5, lambda number: number > 1), [1, 2], [1, 1, 2]),
    ],
)
def test_a_limit_counts_as_its_name_says(test, passes, fails):
    assert test(passes) is True
    assert test(fails) is False


def test_the_least_width_is_the_first_that_suffices():
    data = pl.DataFrame(
        {"lag": [5, 5, 5, 2], "cell": "a", "units": [8, 2, 4, 2], "score": [1, 0, 1, 0]}
    )
    passes = pl.col("score") == 1
    assert claims.least_widths(data, "lag", passes) == {5: 4, 2: math.inf}
    by_both = claims.least_widths(data, ["cell", "lag"], ~passes)
    assert by_both == {("a", 5): 2, ("a", 2): 2}


def test_rows_are_chosen_by_columns_and_by_knobs_of_their_task():
    mqar = {"knobs": {"pairs": 3, "layout": "stacked"}, "cell": "gla"}
    data = table(
        seeds("mqar", 8, {}, **mqar),
        seeds("delay_line", 2, {}, knobs={"reals": True}),
        seeds("latch", 5, {}),
    )

    def tasks(**values):
        return sorted(data.filter(claims.having(**values))["task"])

    assert tasks(task=["mqar", "latch"]) == ["latch", "mqar"]
    assert tasks(layout="stacked", pairs=[2, 3], cell="gla") == ["mqar"]
    assert tasks(reals=True) == ["delay_line"]
    assert tasks(reals=None, pairs=None) == ["latch"]
    assert tasks(pairs=4) == []

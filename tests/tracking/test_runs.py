"""Names, ids and tags, from real members; quartiles over seeds, against NumPy; the
frontier so far."""

import json
import math

import numpy as np
import pytest

from memcap.config import member as config
from memcap.config.recipes import Recipe
from memcap.models.model import Model
from memcap.store.curves import MOST_POINTS
from memcap.studies.writer import members_table
from memcap.tasks import task_class
from memcap.tracking.runs import (
    Entry,
    frontier_so_far,
    plain,
    quantiles,
    run_of_member,
    run_of_seeds,
    run_of_study,
    summary_of,
)


def member(task="delay_line", lag=8, units=7, seed=3, **knobs):
    """As a job writes it down before it trains."""
    ours = config.Member(
        task_class(task)(**knobs),
        lag,
        model=Model(units=units),
        recipe=Recipe("chrono"),
        seed=seed,
    )
    row = members_table([ours]).row(0, named=True)
    return Entry(row["key"], row["name"], json.loads(row["config"]), row["metric"])


def test_a_member_has_a_readable_name_and_the_key_as_its_id():
    ours = member()
    run = run_of_member(ours)
    assert (run.id, run.name, run.kind) == (ours.key, "delay_line-L8-u7-s3", "member")
    assert run.tags == ("delay_line", "lag 8", "chrono", "lstm")
    assert run.config == ours.config
    assert run_of_member(member(symbols=4)).name == "delay_line(symbols=4)-L8-u7-s3"
    assert member(symbols=4).task_at_lag == "delay_line(symbols=4)-L8"


def test_members_share_a_run_of_seeds_if_they_differ_in_the_seed_alone():
    run = run_of_seeds(member(), "a")
    assert (run.name, run.kind) == ("delay_line-L8-u7", "cell")
    assert run_of_seeds(member(seed=5), "a") == run
    others = [
        run_of_seeds(member(units=8), "a"),
        run_of_seeds(member(lag=9), "a"),
        run_of_seeds(member(symbols=4), "a"),
        run_of_seeds(member(), "b"),
    ]
    assert len({run.id, *(other.id for other in others)}) == 5


def test_a_study_has_one_id_and_commands_that_share_it_have_their_own():
    assert run_of_study("first") == run_of_study("first")
    parts = [("first",), ("second",), ("first", "0 of 2"), ("first", "1 of 2")]
    assert len({run_of_study(*each).id for each in parts}) == 4
    assert run_of_study("first", "0 of 2").name == "first 0 of 2"


def test_ids_are_what_wandb_takes():
    for run in (
        run_of_member(member()),
        run_of_seeds(member(), "a/b c"),
        run_of_study("a/b c"),
    ):
        assert len(run.id) <= 64
        assert not set("/\\#?%: ") & set(run.id)
        assert all(len(tag) <= 64 for tag in run.tags)


def row(**more):
    row = {
        "status": "solved",
        "solved": True,
        "steady": False,
        "up_to": False,
        "steps": 10,
        "final": 1.0,
    }
    row |= {"steps_to_solve": 10}
    return row | more


def test_quantiles_of_curves_on_one_grid_are_those_of_numpy():
    draws = np.random.default_rng(0).normal(size=(9, 30))
    points = quantiles(
        [
            {10 * i: {"train/loss": value} for i, value in enumerate(curve)}
            for curve in draws.tolist()
        ]
    )
    wanted = np.quantile(
        draws, [0.25, 0.5, 0.75], axis=0
    )  # of 9 values these are values that are there
    assert list(points) == list(range(0, 300, 10))
    for i, point in enumerate(points.values()):
        assert list(point.values()) == pytest.approx(wanted[:, i].tolist())
        assert list(point) == ["train/loss/q25", "train/loss/q50", "train/loss/q75"]


def test_a_curve_that_has_ended_stays_at_its_last_value():
    points = quantiles(
        [
            {1: {"a": 5.0}},
            {1: {"a": 0.0}, 2: {"a": 1.0}, 3: {"a": 2.0}},
            {2: {"a": 9.0, "b": 4.0}},
        ]
    )
    assert [points[step]["a/q50"] for step in (1, 2, 3)] == [0.0, 5.0, 5.0]
    assert [points[step].get("b/q50") for step in (1, 2, 3)] == [None, 4.0, 4.0]


def test_diverged_members_are_in_the_quantiles_unless_they_are_no_numbers():
    points = quantiles(
        [
            {1: {"a": math.inf}},
            {1: {"a": 1.0}},
            {1: {"a": math.nan}},
            {1: {"b": math.nan}},
        ]
    )
    assert points == {1: {"a/q25": 1.0, "a/q50": 1.0, "a/q75": math.inf}}
    assert quantiles([{}, {}]) == {}


def test_many_points_are_thinned():
    points = quantiles(
        [{seed + 7 * i: {"a": 1.0} for i in range(90)} for seed in range(5)]
    )
    assert len(points) == MOST_POINTS
    assert (min(points), max(points)) == (0, 4 + 7 * 89)


def test_a_summary_counts_members_and_has_quartiles_over_them():
    diverged = row(solved=False, status="diverged", steps_to_solve=None)
    summary = summary_of([row(), diverged, row(steady=True, steps_to_solve=30)])
    wanted = {"members": 3, "members_solved": 2, "members_diverged": 1}
    wanted |= {"share_solved": 2 / 3, "share_steady": 1 / 3}
    wanted |= {"steps_to_solve/q25": 10, "steps_to_solve/q75": 30}
    assert wanted.items() <= summary.items()


def passes(passed, until="solved"):
    return {
        "solved": passed,
        "steady": passed and until == "steady",
        "evaluation_until": until,
    }


def test_the_frontier_so_far_is_the_narrowest_group_that_half_of_its_seeds_pass():
    verdicts = {4: [True, False, False], 5: [True, False], 6: [True, True]}
    ended = [
        (member(units=units, seed=seed), passes(passed))
        for units, each in verdicts.items()
        for seed, passed in enumerate(each)
    ]
    assert frontier_so_far([*ended, (member(lag=20), passes(False))]) == {
        "frontier/delay_line-L8": 5
    }


def test_a_stream_passes_once_it_is_steady():
    ended = [(member(), passes(True) | {"evaluation_until": "steady"})]
    assert frontier_so_far(ended) == {}
    ended.append((member(seed=4), passes(True, until="steady")))
    assert frontier_so_far(ended) == {"frontier/delay_line-L8": 7}


def test_plain_takes_whatever_a_row_may_hold():
    value = {
        "a": np.float32(0.5),
        "b": np.arange(2),
        3: (None, True, {"p": np.int64(7)}),
        "nan": np.float32("nan"),
    }
    got = plain(value)
    assert math.isnan(got.pop("nan"))
    assert got == {"a": 0.5, "b": [0, 1], "3": [None, True, {"p": 7}]}
    assert plain(ValueError) == "<class 'ValueError'>"

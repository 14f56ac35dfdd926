"""Names, ids and tags, from real members; quartiles over seeds, against NumPy; the
frontier so far."""

import math

import numpy as np
import pytest

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.models.model import Model
from memcap.store.curves import MOST_POINTS
from memcap.studies.writer import members_table
from memcap.tasks import task_class
from memcap.tracking import runs
from memcap.tracking.runs import quantiles, run_of_member, run_of_seeds, run_of_study


def member(task="delay_line", lag=8, units=7, seed=3, row=None, **knobs):
    """As a job writes it down before it trains."""
    model = Model(units=units)
    ours = Member(
        task_class(task)(**knobs), lag, model=model, recipe=Recipe("chrono"), seed=seed
    )
    found = runs.entry(members_table([ours]).row(0, named=True))
    found.row = row or {}
    return found


def test_a_member_has_a_readable_name_and_the_key_as_its_id():
    ours = member()
    run = run_of_member(ours)
    assert (run.id, run.name, run.kind) == (ours.key, "delay_line-L8-u7-s3", "member")
    assert run.tags == ("delay_line", "lag 8", "chrono", "lstm")
    assert run.config == ours.config
    assert run_of_member(member(symbols=4)).name == "delay_line(symbols=4)-L8-u7-s3"


def test_members_share_a_run_of_seeds_if_they_differ_in_the_seed_alone():
    run = run_of_seeds(member(), "a")
    assert (run.name, run.kind) == ("delay_line-L8-u7", "cell")
    assert run_of_seeds(member(seed=5), "a") == run
    others = [member(units=8), member(lag=9), member(symbols=4)]
    ids = {run_of_seeds(other, "a").id for other in others}
    assert len(ids | {run.id, run_of_seeds(member(), "b").id}) == 5


def test_ids_are_those_of_old_projects_and_what_wandb_takes():
    assert run_of_study("two", "two").id == "study-c7c7bac534d042e1"
    for run in (run_of_seeds(member(), "a/b c"), run_of_study("a/b c", "", [member()])):
        assert len(run.id) <= 64
        assert not set("/\\#?%: ") & set(run.id)
        assert all(len(tag) <= 64 for tag in run.tags)


def test_quantiles_of_curves_on_one_grid_are_those_of_numpy():
    draws = np.random.default_rng(0).normal(size=(9, 30))
    points = quantiles(
        [{10 * i: {"a": x} for i, x in enumerate(curve)} for curve in draws.tolist()]
    )
    assert list(points) == list(range(0, 300, 10))
    # of 9 values these are values that are there
    wanted = np.quantile(draws, [0.25, 0.5, 0.75], axis=0)
    found = np.array([[*point.values()] for point in points.values()])
    assert pytest.approx(wanted) == found.T
    assert list(points[0]) == ["a/q25", "a/q50", "a/q75"]


def test_a_curve_that_has_ended_stays_at_its_last_value_and_nan_is_left_out():
    curves = [
        {1: {"a": 5.0}},
        {1: {"a": 0.0}, 2: {"a": 1.0}, 3: {"a": 2.0}},
        {2: {"a": 9.0, "b": 4.0}, 3: {"c": math.nan}},
    ]
    points = quantiles(curves)
    assert [points[step]["a/q50"] for step in (1, 2, 3)] == [0.0, 5.0, 5.0]
    assert [points[step].get("b/q50") for step in (1, 2, 3)] == [None, 4.0, 4.0]
    assert "c/q50" not in points[3]
    diverged = quantiles([{1: {"a": x}} for x in (math.inf, 1.0, math.nan)])
    assert diverged == {1: {"a/q25": 1.0, "a/q50": 1.0, "a/q75": math.inf}}


def test_many_points_are_thinned():
    curves = [{seed + 7 * i: {"a": 1.0} for i in range(90)} for seed in range(5)]
    points = quantiles(curves)
    assert len(points) == MOST_POINTS
    assert (min(points), max(points)) == (0, 4 + 7 * 89)
    assert quantiles([{}, {}]) == {}


def test_a_summary_counts_members_and_has_quartiles_over_them():
    row = {"status": "solved", "solved": True, "steady": False, "up_to": False}
    row["anywhere"] = False
    unsolved = row | {"status": "diverged", "solved": False, "steps": None}
    summary = runs.summary_of([row | {"steps": 10}, unsolved, row | {"steps": 30}])
    wanted = {"members": 3, "members_solved": 2, "members_diverged": 1}
    wanted |= {"share_solved": 2 / 3, "share_steady": 0}
    wanted |= {"steps/q25": 10, "steps/q75": 30}
    assert wanted.items() <= summary.items()


def test_the_frontier_so_far_is_the_narrowest_group_that_half_of_its_seeds_pass():
    verdicts = {4: [True, False, False], 5: [True, False], 6: [True, True]}

    def passes(passed, until="solved"):
        return {"evaluation_until": until, "solved": True, until: passed}

    ended = [
        member(units=units, seed=seed, row=passes(passed))
        for units, some in verdicts.items()
        for seed, passed in enumerate(some)
    ]
    # a stream passes once it is steady
    ended.append(member(lag=20, row=passes(False, until="steady")))
    assert runs.frontier_so_far(ended) == {"frontier/delay_line-L8": 5}

"""Runs of cells, against NumPy and by hand."""

import math

import numpy as np
import pytest
from test_runs import member

from memcap.studies.curves import MOST_POINTS
from memcap.tracking.cells import Cells, quantiles


def row(**more):
    return {
        "status": "solved",
        "solved": True,
        "steady": False,
        "steps": 10,
        "final": 1.0,
        "steps_to_solve": 10,
    } | more


def test_quantiles_of_curves_on_one_grid_are_those_of_numpy():
    draws = np.random.default_rng(0).normal(size=(9, 30))
    found = quantiles(
        [{10 * i: {"train/loss": value} for i, value in enumerate(curve)} for curve in draws.tolist()]
    )
    wanted = np.quantile(draws, [0.25, 0.5, 0.75], axis=0)  # of 9 values these are values that are there
    assert list(found) == list(range(0, 300, 10))
    for i, point in enumerate(found.values()):
        assert list(point.values()) == pytest.approx(wanted[:, i].tolist())
        assert list(point) == ["train/loss/q25", "train/loss/q50", "train/loss/q75"]


def test_a_curve_that_has_ended_stays_at_its_last_value():
    found = quantiles(
        [{1: {"a": 5.0}}, {1: {"a": 0.0}, 2: {"a": 1.0}, 3: {"a": 2.0}}, {2: {"a": 9.0, "b": 4.0}}]
    )
    assert [found[step]["a/q50"] for step in (1, 2, 3)] == [0.0, 5.0, 5.0]
    assert [found[step].get("b/q50") for step in (1, 2, 3)] == [None, 4.0, 4.0]


def test_diverged_members_are_in_the_quantiles_unless_they_are_no_numbers():
    found = quantiles([{1: {"a": math.inf}}, {1: {"a": 1.0}}, {1: {"a": math.nan}}, {1: {"b": math.nan}}])
    assert found == {1: {"a/q25": 1.0, "a/q50": 1.0, "a/q75": math.inf}}
    assert quantiles([{}, {}]) == {}


def test_many_points_are_thinned():
    found = quantiles([{seed + 7 * i: {"a": 1.0} for i in range(90)} for seed in range(5)])
    assert len(found) == MOST_POINTS
    assert (min(found), max(found)) == (0, 4 + 7 * 89)


def test_a_cell_is_handed_over_once_it_is_whole():
    seeds, other = [member(seed=k) for k in range(3)], member(units=8)
    cells = Cells("study")
    cells.expect([*seeds, other], frozenset())
    assert cells.add(seeds[0].key, row(), {1: {"a": 1.0}}) is None
    cells.expect(seeds, {seeds[0].key})  # as a job that is tried again in halves
    assert (
        cells.add(seeds[1].key, row(solved=False, status="diverged", steps_to_solve=None), {1: {"a": 2.0}})
        is None
    )
    record = cells.add(seeds[2].key, row(steady=True, steps_to_solve=30), {1: {"a": 3.0}})
    assert (record.run.kind, record.run.name, record.points[1]["a/q50"]) == ("cell", "delay_line-L8-u7", 2.0)
    wanted = {
        "members": 3,
        "members_solved": 2,
        "members_diverged": 1,
        "share_solved": 2 / 3,
        "share_steady": 1 / 3,
    }
    assert wanted.items() <= record.row.items()
    assert (record.row["steps_to_solve/q25"], record.row["steps_to_solve/q75"]) == (10, 30)
    assert cells.rest() == []


def test_a_cell_of_which_a_seed_turns_out_to_be_there_is_left_out():
    """As where each seed is a job: what lies on disk is seen as each begins."""
    seeds = [member(seed=k) for k in range(3)]
    cells = Cells("study")
    cells.expect(seeds, frozenset())
    assert cells.add(seeds[0].key, row(), {}) is None
    cells.expect(seeds[1:2], {seeds[1].key})
    assert cells.add(seeds[2].key, row(), {}) is None
    assert cells.rest() == []
    assert cells.left_out == 2


def test_cells_that_a_search_leaves_come_last_and_those_of_an_earlier_job_not_at_all():
    seeds, others = [member(seed=k) for k in range(3)], [member(units=8, seed=k) for k in range(3)]
    cells = Cells("study")
    cells.expect([*seeds, *others], {others[0].key})
    for each in (seeds[0], others[1], others[2]):
        assert cells.add(each.key, row(), {1: {"a": 1.0}}) is None
    assert [(record.run.name, record.row["members"]) for record in cells.rest()] == [("delay_line-L8-u7", 1)]
    assert cells.left_out == 2

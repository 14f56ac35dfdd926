"""Curves on disk: those that members had as they trained."""

import random
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from study_checks import ONE_LANE, small_job
from watching import Watcher, run_watched

from memcap.designs.axes import members
from memcap.store import curves
from memcap.store.shards import Study

pytestmark = pytest.mark.usefixtures("quick_file")


class Sees(Watcher):
    def __init__(self):
        self.curves = {}

    def curve(self, key, step, values):
        self.curves.setdefault(key, {})[step] = dict(values)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    watcher = Sees()
    run_watched(
        watcher,
        members(small_job({"model.units": [1, 2], "seed": 2})),
        ONE_LANE,
        Study(folder, "small"),
    )
    return folder, watcher.curves


def read_back(folder):
    found = curves.read(folder).partition_by("key", as_dict=True)
    return {key: curves.points(lines, "accuracy") for (key,), lines in found.items()}


def test_each_member_has_the_curve_that_it_trained_by(study):
    folder, seen = study
    assert len(seen) == 4
    assert read_back(folder) == seen
    assert all(
        list(curve)[-1] == 12 and "eval/accuracy" in curve[12]
        for curve in seen.values()
    )
    assert len(list((folder / "curves").iterdir())) == len(
        list((folder / "rows").iterdir())
    )


def test_folded_curves_are_the_same_and_say_nothing_twice(study):
    folder, seen = study
    assert curves.collect(folder) == folder / "curves.parquet"
    assert read_back(folder) == seen
    assert pl.read_parquet(folder / "curves.parquet").equals(curves.read(folder))


def test_lags_of_a_curriculum_come_back(tmp_path):
    points = {
        2: {"train/loss": 0.5, "train/accuracy": 1.0, "train/lag": 3, "train/lr": 0.01}
    }
    curves.write(tmp_path, "new", {"new": points})
    assert curves.points(curves.read(tmp_path), "accuracy") == points


def test_a_file_that_cannot_be_read_is_named_once(tmp_path, capsys):
    (tmp_path / "curves" / "folder.parquet").mkdir(parents=True)
    (tmp_path / "curves" / "text.parquet").write_text("no table")
    assert curves.read(tmp_path).is_empty()
    assert capsys.readouterr().err.splitlines() == [
        (
            f"memcap: {tmp_path}/curves/folder.parquet: cannot be read (Is a directory); these"
            " curves are skipped"
        ),
        (
            f"memcap: {tmp_path}/curves/text.parquet: not a readable table of curves; these"
            " curves are skipped"
        ),
    ]


def test_a_score_that_is_none_is_no_point():
    """As before a curriculum has arrived: the largest of W&B's numbers would be NaN."""
    lines = curves.table({"a": {1: {"train/loss": np.nan, "train/accuracy": np.nan}}})
    assert curves.points(lines, "accuracy")[1].keys() == {"train/loss"}


# Thinned


@pytest.mark.parametrize("seed", range(20))
def test_no_spacing_of_the_steps_breaks_the_bound(seed):
    dice = random.Random(seed)
    steps = {
        dice.randrange(10 ** dice.randint(1, 6)) for _ in range(dice.randint(1, 3000))
    }
    points = {
        step: {name: 0.0 for name in "abc" if dice.random() < 0.5} for step in steps
    }
    kept = list(curves.thin(points))
    assert len(kept) <= curves.MOST_POINTS
    assert kept == sorted(kept)
    assert {min(steps), max(steps)} <= set(kept) <= steps


def test_a_running_curve_stays_bounded_and_even():
    points = {}
    most = 0
    for step in range(100_000):
        curves.add_point(points, step, {"a": step})
        most = max(most, len(points))
    assert most == curves.MOST_HELD < 400
    steps = list(curves.thin(points))
    assert (steps[0], steps[-1]) == (0, 99_999)
    assert len(steps) > 0.8 * curves.MOST_POINTS
    assert max(b - a for a, b in pairwise(steps)) < 2.5 * 100_000 / curves.MOST_POINTS


def test_evaluations_stay_in_a_running_curve():
    """As training hands them in: ten points a chunk, a score with the last, an
    evaluation now and then."""
    points = {}
    for step in range(10, 80_001, 10):
        values = {"train/loss": 0.1}
        values |= {"train/accuracy": 0.9} if step % 100 == 0 else {}
        values |= {"eval/accuracy": 0.9} if step % 4000 == 0 else {}
        curves.add_point(points, step, values)
    steps = [
        step
        for step, values in curves.thin(points).items()
        if "eval/accuracy" in values
    ]
    assert steps == list(range(4000, 80_001, 4000))

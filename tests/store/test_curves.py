"""Curves on disk: those that members had as they trained."""

import numpy as np
import polars as pl
import pytest
from study_checks import ONE_LANE, small_job
from study_rows import fake
from watching import Watcher, run_watched

from memcap.designs.axes import members
from memcap.store import curves, shards
from memcap.store.heartbeat import JobProgress
from memcap.store.study import Study
from memcap.studies.writer import StudyWriter
from memcap.training.engine import CurveChunk

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


def test_a_damaged_file_is_named_and_passed_over(tmp_path, capsys):
    second = {"train/loss": 0.5, "train/mse": 1.0, "eval/mse": 2.0}
    points = {1: {"train/loss": np.inf}, 2: second}
    for name in ("whole", "damaged"):
        curves.write(tmp_path, name, {name: points})
    (path,) = (tmp_path / "curves").glob("damaged.*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = curves.read(tmp_path)
    assert found["key"].to_list() == ["whole", "whole"]
    assert f"{path}: damaged" in capsys.readouterr().err
    assert curves.points(found, "mse") == points


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


def test_no_curves_are_no_error(tmp_path):
    assert curves.read(tmp_path).is_empty()
    assert curves.collect(tmp_path) is None


def test_curves_are_thinned(tmp_path):
    (member,) = members(small_job({"model.units": [1], "seed": 1}))
    shards.prepare(tmp_path)
    writer = StudyWriter(JobProgress(1, Study(tmp_path, "small")))
    for before in range(0, 4000, 40):
        writer.add_curve(
            CurveChunk(member, before, np.full(40, 0.5, np.float32), 0.5, None)
        )
    writer.finish("0123456789abcdef", [fake(member)])
    steps = curves.read(tmp_path)["step"]
    assert curves.MOST_POINTS / 2 < len(steps) <= curves.MOST_POINTS
    assert steps[-1] == 4000


def test_a_score_that_is_none_is_no_point():
    """As before a curriculum has arrived: the largest of W&B's numbers would be NaN."""
    lines = curves.table({"a": {1: {"train/loss": np.nan, "train/accuracy": np.nan}}})
    assert curves.points(lines, "accuracy")[1].keys() == {"train/loss"}

"""Curves of members in training, beside those of members that have ended."""

import contextlib

import numpy as np
import pytest
from study_checks import ONE_LANE, small_job
from study_rows import fake

from memcap.designs.axes import members
from memcap.store import curves, shards
from memcap.store.heartbeat import JobProgress
from memcap.store.shards import Study
from memcap.studies import writer
from memcap.studies.run import run_study
from memcap.studies.verify import verify
from memcap.studies.writer import StudyWriter
from memcap.training.engine import CurveChunk

FIRST, SECOND, THIRD = members(small_job({"seed": 3}, recipe__budget=1000))


@pytest.fixture
def job(tmp_path, clock):
    """The writer of a job in a study's folder."""
    shards.prepare(tmp_path)
    return StudyWriter(JobProgress(3, Study(tmp_path, "s")))


def train(job, member, before, steps):
    losses = np.full(steps, 0.5, np.float32)
    job.add_curve(CurveChunk(member, before, losses, 0.75, None))


def steps_by_key(folder):
    """Of each member whose curve is there, the steps of its points."""
    paths = (folder / "curves").glob("*.running.parquet")
    tables = (
        curves.read_file(path).group_by("key", maintain_order=True) for path in paths
    )
    return {key: lines["step"].to_list() for table in tables for (key,), lines in table}


def test_they_are_written_every_few_seconds_once_a_member_has_trained_for_some(
    job, clock, tmp_path
):
    train(job, FIRST, 0, 2)
    clock.now = 5
    train(job, SECOND, 0, 2)
    clock.now = 9
    job.tick()
    assert steps_by_key(tmp_path) == {}
    clock.now = 11
    train(job, FIRST, 2, 1)
    job.tick()
    assert steps_by_key(tmp_path) == {
        FIRST.key: [1, 2, 3]
    }  # the second has trained for 6 seconds
    train(job, FIRST, 3, 1)
    clock.now = 22
    job.tick()
    assert steps_by_key(tmp_path) == {FIRST.key: [1, 2, 3, 4], SECOND.key: [1, 2]}


def test_they_are_of_those_that_have_trained_longest_and_thinned(
    job, clock, tmp_path, monkeypatch
):
    monkeypatch.setattr(curves, "MOST_RUNNING", 2)
    monkeypatch.setattr(writer, "POINTS_OF_A_CHUNK", 1000)
    for member in (SECOND, THIRD, FIRST):
        clock.now += 1
        train(job, member, 0, 250)
    clock.now = 30
    job.tick()
    steps = steps_by_key(tmp_path)
    assert steps.keys() == {SECOND.key, THIRD.key}
    assert all(
        len(each) <= curves.MOST_POINTS and each[-1] == 250 for each in steps.values()
    )


def test_a_member_that_has_ended_is_no_longer_among_them_and_without_any_the_file_goes(
    job, clock, tmp_path
):
    for member in (FIRST, SECOND):
        train(job, member, 0, 2)
    clock.now = 11
    job.tick()
    job.finish("0123456789abcdef", [fake(FIRST)])
    clock.now = 22
    job.tick()
    assert steps_by_key(tmp_path).keys() == {SECOND.key}
    job.finish("0123456789abcdef", [fake(SECOND)])
    clock.now = 33
    job.tick()
    assert not list((tmp_path / "curves").glob("*.running.parquet"))


def test_none_is_left_at_the_end_of_a_job(job, clock, tmp_path):
    with contextlib.suppress(KeyboardInterrupt), job:
        train(job, FIRST, 0, 2)
        clock.now = 11
        job.tick()
        assert steps_by_key(tmp_path).keys() == {FIRST.key}
        raise KeyboardInterrupt
    assert not list((tmp_path / "curves").iterdir())


def test_a_disk_that_is_full_stops_nothing(job, clock, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    train(job, FIRST, 0, 2)
    clock.now = 11
    monkeypatch.setattr("memcap.store.files.replace", full)
    job.tick()
    monkeypatch.undo()
    monkeypatch.setattr("time.monotonic", lambda: 22.0)
    job.tick()
    assert steps_by_key(tmp_path).keys() == {FIRST.key}


def test_readers_of_ended_members_do_not_see_them(tmp_path):
    run_study(members(small_job()), ONE_LANE, Study(tmp_path, "small"), quiet=True)
    before = curves.read(tmp_path)
    curves.write_running(tmp_path, "0123456789abcdef", {"a": {1: {"train/loss": 0.5}}})
    (tmp_path / "curves" / "bad.running.parquet").write_text("no table")
    assert curves.read(tmp_path).equals(before)
    report = verify(tmp_path)
    assert (report.curve_files, report.wrong) == (1, ())
    curves.collect(tmp_path)
    assert curves.read(tmp_path).equals(before)


def test_those_of_a_killed_job_are_removed_once_they_are_old(tmp_path, monkeypatch):
    shards.prepare(tmp_path)
    curves.write_running(tmp_path, "0123456789abcdef", {"a": {1: {"train/loss": 0.5}}})
    (tmp_path / "curves" / ".ffffffffffffffff.running.parquet").write_text("half of it")
    shards.remove_stale_files(tmp_path)
    assert len(list((tmp_path / "curves").iterdir())) == 2
    monkeypatch.setattr("memcap.store.files.STALE_AFTER", 0)
    shards.remove_stale_files(tmp_path)
    assert not list((tmp_path / "curves").iterdir())

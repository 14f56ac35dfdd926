"""How far a job is: counted while it trains, written, kept when it is killed, read by anybody."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from beat_files import first, keys_of, listed, put
from study_checks import ONE_LANE, config, small_job
from watching import Watcher, run_watched

from memcap.commands.status import state
from memcap.config.member import member_of
from memcap.designs.axes import members
from memcap.runtime.signals import Interrupted
from memcap.store import files, heartbeat, shards
from memcap.store.heartbeat import (
    HEARTBEAT_TIMEOUT,
    MEMBERS,
    JobProgress,
    read,
    read_members,
    writing,
)
from memcap.store.shards import Study
from memcap.studies.run import run_study

ROOT = Path(__file__).parents[2]


def train(progress, key, before, steps, loss=0.5):
    """A chunk of a member whose budget is 1,000 steps."""
    progress.chunk(
        key, f"name of {key}", 1000, before, before + steps, loss if steps else None
    )


# Counting


def test_a_member_that_trains_has_its_step_loss_and_time(clock):
    progress = JobProgress(3)
    assert (progress.heartbeat().seconds_left, progress.longest(9)) == (None, [])
    clock.now = 10
    train(progress, "a", 0, 100, 0.7)

    clock.now = 30
    train(progress, "a", 100, 100, 0.3)
    train(progress, "b", 0, 50)
    clock.now = 32
    one, two = progress.longest(9)
    assert (one.step, one.seconds, one.loss) == (200, 22, 0.3)
    assert (two.step, two.seconds) == (50, 2)


def test_time_left_is_not_known_before_some_members_have_ended(clock):
    progress = JobProgress(5)
    train(progress, "a", 0, 100)
    # resumed: what was trained before is no pace
    train(progress, "b", 500, 100)
    clock.now = 32
    for key in "cd":
        progress.ended(key, "solved", True)
    assert progress.heartbeat().seconds_left is None
    progress.ended("e", "solved", True)
    # three members, and two tenths of budgets; 0.9 and 0.4 of them to come
    assert progress.heartbeat().seconds_left == pytest.approx(32 / 3.2 * 1.3)


def test_what_has_ended_is_counted_and_no_longer_runs(clock):
    progress = JobProgress(3, before=2)
    train(progress, "a", 0, 100)
    clock.now = 10
    for key, status, solved in (
        ("a", "solved", True),
        ("b", "diverged", False),
        ("c", "failed", False),
    ):
        progress.ended(key, status, solved)
    now = progress.heartbeat()
    assert (now.done, now.solved, now.diverged, now.failed) == (3, 1, 1, 1)
    assert (now.to_come, now.running, now.longest, now.seconds_left) == (0, 0, (), 0)
    progress.expect(6)
    now = progress.heartbeat()
    assert (now.done, now.to_come, now.seconds_left) == (3, 6, 20)


# Written and read


def test_it_is_written_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "SECONDS", 0.01)
    progress = JobProgress(9, Study(tmp_path, "name", "bisect"))
    with writing(progress, listed("ba")):
        ((token, early),) = read(tmp_path).items()
        assert token == early.token == progress.token
        train(progress, "a", 0, 10)
        progress.ended("b", "solved", True)
        deadline = time.monotonic() + 10
        while not read(tmp_path)[token].done and time.monotonic() < deadline:
            time.sleep(0.01)
        late = read(tmp_path)[token]
        assert (late.done, late.solved, late.to_come, late.running) == (1, 1, 8, 1)
        assert early.started == late.started <= early.updated <= late.updated
        assert (late.alive, late.searched, late.study) == (True, True, "name")
        assert [member.name for member in late.longest] == ["name of a"]
        assert keys_of(tmp_path, token) == {"a", "b"}
    last = read(tmp_path)[token]
    assert (last.ended, last.alive) == ("done", False)


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (Interrupted(signal.SIGTERM), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("a\nb"), "ValueError: a"),
    ],
)
def test_how_it_ended_is_kept_and_the_error_passed_on(tmp_path, error, ended):
    with (
        pytest.raises(type(error)),
        writing(JobProgress(1, Study(tmp_path)), listed("a")),
    ):
        raise error
    (last,) = read(tmp_path).values()
    assert (last.ended, last.alive) == (ended, False)


def test_where_it_cannot_be_written_training_goes_on(tmp_path):
    (tmp_path / "jobs").write_text("in the way")
    with writing(JobProgress(1, Study(tmp_path)), listed("a")):
        pass


def test_a_job_is_alive_while_it_is_heard_of():
    now = time.time()
    silent = now - HEARTBEAT_TIMEOUT - 1
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    ahead = first(host="another", updated=now + 30 * 86_400)
    heartbeats = {
        first(updated=now - HEARTBEAT_TIMEOUT + 5): True,
        first(updated=silent): False,
        first(ended="done"): False,
        first(pid=gone.pid): False,
        first(pid=gone.pid, host="another"): True,  # unseen from here
        first(host="another", updated=silent): False,
        ahead: False,  # else it would be for 30 days
    }
    assert {beat: beat.alive for beat in heartbeats} == heartbeats
    assert state(ahead).endswith("ahead of this host's clock")


def test_the_next_job_deletes_what_is_done_or_what_it_makes_up_for(tmp_path):
    old = time.time() - 1000
    put(tmp_path, "done", first(ended="done"), ["x"])
    put(tmp_path, "same", first(ended="interrupted"), ["a", "b"])
    put(tmp_path, "silent", first(updated=old), ["a"])
    put(tmp_path, "alive", first(), ["a"])
    put(tmp_path, "other", first(updated=old), ["a", "y"])
    with writing(JobProgress(3, Study(tmp_path)), listed("abc")):
        left = read(tmp_path)
        assert len(left) == 3
        assert left.keys() > {"alive", "other"}
        names = {path.name for path in (tmp_path / "jobs").iterdir()}
        assert names == {
            f"{token}.{kind}" for token in left for kind in ("json", "members.parquet")
        }


BAD = [b"", b"[]", b"{}", b'{"longest": [{"key": 1}]}', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("content", BAD)
def test_what_is_no_such_file_is_skipped(tmp_path, content):
    put(tmp_path, "good", first(), ["a"])
    for name in ("bad.json", "good.members.parquet"):
        (tmp_path / "jobs" / name).write_bytes(content)
    assert read(tmp_path).keys() == {"good"}
    for token in ("bad", "good"):
        found = read_members(tmp_path, token)
        assert found.schema == pl.Schema(MEMBERS)
        assert found.is_empty()


# The names of the files of a job


class Sees(Watcher):
    """The names of the files that are there while a member trains."""

    def __init__(self, folder):
        self.folder = folder
        self.names = set()

    def curve(self, member_id, step, values):
        self.names |= {path.name for path in (self.folder / "jobs").iterdir()}


@pytest.mark.usefixtures("quick_file")
def test_all_files_of_a_job_have_its_token(tmp_path):
    found = members(small_job({"model.units": [1, 2], "seed": 2}))
    sees = Sees(tmp_path)
    run_watched(
        sees, found, ONE_LANE, Study(tmp_path, "small", session="01234567"), quiet=True
    )
    (token,) = read(tmp_path)
    assert shards.session_of(token) == "01234567"
    assert sees.names == {f"{token}.json", f"{token}.members.parquet"}
    for part in ("rows", "weights", "curves"):
        names = {files.stem(path) for path in (tmp_path / part).iterdir()}
        assert {name.split("-")[1] for name in names} == {token}
        assert all(shards.NAME.fullmatch(name) for name in names)


@pytest.mark.usefixtures("quick_file")
def test_a_job_lists_its_members_so_that_they_can_be_named_and_made(tmp_path):
    job = config(task="delay_line", recipe__budget=12, recipe__batch=16)
    job["task"]["symbols"] = 4
    (member,) = found = members(job)
    run_study(found, ONE_LANE, Study(tmp_path, "small"), quiet=True)
    (token,) = read(tmp_path)
    (line,) = read_members(tmp_path, token).iter_rows(named=True)
    assert line["name"] == "delay_line(symbols=4)-L3-u1-s0"
    assert (line["key"], line["metric"]) == (member.key, member.task.metric)
    assert member_of(json.loads(line["config"])) == member

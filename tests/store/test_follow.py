"""What a follower of a folder says is new, of files that come, grow, are replaced and are bad."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from followed_files import OURS, THEIRS, key, put_job, put_rows

from memcap.store import curves, shards
from memcap.store.follow import Follower


def seeds_of(table):
    return sorted(json.loads(text)["seed"] for text in table["config"])


def test_a_folder_that_is_not_there_yet_has_no_news(tmp_path):
    follower = Follower(tmp_path / "study", OURS)
    news = follower.poll()
    assert (news.rows.height, news.members.height, news.curves, news.over) == (
        0,
        0,
        {},
        True,
    )
    put_rows(tmp_path / "study", f"{OURS}00000000", [0])
    assert seeds_of(follower.poll().rows) == [0]


def test_rows_are_news_once_with_their_curves_as_a_shard_grows(tmp_path):
    follower = Follower(tmp_path)
    token = f"{OURS}00000000"
    for seeds, new in (([0], [0]), ([0, 1, 2], [1, 2]), ([0, 1, 2], [])):
        put_rows(tmp_path, token, seeds)
        news = follower.poll()
        assert seeds_of(news.rows) == new
        assert {
            name: lines["train_loss"].to_list() for name, lines in news.curves.items()
        } == {key(seed): [float(seed)] for seed in new}
    assert follower.poll().rows.is_empty()


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    follower = Follower(tmp_path)
    put_rows(tmp_path, f"{OURS}00000000", [0])
    follower.poll()
    monkeypatch.setattr(shards, "read_file", lambda path: pytest.fail("read again"))
    follower.poll()


def test_a_member_that_is_trained_again_is_news_again(tmp_path):
    follower = Follower(tmp_path)
    put_rows(tmp_path, f"{OURS}00000000", [0, 1], status="failed")
    follower.poll()
    put_rows(tmp_path, f"{OURS}11111111", [0], later=5)
    news = follower.poll()
    assert (seeds_of(news.rows), news.rows["status"].to_list()) == ([0], ["solved"])


def test_folded_rows_and_their_shards_are_one(tmp_path):
    put_rows(tmp_path, f"{OURS}00000000", [0, 1])
    shards.collect(tmp_path)
    curves.collect(tmp_path)
    put_rows(tmp_path, f"{OURS}11111111", [2])
    news = Follower(tmp_path).poll()
    assert seeds_of(news.rows) == [0, 1, 2]
    assert news.curves.keys() == {key(seed) for seed in range(3)}
    for path in [*(tmp_path / "rows").iterdir(), *(tmp_path / "curves").iterdir()]:
        path.unlink()
    news = Follower(tmp_path).poll()  # as a study is published
    assert (seeds_of(news.rows), news.curves.keys()) == ([0, 1], {key(0), key(1)})
    assert seeds_of(Follower(tmp_path / "rows.parquet").poll().rows) == [0, 1]


def test_one_command_is_followed_and_what_others_have_trained_is_earlier(tmp_path):
    put_rows(tmp_path, f"{THEIRS}00000000", [0, 1])
    put_rows(tmp_path, f"{THEIRS}22222222", [7], status="failed")
    put_rows(tmp_path, "cccccccc", [2])  # of memcap 0.1
    put_job(tmp_path, f"{THEIRS}00000000", [0, 1])
    put_job(tmp_path, f"{OURS}00000000", [3, 4])
    follower = Follower(tmp_path, OURS)
    news = follower.poll()
    assert (seeds_of(news.earlier), seeds_of(news.rows), seeds_of(news.members)) == (
        [0, 1, 2],
        [],
        [3, 4],
    )
    assert news.members["study"].to_list() == ["study", "study"]
    put_rows(tmp_path, f"{OURS}00000000", [3])
    put_rows(tmp_path, f"{OURS}11111111", [4])
    put_rows(tmp_path, f"{THEIRS}11111111", [5])
    assert seeds_of(follower.poll().rows) == [3, 4]


def test_a_folder_is_over_once_no_job_trains(tmp_path):
    follower = Follower(tmp_path, OURS)
    token = f"{OURS}00000000"
    put_job(tmp_path, f"{THEIRS}00000000")
    assert follower.poll().over
    put_job(tmp_path, token)
    assert not follower.poll().over
    for gone in (
        {"ended": "done"},
        {"updated": time.time() - 1000},
        {"pid": 2**22 + 1},
    ):
        put_job(tmp_path, token, **gone)
        assert follower.poll().over


def test_members_are_news_once_and_later_jobs_may_sweep_them_away(tmp_path):
    follower = Follower(tmp_path, OURS)
    put_job(tmp_path, f"{OURS}00000000", [0])
    assert seeds_of(follower.poll().members) == [0]
    put_job(tmp_path, f"{OURS}11111111", [1])
    for path in (tmp_path / "jobs").glob(f"{OURS}00000000.*"):
        path.unlink()
    assert seeds_of(follower.poll().members) == [1]
    assert follower.poll().members.is_empty()


def test_a_curve_in_training_is_news_whenever_it_has_grown(tmp_path):
    follower = Follower(tmp_path, OURS)
    token = f"{OURS}00000000"
    put_job(tmp_path, token, [0, 1])
    for steps, new in ((1, 1), (1, 0), (3, 3)):
        if new:
            curve = {step: {"train/loss": 1.0} for step in range(1, steps + 1)}
            curves.write_running(tmp_path, token, {key(0): curve, key(1): curve})
        assert {
            name: lines.height for name, lines in follower.poll().curves.items()
        } == ({key(0): new, key(1): new} if new else {})
    put_rows(tmp_path, token, [0])
    curves.write_running(
        tmp_path, token, {name: {1: {"train/loss": 9.0}} for name in (key(0), key(1))}
    )
    news = follower.poll()
    assert news.curves[key(0)]["train_loss"].to_list() == [0.0]  # of its row
    assert news.curves[key(1)]["train_loss"].to_list() == [9.0]
    put_job(tmp_path, token, [0, 1], ended="interrupted")
    curves.write_running(
        tmp_path, token, {key(1): {1: {"train/loss": 9.0}, 2: {"train/loss": 8.0}}}
    )
    assert follower.poll().curves == {}


@pytest.mark.parametrize("part", ["rows", "curves"])
def test_a_bad_file_waits_for_the_next_time_and_is_never_touched(tmp_path, part):
    token = f"{OURS}00000000"
    follower = Follower(tmp_path, OURS)
    put_job(tmp_path, token, [0])
    path = tmp_path / part / put_rows(tmp_path, token, [0]).name
    put_rows(tmp_path, f"{OURS}11111111", [1])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    cut = path.read_bytes()
    for _ in range(2):
        news = follower.poll()
        assert path.read_bytes() == cut
        assert key(0) not in {*news.rows["key"], *news.curves}
    assert list(follower.bad.values())
    path.write_bytes(whole)
    news = follower.poll()
    assert (seeds_of(news.rows), news.curves.keys(), follower.bad) == (
        [0],
        {key(0)},
        {},
    )


def test_rows_whose_curves_stay_bad_come_without_them_once_nothing_else_will(tmp_path):
    path = put_rows(tmp_path, f"{OURS}00000000", [0])
    (tmp_path / "curves" / path.name).write_bytes(b"nothing")
    news = Follower(tmp_path).poll()
    assert (news.over, seeds_of(news.rows), news.curves) == (True, [0], {})


WRITES = """
import sys
from pathlib import Path
from followed_files import put_rows
for count in range(1, 151):
    put_rows(Path(sys.argv[1]), "aaaaaaaa00000000", range(count))
"""


@pytest.mark.breadth
def test_a_shard_that_is_replaced_all_the_time_is_read_whole(tmp_path):
    path = os.pathsep.join(
        [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    )
    command = [sys.executable, "-c", WRITES, str(tmp_path)]
    seen = []
    follower = Follower(tmp_path)
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) as process:
        while process.poll() is None:
            seen += seeds_of(follower.poll().rows)
    assert process.returncode == 0
    seen += seeds_of(follower.poll().rows)
    assert (sorted(seen), follower.bad) == (list(range(150)), {})

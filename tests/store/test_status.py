"""How far a study is: rows and jobs, added up by key."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from beat_files import MEMBER, first, put
from study_checks import refusal
from study_rows import group, write

from memcap.store import shards
from memcap.store.status import Failure, status, studies

ROOT = Path(__file__).parents[2]
OLD = time.time() - 1000


def rows_of(folder, *groups):
    """Write rows, and give their keys."""
    write(folder, *groups)
    return shards.read(folder)["key"].to_list()


def test_rows_alone_are_a_study_that_is_done(tmp_path):
    rows_of(tmp_path, group(counts={1: (1, 4), 2: (4, 4)}, diverged=2))
    found = status(tmp_path)
    assert (found.members, found.done, found.solved, found.diverged) == (8, 8, 5, 2)
    assert (found.running, found.waiting, found.left_over) == (0, 0, 0)
    assert found.left is None
    assert found.failed == found.jobs == found.unfinished == ()


def test_jobs_that_share_a_folder_are_added_up_and_shared_members_counted_once(
    tmp_path,
):
    done = rows_of(tmp_path, group(counts={1: (2, 4)}))
    long = replace(MEMBER, key="d", seconds=99.0)
    one = first(started=time.time() - 60, done=2, running=1, longest=(MEMBER,))
    other = replace(one, seconds_left=300.0, longest=(long,))
    put(tmp_path, "a", replace(one, seconds_left=30.0), [*done[:2], "b", "c"])
    put(tmp_path, "b", other, [*done[2:], "c", "d", "e"])
    found = status(tmp_path)
    assert (found.members, found.done, found.running, found.waiting) == (8, 4, 2, 2)
    assert found.left == pytest.approx(300, abs=5)  # until the last of them ends
    assert [each.key for each in found.longest] == ["d", MEMBER.key]


def test_a_killed_job_is_not_running_and_what_it_lacks_is_in_nobodys_hand(tmp_path):
    done = rows_of(tmp_path, group(counts={1: (2, 4)}))
    killed = first(updated=OLD, running=2, seconds_left=30.0, longest=(MEMBER,))
    killed = replace(killed, command="memcap train study=killed")
    put(tmp_path, "killed", killed, [*done, "b", "c", "d"])
    put(tmp_path, "finished", first(ended="done", command="memcap train"), done)
    found = status(tmp_path)
    assert (found.members, found.done, found.left_over) == (7, 4, 3)
    assert (found.running, found.waiting) == (0, 0)
    assert (found.left, found.longest) == (None, ())
    assert [beat.command for beat in found.unfinished] == ["memcap train study=killed"]
    put(tmp_path, "again", first(running=1), ["b", "c"])
    found = status(tmp_path)  # another one has taken two of its members on
    assert (found.members, found.left_over) == (7, 1)
    assert (found.running, found.waiting) == (1, 1)


def test_a_search_says_itself_how_many_it_wants(tmp_path):
    done = rows_of(tmp_path, group(counts={1: (2, 4)}))
    keys = [*done, *map(str, range(100))]
    searching = first(searched=True, to_come=5, running=2)
    put(tmp_path, "a", searching, keys)
    found = status(tmp_path)
    assert (found.members, found.running, found.waiting) == (9, 2, 3)
    assert found.at_most
    put(tmp_path, "a", replace(searching, ended="interrupted"), keys)
    found = status(tmp_path)
    assert (found.members, found.left_over) == (9, 5)
    assert (found.running, found.waiting) == (0, 0)


def test_a_failed_member_has_its_reason_until_it_is_in_hand_again(tmp_path):
    (row,) = group(counts={1: (0, 1)})
    row |= {"status": "failed", "reason": "two workers ended"}
    write(tmp_path, [row], group(counts={2: (1, 2)}))
    finished = first(ended="done", command="memcap train", started=OLD)
    put(tmp_path, "a", finished, [row["key"]])
    found = status(tmp_path)
    assert (found.members, found.done) == (3, 2)
    failure = Failure(row["key"], "latch-L5-u1-s0", "two workers ended")
    assert found.failed == (failure,)
    assert [beat.command for beat in found.unfinished] == ["memcap train"]
    put(tmp_path, "again", first(), [row["key"]])
    found = status(tmp_path)
    assert (found.members, found.done, found.failed, found.waiting) == (3, 2, (), 1)


def test_what_cannot_be_read_is_named_and_the_rest_counts(tmp_path):
    rows_of(tmp_path, group(counts={1: (2, 4)}))
    pl.DataFrame({"lag": [1]}).write_parquet(tmp_path / "rows" / "c.parquet")
    (tmp_path / "rows" / "a.parquet").write_bytes(b"PAR1 and nothing else")
    damaged = tmp_path / "rows" / f"b.{'0' * 16}.parquet"
    shutil.copy(tmp_path / "rows" / "made_up.parquet", damaged)
    found = status(tmp_path)
    assert found.done == 4
    names = [path.name for path in found.unreadable]
    assert names == ["a.parquet", damaged.name, "c.parquet"]


def test_rows_that_cannot_be_read_are_unfinished_members_of_the_job_that_ended_well(
    tmp_path,
):
    keys = rows_of(tmp_path, group(counts={1: (2, 4)}))
    job = first(ended="done", command="memcap train study=mine")
    put(tmp_path, "0123456789abcdef", job, keys)
    assert status(tmp_path).unfinished == ()
    (tmp_path / "rows" / "made_up.parquet").write_bytes(b"PAR1 and nothing else")
    progress = status(tmp_path)
    assert (progress.done, progress.left_over, len(progress.unfinished)) == (0, 4, 1)


def test_studies_are_found_below_a_folder(tmp_path):
    outputs = tmp_path / "outputs"
    rows_of(outputs / "b", group(counts={1: (0, 1)}))
    put(outputs / "a", "x", first(), ["a"])
    assert studies(outputs) == [outputs / "a", outputs / "b"]
    assert studies(outputs / "b") == [outputs / "b"]
    (tmp_path / "empty").mkdir()
    text = refusal(lambda: studies(tmp_path / "empty"))
    assert "empty: holds no study; train one first, as in: memcap train" in text

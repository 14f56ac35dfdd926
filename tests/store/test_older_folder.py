"""A folder that memcap wrote before jobs had a session's token, a list of members and a
heartbeat of today: it is read, verified, shown, and trained on.

older_folder/ was written by commit 2274b4f: a job that trained one member, and one of
four members that was interrupted when it had trained another and half of a third.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from beat_files import keys_of
from command import memcap as command
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE

import memcap
from memcap import store
from memcap.store import curves, heartbeat, shards
from memcap.store.status import status
from memcap.store.study import Study
from memcap.studies.run import run_study
from memcap.studies.verify import verify
from memcap.terminal.words import warn_once

TOKEN = "38474699"
AXES = {"task": "latch", "lag": 3, "units": 1, "recipe": "hold", "batch": 16, "seed": 2}
AXES |= {"every": 10, "sequences": 64, "stretch": 2}


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(Path(__file__).with_name("older_folder"), tmp_path / "older")
    return tmp_path / "older"


@pytest.fixture
def members():
    """Two that have rows, one that is half-trained, and one that nobody has trained."""
    return memcap.members(**AXES, budget=20) + memcap.members(
        **AXES, budget=60, lr=1e-6
    )


def test_its_job_is_read(folder, members):
    (job,) = heartbeat.read(folder).values()
    assert (job.token, job.ended, job.done, job.to_come, job.running) == (
        TOKEN,
        "interrupted",
        1,
        2,
        1,
    )
    assert datetime.fromtimestamp(job.updated, UTC).year == 2026
    assert job.seconds_left == pytest.approx(0.04, abs=0.01)
    assert [(each.key, each.step) for each in job.longest] == [(members[2].key, 40)]
    assert keys_of(folder, TOKEN) == {member.key for member in members[1:]}
    table = heartbeat.read_members(folder, TOKEN)
    assert table.columns == list(heartbeat.MEMBERS)
    assert table["config"].null_count() == 3
    assert shards.session_of(TOKEN) == ""


def test_its_status_names_what_is_left(folder):
    found = status(folder)
    assert (found.members, found.done, found.left_over, found.failed) == (4, 2, 2, ())
    assert [job.command for job in found.unfinished] == ["memcap train study=older"]


def test_it_is_verified_shown_and_folded(folder):
    report = verify(folder)
    assert (report.rows, report.row_files, report.weight_files) == (2, 2, 2)
    assert (report.curve_files, report.checkpoint_files, report.wrong) == (2, 1, ())
    for words in (["status"], ["verify"], ["frontier"], ["report"], ["collect"]):
        done = command(folder, *words, ".")
        assert (done.status, done.err) == (0, ""), words
    rows = store.read(folder)
    shutil.rmtree(folder / "rows")
    assert_frame_equal(store.read(folder), rows)


def test_what_it_lacks_is_trained_and_what_it_holds_stays(folder, members, capfd):
    before = store.read(folder)
    assert set(before["key"]) == {member.key for member in members[:2]}
    weights = {
        row["key"]: store.weights_of(folder, row)
        for row in before.iter_rows(named=True)
    }
    warn_once.cache_clear()
    rows = run_study(members, ONE_LANE, Study(folder, "older"), quiet=True)
    assert "half-trained by other code" in capfd.readouterr().err
    assert sorted(rows["key"]) == sorted(member.key for member in members)
    assert_frame_equal(rows.join(before, "key", "semi"), before, check_row_order=False)
    for row in before.iter_rows(named=True):
        assert repr(store.weights_of(folder, row)) == repr(weights[row["key"]])
    assert set(curves.read(folder)["key"]) == set(rows["key"])
    assert verify(folder).wrong == ()
    found = status(folder)
    assert (found.members, found.done, found.left_over, found.unfinished) == (
        4,
        4,
        0,
        (),
    )
    run_study(members, ONE_LANE, Study(folder, "older"), quiet=True)
    assert not list(folder.glob("checkpoints/*"))

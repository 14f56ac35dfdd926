"""A folder that memcap wrote before files had digests in their names: it is read,
verified, shown, and trained on.

older_folder/ was written by commit 248f5182: a job that trained one member, and one of
three members that was interrupted when it had trained two and most of the third.
"""

import shutil
from pathlib import Path

import pytest
from command import memcap as command
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE

import memcap
from memcap import store
from memcap.store import curves
from memcap.store.shards import Study
from memcap.store.status import status
from memcap.studies.run import run_study
from memcap.studies.verify import verify
from memcap.terminal.words import warn_once

AXES = {"task": "latch", "lag": 3, "units": 1, "recipe": "hold", "batch": 16, "seed": 2}
AXES |= {"every": 10, "sequences": 64, "stretch": 2}


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(Path(__file__).with_name("older_folder"), tmp_path / "older")
    return tmp_path / "older"


@pytest.fixture
def members():
    """Three that have rows, and one that is half-trained."""
    slow = memcap.members(**AXES, budget=60, lr=1e-6)
    return memcap.members(**AXES, budget=20) + slow


def test_its_status_names_what_is_left(folder, members):
    found = status(folder)
    assert (found.members, found.done, found.left_over, found.failed) == (4, 3, 1, ())
    (job,) = found.unfinished
    assert (job.command, job.ended) == ("memcap train study=older", "interrupted")
    assert [each.key for each in job.longest] == [members[3].key]


def test_it_is_verified_shown_and_folded(folder):
    report = verify(folder)
    assert (report.rows, report.row_files, report.weight_files) == (3, 2, 2)
    assert (report.curve_files, report.checkpoint_files, report.wrong) == (2, 1, ())
    for words in (["status"], ["verify"], ["frontier"], ["report"], ["collect"]):
        done = command(folder, *words, ".")
        said = "memcap: Not complete: 1 member without a row. See: memcap status .\n"
        assert done.status == 0, words
        assert done.err == (said if words == ["report"] else ""), words
    rows = store.read(folder)
    shutil.rmtree(folder / "rows")
    assert_frame_equal(store.read(folder), rows)


def test_what_it_lacks_is_trained_and_what_it_holds_stays(folder, members, capfd):
    before = store.read(folder)
    assert set(before["key"]) == {member.key for member in members[:3]}
    weights = {
        row["key"]: repr(store.weights_of(folder, row))
        for row in before.iter_rows(named=True)
    }
    warn_once.cache_clear()
    rows = run_study(members, ONE_LANE, Study(folder, "older"), quiet=True)
    assert "half-trained by other code" in capfd.readouterr().err
    assert sorted(rows["key"]) == sorted(member.key for member in members)
    assert_frame_equal(rows.join(before, "key", "semi"), before, check_row_order=False)
    for row in before.iter_rows(named=True):
        assert repr(store.weights_of(folder, row)) == weights[row["key"]]
    assert set(curves.read(folder)["key"]) == set(rows["key"])
    assert verify(folder).wrong == ()
    found = status(folder)
    assert (found.members, found.done, found.left_over) == (4, 4, 0)
    run_study(members, ONE_LANE, Study(folder, "older"), quiet=True)
    assert not list(folder.glob("checkpoints/*"))

"""The names of a job's files: all begin with its session, which the jobs of one command share."""

import json

import pytest
from study_checks import ONE_LANE, config, small_job
from watching import Watcher, run_watched

from memcap.config.member import member_of
from memcap.designs.axes import members
from memcap.store import files, heartbeat, shards
from memcap.store.study import Study
from memcap.studies.run import run_study

pytestmark = pytest.mark.usefixtures("quick_file")


def test_a_token_begins_with_its_session():
    session = shards.new_session()
    one, other = (shards.new_token(session) for _ in range(2))
    assert (len(session), len(one)) == (8, 16)
    assert one != other
    assert shards.session_of(one) == shards.session_of(other) == session
    assert shards.session_of(shards.new_token()) not in ("", session)


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("0123456789abcdef-89abcdef01234567-12", "89abcdef"),
        ("89abcdef01234567", "89abcdef"),
        ("89abcdef", ""),
        ("mine", ""),
    ],
)
def test_the_session_of_a_name(name, session):
    assert shards.session_of(name) == session


class Sees(Watcher):
    """The names of the files that are there while a member trains."""

    def __init__(self, folder):
        self.folder = folder
        self.names = set()

    def curve(self, member_id, step, values):
        self.names |= {path.name for path in (self.folder / "jobs").iterdir()}


def test_all_files_of_a_job_have_its_token(tmp_path):
    found = members(small_job({"model.units": [1, 2], "seed": 2}))
    sees = Sees(tmp_path)
    run_watched(
        sees, found, ONE_LANE, Study(tmp_path, "small", session="01234567"), quiet=True
    )
    (token,) = heartbeat.read(tmp_path)
    assert shards.session_of(token) == "01234567"
    assert sees.names == {f"{token}.json", f"{token}.members.parquet"}
    for part in ("rows", "weights", "curves"):
        names = {files.stem(path) for path in (tmp_path / part).iterdir()}
        assert {name.split("-")[1] for name in names} == {token}
        assert all(shards.NAME.fullmatch(name) for name in names)


def test_a_job_lists_its_members_so_that_they_can_be_named_and_made(tmp_path):
    latch = small_job()
    other = config(task="delay_line", recipe__budget=12, recipe__batch=16)
    other["task"]["symbols"] = 4
    found = members(latch) + members(other)
    run_study(found, ONE_LANE, Study(tmp_path, "small"), quiet=True)
    (token,) = heartbeat.read(tmp_path)
    listed = heartbeat.read_members(tmp_path, token).rows_by_key("key", named=True)
    assert listed.keys() == {member.key for member in found}
    names = ["latch-L3-u1-s0", "delay_line(symbols=4)-L3-u1-s0"]
    for member, name in zip(found, names, strict=True):
        (line,) = listed[member.key]
        assert line["name"] == name
        assert line["metric"] == member.task.metric
        assert member_of(json.loads(line["config"])) == member

"""Which mirrors a command starts, and how it leaves them."""

import contextlib
import pickle
import signal
from pathlib import Path

import pytest

from memcap.config.member import Engine, Member
from memcap.launch import ledger, session
from memcap.launch.jobs import Job, Settings
from memcap.launch.session import Session
from memcap.runtime.signals import Interrupted
from memcap.store.rows import frame
from memcap.store.study import Study
from memcap.tasks.latch import Latch
from memcap.tracking import Tracking


class FakeMirror:
    """Remembers how it was started and left."""

    where = "there"

    def __init__(self, tracking, study, members, part):
        self.session = study.session
        self.part = part
        self.left = "open"
        self.members = members["key"].to_list()

    def __exit__(self, kind, error, trace):
        self.left = kind


@pytest.fixture
def mirrors(monkeypatch):
    """Those that were started."""
    started = []

    def start(*arguments):
        started.append(FakeMirror(*arguments))
        return started[-1]

    monkeypatch.setattr(ledger, "MirrorProcess", start)
    return started


def job(*members, mode="wandb", name="study", **engine):
    study = Study(Path("outputs/study"), name)
    return Job(Settings(Engine(**engine), Tracking(mode), study), members)


@pytest.mark.parametrize(
    "error", [None, Interrupted(signal.SIGTERM), ValueError("wrong")]
)
def test_how_a_command_ended_reaches_each_mirror(mirrors, error):
    kind = None if error is None else type(error)
    with contextlib.suppress(kind or ()), Session("memcap train") as training:
        training.ledger.expect([job(), job(name="other")])
        if error is not None:
            raise error
    assert [mirror.left for mirror in mirrors] == [kind, kind]


@pytest.mark.parametrize(
    ("ours", "of", "part"),
    [
        ([0], 1, ""),
        ([0, 1], 2, ""),
        ([1], 2, "1 of 2"),
        ([0, 2], 3, "0, 2 of 3"),
        ([2, 0, 1], 3, ""),
    ],
)
def test_the_run_of_a_study_names_the_shares_that_this_command_has(
    mirrors, ours, of, part
):
    training = Session("memcap train")
    members = [Member(Latch(), 5, seed=seed) for seed in ours]
    training.ledger.expect(
        job(member, shards=of, shard=shard)
        for member, shard in zip(members, ours, strict=True)
    )
    (mirror,) = mirrors
    assert (mirror.members, mirror.part) == ([member.key for member in members], part)


def test_one_mirror_follows_the_jobs_of_a_study_wherever_they_train(
    mirrors, monkeypatch
):
    sessions = []

    def run_study(members, engine, study):
        sessions.append(study.session)
        return frame([])

    monkeypatch.setattr(session, "run_study", run_study)
    training = Session("memcap train")
    jobs = [job(Member(Latch(), 5, seed=seed)) for seed in range(2)]
    training.ledger.expect(jobs)
    training.train(jobs[:1])
    pickle.loads(pickle.dumps(training)).train(jobs[1:])  # as joblib, Ray and SLURM do
    (mirror,) = mirrors
    assert len(mirror.members) == 2
    assert sessions == [mirror.session] * 2


def test_no_mirror_is_started_where_tracking_is_off(mirrors, monkeypatch):
    training = Session("memcap train")
    training.ledger.expect([job(mode="off")])
    monkeypatch.setenv("WANDB_MODE", "disabled")
    training.ledger.expect([job()])
    assert mirrors == []


def test_elsewhere_it_is_another_process_whatever_its_number():
    training = Session("memcap train")
    assert pickle.loads(pickle.dumps(training)).process != training.process

"""Which studies a command tracks, and how it leaves them."""

import contextlib
import pickle
import signal
from pathlib import Path

import pytest

from memcap.config.member import Engine, Member
from memcap.launch import session
from memcap.launch.jobs import Job, Settings
from memcap.launch.session import Session
from memcap.runtime.signals import Interrupted
from memcap.store.rows import frame
from memcap.store.study import Study
from memcap.tasks.latch import Latch
from memcap.tracking import Tracking


class FakeTracker:
    """Remembers how it was started and left."""

    where = "there"

    def __init__(self, tracking, study, members):
        self.session = study.session
        self.left = "open"
        self.members = members["key"].to_list()

    def __exit__(self, kind, error, trace):
        self.left = kind


@pytest.fixture
def trackers(monkeypatch):
    """Those that were started."""
    started = []

    def start(*arguments):
        started.append(FakeTracker(*arguments))
        return started[-1]

    monkeypatch.setattr(session, "Tracker", start)
    return started


def job(*members, mode="wandb", name="study", **engine):
    study = Study(Path("outputs/study"), name)
    return Job(Settings(Engine(**engine), Tracking(mode), study), members)


@pytest.mark.parametrize(
    "error", [None, Interrupted(signal.SIGTERM), ValueError("wrong")]
)
def test_how_a_command_ended_reaches_each_tracker(trackers, error):
    kind = None if error is None else type(error)
    with contextlib.suppress(kind or ()), Session("memcap train") as training:
        training.ledger.expect([job(), job(name="other")])
        if error is not None:
            raise error
    assert [tracker.left for tracker in trackers] == [kind, kind]


def test_one_tracker_follows_the_jobs_of_a_study_wherever_they_train(
    trackers, monkeypatch
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
    (tracker,) = trackers
    assert len(tracker.members) == 2
    assert sessions == [tracker.session] * 2

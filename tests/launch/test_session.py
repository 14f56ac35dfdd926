"""What the trackers of a command are told at its end."""

import pickle
import signal
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from memcap.config import Engine, Member
from memcap.launch import session
from memcap.launch.jobs import Job, Settings
from memcap.launch.session import Session
from memcap.signals import Interrupted
from memcap.tasks.latch import Latch
from memcap.tracking import NoTracker, Tracking


class Told(NoTracker):
    """Remembers how it was left."""

    kind = "open"

    def __exit__(self, kind, error, trace):
        self.kind = kind


@pytest.mark.parametrize("error", [None, Interrupted(signal.SIGTERM), ValueError("wrong")])
def test_how_a_command_ended_reaches_each_tracker(error):
    training = Session("memcap train")
    trackers = [Told(), Told()]
    training.trackers = dict(enumerate(trackers))
    kind = None if error is None else type(error)
    training.__exit__(kind, error, None)
    assert [tracker.kind for tracker in trackers] == [kind, kind]


def job(*members, **engine):
    return Job(Settings(Engine(**engine), Tracking(), "study", Path("outputs/study"), "grid"), members)


@pytest.fixture
def opened(monkeypatch):
    """What trackers were opened with."""
    calls = []

    def open_tracker(mode, **options):
        calls.append(options)
        return Begun()

    monkeypatch.setattr(session, "open_tracker", open_tracker)
    return calls


class Begun(NoTracker):
    def begin(self, members, there=(), in_all=0):
        self.members = list(members)


def open_for(training, one):
    with training._tracking(one.settings, session._study(one.settings)) as tracker:
        return tracker


@pytest.mark.parametrize(
    ("ours", "of", "part"),
    [([0], 1, ""), ([0, 1], 2, ""), ([1], 2, "1 of 2"), ([0, 2], 3, "0, 2 of 3"), ([2, 0, 1], 3, "")],
)
def test_the_run_of_a_study_names_the_shares_that_this_process_has(opened, ours, of, part):
    training, members = Session("memcap train"), [Member(Latch(), 5, seed=seed) for seed in ours]
    jobs = [job(member, shards=of, shard=shard) for member, shard in zip(members, ours, strict=True)]
    training.add_jobs(jobs)
    tracker = open_for(training, jobs[0])
    assert tracker.members == members
    assert [open_for(training, each) for each in jobs] == [tracker] * len(jobs)
    assert [options["part"] for options in opened] == [part]


@pytest.mark.parametrize(("most", "kind"), [(2, Begun), (1, NoTracker)])
def test_jobs_in_other_processes_leave_the_members_of_a_large_study_to_mirror(
    opened, monkeypatch, most, kind
):
    monkeypatch.setattr(session, "MOST_MEMBER_RUNS", most)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # as another test may have left it
    training, jobs = Session("memcap train"), [job(Member(Latch(), 5, seed=seed)) for seed in range(2)]
    training.add_jobs(jobs)
    assert type(open_for(pickle.loads(pickle.dumps(training)), jobs[0])) is kind


def test_elsewhere_it_is_another_process_whatever_its_number():
    training = Session("memcap train")
    assert pickle.loads(pickle.dumps(training)).process != training.process

"""What the trackers of a command are told at its end."""

import pickle
import signal

import pytest

from memcap.interrupts import Interrupted
from memcap.launchers.training import Training
from memcap.tracking import NoTracker


class Told(NoTracker):
    """Remembers how it was left."""

    kind = "open"

    def __exit__(self, kind, error, trace):
        self.kind = kind


@pytest.mark.parametrize("error", [None, Interrupted(signal.SIGTERM), ValueError("wrong")])
def test_how_a_command_ended_reaches_each_tracker(error):
    training = Training("memcap train")
    trackers = [Told(), Told()]
    training.trackers = dict(enumerate(trackers))
    kind = None if error is None else type(error)
    training.__exit__(kind, error, None)
    assert [tracker.kind for tracker in trackers] == [kind, kind]


def test_elsewhere_it_is_another_process_whatever_its_number():
    training = Training("memcap train")
    assert pickle.loads(pickle.dumps(training)).process != training.process

"""How far a job is, by a clock that the tests set."""

from types import SimpleNamespace

import numpy as np
import pytest
from study_checks import fake, small_job

from memcap.studies import tally
from memcap.studies.axes import members
from memcap.studies.heartbeat import Beat
from memcap.studies.tally import Tally
from memcap.training.engine import Chunk

FIRST, SECOND, THIRD = members(small_job({"seed": 3}, recipe__budget=1000))
BEAT = Beat.first("name", None, searched=False)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(tally.time, "monotonic", lambda: clock.now)
    return clock


def chunk(member, before, steps, loss=0.5):
    return Chunk(member, before, np.full(steps, loss, np.float32), 0.5, None)


def test_a_member_that_trains_has_its_step_loss_pace_and_time_left(clock):
    found = Tally(members=3, before=0)
    assert (found.left(), found.longest(9)) == (None, [])
    clock.now = 10
    found.curve(chunk(FIRST, 0, 100, 0.7))
    (one,) = found.longest(9)
    assert (one.key, one.name, one.step, one.budget, one.left) == (
        FIRST.key,
        "latch-L3-u1-s0",
        100,
        1000,
        None,
    )
    assert one.loss == pytest.approx(0.7)
    clock.now = 30
    found.curve(chunk(FIRST, 100, 100, 0.3))
    found.curve(chunk(SECOND, 0, 50))
    clock.now = 32
    (one, two) = found.longest(9)
    assert (one.step, one.seconds, one.left) == (200, 22, 800 / 5 - 2)
    assert one.loss == pytest.approx(0.3)
    assert (two.step, two.seconds, two.left) == (50, 2, None)
    assert found.longest(1) == [one]
    assert found.longest(9, seconds=3) == [one]
    # 0.2 and 0.05 of a budget in 32 seconds, of three
    assert found.left() == pytest.approx(32 / 0.25 * 2.75)


def test_what_was_trained_before_a_member_was_resumed_is_no_pace(clock):
    found = Tally(members=2, before=0)
    clock.now = 10
    found.curve(chunk(FIRST, 500, 100))
    assert found.left() == pytest.approx(
        10 / 0.1 * 1.4
    )  # a tenth of a budget in 10 seconds; 0.4 of it and a whole one to come


def test_a_member_that_begins_again_and_one_that_is_only_asked_again(clock):
    found = Tally(members=1, before=0)
    found.curve(chunk(FIRST, 0, 100))
    clock.now = 10
    found.curve(chunk(FIRST, 100, 100))
    found.curve(chunk(FIRST, 200, 0))
    (one,) = found.longest(9)
    assert (one.step, one.loss, one.left) == (200, 0.5, 80)
    clock.now = 20
    found.curve(chunk(FIRST, 0, 100))
    (one,) = found.longest(9)
    assert (one.step, one.seconds, one.left) == (100, 0, None)


def test_what_has_ended_is_counted_and_no_longer_runs(clock):
    found = Tally(members=5, before=2)
    found.curve(chunk(FIRST, 0, 100))
    clock.now = 10
    for member, status, solved in (
        (FIRST, "solved", 100),
        (SECOND, "diverged", None),
        (THIRD, "failed", None),
    ):
        found.ended(fake(member, status=status, solved=solved))
    assert (found.done, found.longest(9), found.words, found.left()) == (
        5,
        [],
        "1 solved, 1 diverged, 1 failed",
        0,
    )
    found.expect(6)
    assert (found.members, found.bound, found.left()) == (11, "at most", 20)
    told = found.told(BEAT)
    assert (told.done, told.to_come, told.running, told.left, told.longest) == (3, 6, 0, 20, ())


def test_a_job_tells_of_the_longest_only(clock, monkeypatch):
    monkeypatch.setattr(tally, "MOST_TOLD", 2)
    found = Tally(members=3, before=0)
    for member in (SECOND, THIRD, FIRST):
        clock.now += 1
        found.curve(chunk(member, 0, 10))
    told = found.told(BEAT)
    assert (told.running, [each.key for each in told.longest]) == (3, [SECOND.key, THIRD.key])

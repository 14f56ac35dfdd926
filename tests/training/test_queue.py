"""The queue: who trains what, in which order; nothing twice, nothing lost."""

import threading
from contextlib import contextmanager

import pytest
from training_checks import ONE, Remembers, member

from memcap.config.member import Engine
from memcap.training.host import Result
from memcap.training.queue import Queue


def ended(member):
    values = {"status": "solved", "solved": 1, "steps": 1, "train_loss": 0.0}
    values |= {"weights": {}, "loop": "while", "side_by_side": False}
    return Result(member, program_units=1, program_steps=5, **values)


def wide(units, count=1, lag=3, **recipe):
    return [member(lag=lag, seed=k, units=units, **recipe) for k in range(count)]


def units_of(program):
    return program.spec.architecture.model.units


@contextmanager
def claiming(queue, worker):
    """A thread in which a worker waits for a program; the list that will have it."""
    got = []
    thread = threading.Thread(target=lambda: got.append(queue.claim_program(worker)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    yield got
    thread.join(10)
    assert got


def test_workers_claim_different_programs_the_costliest_first():
    queue = Queue([*wide(1, 4), *wide(9, 4), *wide(2, 4, budget=900)], ONE, 2)
    claimed = [units_of(queue.claim_program(worker)) for worker in (0, 1, 0, 1)]
    # at last, what it had is costlier than what is left
    assert claimed == [2, 9, 2, 9]


def test_no_worker_takes_more_than_its_share():
    queue = Queue(wide(2, 8), ONE, 2)
    program = queue.claim_program(0)
    assert [len(queue.take_members(0, program, 100)) for _ in range(4)] == [4, 2, 1, 1]
    assert queue.take_members(0, program, 100) == []


def test_a_taken_program_is_shared_once_it_is_compiled():
    """There is nothing else to do, and compiling twice helps nobody."""
    queue = Queue(wide(2, 8), ONE, 2)
    program = queue.claim_program(0)
    with claiming(queue, 1) as got:
        queue.take_members(0, program, 1)  # which a worker does once it has compiled
    assert got == [program]


def test_longer_members_that_come_later_get_a_larger_program_of_rounded_size():
    queue = Queue(wide(2, lag=10), ONE)
    small = queue.claim_program(0)
    queue.add(wide(2, lag=20))
    assert len(queue.take_members(0, small, 9)) == 1  # what fits
    large = queue.claim_program(0)
    assert [program.trainer.max_length for program in (small, large)] == [12, 32]
    assert large.spec == small.spec
    queue.add(wide(2, lag=25))
    assert queue.claim_program(0) == large
    assert len(queue.take_members(0, large, 9)) == 2


def test_members_that_were_trained_before_leave_the_programs_as_they_were():
    short = wide(2, 3, lag=10)
    long = wide(2, 5, lag=20)
    for engine, lanes in ((ONE, 4), (Engine(loop="associative"), 3)):
        whole = Queue([*short, *long], engine)
        rest = Queue(short, engine, study=[*short, *long])
        program = rest.claim_program(0)
        assert program.trainer == whole.claim_program(0).trainer
        assert program.lanes == lanes  # no more than there is to train


def test_a_member_that_has_killed_a_worker_is_not_trained_by_this_process():
    """It may kill the next one, too. Once the others have ended, a suspect is all that
    is left, and this process waits."""
    suspect, other = wide(2, 2)
    queue = Queue([suspect, other], ONE, 2)
    program = queue.claim_program(1)
    assert queue.take_members(1, program, 1) == [suspect]
    queue.worker_died(1, "died")
    assert queue.claim_program(0) == program
    assert queue.take_members(0, program, 9) == [other]
    queue.finish(0, program, [ended(other)])
    assert queue.take_members(0, program, 9) == []
    with claiming(queue, 0) as got:
        assert queue.claim_program(1) == program
        assert queue.take_members(1, program, 9) == [suspect]
        queue.finish(1, program, [ended(suspect)])
    assert got == [None]


def test_a_program_that_kills_two_workers_as_it_is_compiled_fails_its_members():
    listener = Remembers()
    members = wide(9, 2)
    small = wide(1)
    queue = Queue([*members, *small], ONE, 2, listener)
    assert units_of(queue.claim_program(1)) == 9
    assert queue.worker_died(1, "died") == (members, [])
    assert units_of(queue.claim_program(1)) == 9
    assert queue.worker_died(1, "died (status -6)") == (members, members)
    found = [(result.member, result.status) for result in listener.results]
    assert found == [(m, "failed") for m in members]
    program = queue.claim_program(0)
    assert queue.take_members(0, program, 9) == small
    queue.finish(0, program, [ended(small[0])])
    assert queue.done.is_set()


def test_what_a_worker_hands_in_after_the_end_is_ignored():
    listener = Remembers()
    (one,) = wide(2)
    queue = Queue([one], ONE, 1, listener)
    program = queue.claim_program(0)
    queue.take_members(0, program, 1)
    queue.detach()
    queue.finish(0, program, [ended(one)])
    assert listener.results == []


@pytest.mark.parametrize(
    ("engine", "lanes"),
    [
        (Engine(loop="while"), 1),
        (Engine(loop="associative"), 3),
        (Engine(loop="associative", lanes=7), 7),
    ],
)
def test_lanes(engine, lanes):
    assert Queue(wide(2, 3), engine).claim_program(0).lanes == lanes


def test_a_suspect_is_trained_alone():
    """So that whoever shares its lanes is not blamed for what it does."""
    *suspects, other, last = wide(2, 5)
    queue = Queue([*suspects, other, last], ONE, 3)
    queue.workers = 1  # no share is left to another
    program = queue.claim_program(1)
    assert queue.take_members(1, program, 3) == suspects
    assert queue.take_members(2, program, 1) == [other]
    queue.worker_died(1, "died")
    assert queue.take_members(2, program, 9) == [last]  # it has others in hand
    queue.add(fresh := [member(seed=9, units=2)])
    tried = []
    for _ in suspects:
        tried += queue.take_members(1, program, 9)
        assert queue.take_members(1, program, 9) == []
        queue.finish(1, program, [ended(tried[-1])])
    assert sorted(m.seed for m in tried) == [0, 1, 2]
    assert queue.take_members(1, program, 9) == fresh

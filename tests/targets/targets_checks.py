"""Helpers of the tests that compile for accelerators: small programs whose steps are no
other axis, and what is asked of them."""

from functools import cache

import pytest
from hlo import TimeLoop, time_loops

import memcap
from memcap.config.member import Member
from memcap.planning.devices import DEVICES, compile_for
from memcap.training.program import Executables, Program
from memcap.training.step import Trainer, TrainSpec

STEPS = 89
EVALUATION_STEPS = 97
LANES = 8
NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not device.installed, reason="make test-targets has what it takes"
        ),
    )
    for name, device in DEVICES.items()
]


def small(task: str, cell: str = "lstm", **knobs) -> Member:
    """A member of lag 17."""
    (member,) = memcap.members(
        task=task, lag=17, units=6, cell=cell, batch=32, sequences=64, every=10, **knobs
    )
    assert member.length < STEPS
    return member


def program(
    member: Member,
    cls: type[Program] = Program,
    together: bool = True,
    steps: tuple[int, int] = (STEPS, EVALUATION_STEPS),
) -> Program:
    """Lower it as an accelerator would get it."""
    way = ("associative", True) if together else ("while", False)
    return cls(Trainer(TrainSpec.of(member), *steps, *way), LANES)


@cache
def compiled(name: str, program: Program) -> Executables:
    """For a target."""
    code = compile_for(program, DEVICES[name])
    assert code.program.lanes == LANES
    return code


def loops(
    name: str, program: Program, trips: tuple[int, int] = (STEPS, EVALUATION_STEPS)
) -> tuple[list[TimeLoop], list[TimeLoop]]:
    """The loops over time of a training program, forward and back, and of an
    evaluation, as compiled for a target.

    trips: how often they run.
    """
    code = compiled(name, program)
    train = code.train_chunk.as_text()
    evaluate = code.evaluate.as_text()
    return time_loops(train, trips[0]), time_loops(evaluate, trips[1])


def check(
    name: str,
    program: Program,
    forward: int,
    back: int,
    draws: int = 0,
    trips: tuple[int, int] = (STEPS, EVALUATION_STEPS),
    sums: int = 0,
) -> None:
    """Each row of a buffer is touched alone, devices never wait for each other, and a
    time step has few kernels.

    draws: loops over time in which the task draws its sequences; kernels are not
    counted then, as it is not told whose they are. sums: loops in which the task adds
    up whole sequences.
    """
    training, evaluation = loops(name, program, trips)
    for each in (training, evaluation) if sums else ():
        added = [loop for loop in each if loop.whole]
        assert len(added) == sums
        each[:] = [loop for loop in each if loop not in added]
    assert (len(training), len(evaluation)) == (2 + draws, 1 + draws)
    for loop in training + evaluation:
        assert not loop.whole
        assert not loop.collectives
    for loop, most in (
        zip(training + evaluation, (forward, back, forward), strict=True)
        if not draws
        else ()
    ):
        assert len(loop.kernels) <= most

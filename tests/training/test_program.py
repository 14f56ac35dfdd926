"""The compiled program: what a chunk and an evaluation leave in a lane, and as many
lanes as the memory holds."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from training_checks import ONE, member, programs

from memcap.rule import Stream
from memcap.training import program as program_module
from memcap.training.host import (
    empty_state,
    eval_operands,
    initial_state,
    train_operands,
)
from memcap.training.program import Program, compile_to_fit, compiled, needed_memory

pytestmark = pytest.mark.usefixtures("quick_file")


ONE_MEMBER = member(budget=25)
PROGRAM = Program.of(ONE_MEMBER)


def rows(value):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], value)


START = rows(initial_state(PROGRAM.trainer, ONE_MEMBER))
OPERANDS = rows(train_operands(PROGRAM.trainer, ONE_MEMBER))
EVALUATION = rows(eval_operands(ONE_MEMBER, Stream.EVALUATE)[0])


def test_an_empty_lane_takes_no_step():
    empty = rows(empty_state(PROGRAM.trainer))
    states, losses = compiled(PROGRAM).train_chunk(empty, OPERANDS)
    assert int(states.step[0]) == 0
    assert not np.asarray(losses).any()


# Memory


@pytest.mark.breadth
def test_as_many_lanes_as_the_memory_holds():
    many = [member(seed=seed) for seed in range(16)]
    (wide,) = programs(many, replace(ONE, loop="associative", lanes=0))
    program_module._jobs.clear()
    code = compiled(wide)
    assert (code.program, wide.lanes) == (wide, 16)
    room = needed_memory(code.program, code.train_chunk, code.evaluate)
    for share, least, most in ((0.5, 5, 8), (1e-9, 1, 1)):
        code = compile_to_fit(wide, share * room)
        assert least <= code.program.lanes <= most
        needed = needed_memory(code.program, code.train_chunk, code.evaluate)
        assert needed <= share * room or most == 1


def test_a_chunk_ends_at_the_budget():
    states = START
    steps = []
    for _ in range(4):
        states, losses = compiled(PROGRAM).train_chunk(states, OPERANDS)
        states = jax.tree.map(np.array, states)
        steps.append((int(states.step[0]), int((np.asarray(losses) > 0).sum())))
    assert steps == [(10, 10), (20, 10), (25, 5), (25, 0)]


def test_an_evaluation_that_is_not_wanted_is_no_number():
    none = EVALUATION._replace(blocks=np.zeros(1, np.int32))
    for operands, is_number in ((none, False), (EVALUATION, True)):
        scores = compiled(PROGRAM).evaluate(START.params, operands)
        assert np.isfinite(scores.mean).all() == is_number

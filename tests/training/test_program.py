"""The compiled program: what a chunk and an evaluation leave in a lane, and as many
lanes as the memory holds."""

from concurrent.futures import Future
from dataclasses import replace

import jax
import numpy as np
import pytest
from training_checks import ONE, member, programs

from memcap.own.task import Data
from memcap.rule import Stream
from memcap.training import program as program_module
from memcap.training.operands import (
    empty_state,
    eval_operands,
    initial_state,
    train_operands,
)
from memcap.training.program import Program, compile_to_fit, compiled, needed_memory

pytestmark = pytest.mark.usefixtures("quick_file")


def rows(value):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], value)


def test_a_chunk_ends_at_the_budget():
    one = member(recipe={"budget": 25})
    program = Program.of(one)
    states = rows(initial_state(program.trainer, one))
    steps = []
    for _ in range(4):
        states, losses = compiled(program).train_chunk(
            states, rows(train_operands(program.trainer, one))
        )
        states = jax.tree.map(np.array, states)
        steps.append((int(states.step[0]), int((np.asarray(losses) > 0).sum())))
    assert steps == [(10, 10), (20, 10), (25, 5), (25, 0)]


def test_an_empty_lane_takes_no_step():
    one = member()
    program = Program.of(one)
    states, losses = compiled(program).train_chunk(
        rows(empty_state(program.trainer)), rows(train_operands(program.trainer, one))
    )
    assert int(states.step[0]) == 0
    assert not np.asarray(losses).any()


def test_an_evaluation_that_is_not_wanted_is_no_number():
    one = member()
    program = Program.of(one)
    operands = eval_operands(program.trainer, one, Stream.EVALUATE)
    params = rows(initial_state(program.trainer, one)).params
    assert np.isnan(
        compiled(program).evaluate(params, rows(operands._replace(blocks=np.int32(0))))
    )
    assert np.isfinite(compiled(program).evaluate(params, rows(operands)))


@pytest.mark.breadth
def test_the_first_chunk_does_not_wait_for_the_evaluation_to_compile(monkeypatch):
    one = member()
    later = []

    class Beside:
        def submit(self, work):
            later.append((Future(), work))
            return later[0][0]

    monkeypatch.setattr(program_module, "_beside", Beside())
    program = Program.of(one)
    code = compile_to_fit(program, np.inf)
    states, _ = code.train_chunk(
        rows(initial_state(program.trainer, one)),
        rows(train_operands(program.trainer, one)),
    )
    assert int(states.step[0]) == 10
    ((promised, work),) = later
    promised.set_result(work())
    assert np.isfinite(
        code.evaluate(
            states.params, rows(eval_operands(program.trainer, one, Stream.EVALUATE))
        )
    )
    assert (
        code.seconds
        == promised.result()[1] - code.started
        > code.train_ready - code.started
        > 0
    )


# Memory


@pytest.mark.breadth
def test_as_many_lanes_as_the_memory_holds(monkeypatch):
    many = [member(seed=seed) for seed in range(16)]
    (wide,) = programs(many, replace(ONE, loop="associative", lanes=0))
    assert wide.lanes == 16
    code = compiled(wide)
    assert code.program == wide
    room = needed_memory(code.program, code.train_chunk, code.evaluate)
    for share, least, most in ((0.5, 5, 8), (1e-9, 1, 1)):
        monkeypatch.setattr(
            program_module, "device_memory", lambda share=share: share * room
        )
        program_module._jobs.clear()
        code = compiled(wide)
        assert least <= code.program.lanes <= most
        if most > 1:
            assert (
                needed_memory(code.program, code.train_chunk, code.evaluate)
                <= share * room
            )
        monkeypatch.undo()
    program_module._jobs.clear()


def test_fewer_programs_are_kept_if_each_holds_a_large_file(monkeypatch):
    members = [member("data", model={"units": units}) for units in range(1, 6)]
    monkeypatch.setattr(program_module, "_compile", lambda program: program)
    for times, kept in ((0.5, 2), (3.5, 3), (64, 5)):
        program_module._jobs.clear()
        limit = int(times * Data().file_content.inputs.nbytes)
        monkeypatch.setattr(program_module, "MAX_CONSTANTS", limit)
        programs_of_all = [compiled(Program.of(each)) for each in members]
        assert [*program_module._jobs] == programs_of_all[-kept:]
    program_module._jobs.clear()


def test_a_cpu_sets_no_limit():
    assert program_module.device_memory() == np.inf

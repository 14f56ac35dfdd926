"""The compiled program: what a chunk and an evaluation leave in a lane, and as many lanes as the memory
holds."""

from concurrent.futures import Future
from dataclasses import replace

import jax
import numpy as np
from training_checks import ONE, member, programs

from memcap.training import program as program_module
from memcap.training.program import Program, compiled, fitted, needed_memory


def rows(value):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], value)


def test_a_chunk_ends_at_the_budget():
    one = member(recipe={"budget": 25})
    program = Program.of(one)
    lane, steps = rows(program.trainer.fresh(one)), []
    for _ in range(4):
        lane, losses = compiled(program).advance(lane, rows(program.trainer.operands(one)))
        lane = jax.tree.map(np.array, lane)
        steps.append((int(lane.progress.step[0]), int((np.asarray(losses) > 0).sum())))
    assert steps == [(10, 10), (20, 10), (25, 5), (25, 0)]


def test_an_empty_lane_takes_no_step():
    one = member()
    program = Program.of(one)
    lane, losses = compiled(program).advance(
        rows(program.trainer.blank()), rows(program.trainer.operands(one))
    )
    assert int(lane.progress.step[0]) == 0
    assert not np.asarray(losses).any()


def test_an_evaluation_that_is_not_wanted_is_no_number():
    one = member()
    program = Program.of(one)
    asked = program.trainer.held_out(one, 0)
    weights = rows(program.trainer.fresh(one)).weights
    assert np.isnan(compiled(program).evaluate(weights, rows(asked._replace(blocks=np.int32(0)))))
    assert np.isfinite(compiled(program).evaluate(weights, rows(asked)))


def test_the_first_chunk_does_not_wait_for_the_evaluation_to_compile(monkeypatch):
    one, later = member(), []

    class Beside:
        def submit(self, work):
            later.append((Future(), work))
            return later[0][0]

    monkeypatch.setattr(program_module, "_beside", Beside())
    program = Program.of(one)
    code = fitted(program, np.inf)
    lane, _ = code.advance(rows(program.trainer.fresh(one)), rows(program.trainer.operands(one)))
    assert int(lane.progress.step[0]) == 10
    ((promised, work),) = later
    promised.set_result(work())
    assert np.isfinite(code.evaluate(lane.weights, rows(program.trainer.held_out(one, 0))))
    assert code.seconds == promised.result()[1] - code.since > code.then - code.since > 0


# Memory


def test_as_many_lanes_as_the_memory_holds(monkeypatch):
    many = [member(seed=seed) for seed in range(64)]
    (wide,) = programs(many, replace(ONE, batching="vmap", lanes=0))
    assert wide.lanes == 64
    code = compiled(wide)
    assert code.program == wide
    room = needed_memory(code.program, code.advance, code.evaluate)
    for share, least, most in ((1.0, 64, 64), (0.5, 20, 32), (1e-9, 1, 1)):
        monkeypatch.setattr(program_module, "device_memory", lambda share=share: share * room)
        program_module._jobs.clear()
        code = compiled(wide)
        assert least <= code.program.lanes <= most
        if most > 1:
            assert needed_memory(code.program, code.advance, code.evaluate) <= share * room
        monkeypatch.undo()
    program_module._jobs.clear()


def test_a_cpu_sets_no_limit():
    assert program_module.device_memory() == np.inf

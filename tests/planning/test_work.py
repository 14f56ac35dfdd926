"""The masked loops do no work that grows with the buffer at a step, however many
lengths lie side by side."""

import jax
import pytest
from breadth import leave
from hlo import time_loops

import memcap
from memcap.training.program import Program
from memcap.training.step import Trainer, TrainSpec

T = 37  # no other size is
NETS = [("windows", "lstm"), ("windows", "GRUCell")]
NETS += [(task, cell) for task in ("latch", "adding") for cell in ("lstm", "GRUCell")]


def of_the_buffer(task, cell, way):
    """Kinds of operations in loops over time that make an array with an axis of T,
    other than by replacing a row of it, in the training that XLA compiles for a CPU."""
    (member,) = memcap.members(task=task, lag=9, units=5, cell=cell, batch=3)
    trainer = Trainer(TrainSpec.of(member), T, T, *way)
    states, operands, _ = Program(trainer, lanes=3).example()
    training = jax.jit(jax.vmap(trainer.train_chunk)).lower(states, operands)
    loops = time_loops(training.compile().as_text(), T)
    assert len(loops) == 2  # forward and back
    return {operation.op for loop in loops for operation in loop.whole}


@pytest.mark.parametrize(("task", "cell"), [NETS[0], *leave(NETS[1:])])
def test_a_step_reads_and_writes_its_own_row_of_a_buffer(task, cell):
    """It selects and copies no buffer: that would make each step cost as much as the
    sequence is long."""
    assert of_the_buffer(task, cell, ("associative", True)) == set()

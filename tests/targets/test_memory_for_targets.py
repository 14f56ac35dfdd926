"""The LSTM of 50 units at lag 50, 256 lanes a chip: what the compilers plan for it beside what the backward pass needs."""

import pytest
from targets_checks import NAMES

import memcap
from memcap.training.program import Program, lengths
from memcap.training.step import Shape, Trainer
from memcap.training.targets import TARGETS, compile_for

LANES, BATCH, UNITS = 256, 32, 50


@pytest.mark.parametrize("name", NAMES)
def test_training_takes_little_more_than_its_residuals(name):
    (member,) = memcap.members(task="delay_line", lag=50, units=UNITS, batch=BATCH)
    steps, _ = lengths(member)
    wanted = Program(Trainer(Shape.of(member), steps, steps, together=True), LANES * TARGETS[name].chips)
    code = compile_for(wanted, TARGETS[name])
    assert code.program.lanes == wanted.lanes
    residuals = LANES * steps * 6 * UNITS * BATCH * 4  # of one that keeps four gates, c and h; ours makes h again
    assert code.advance.memory_analysis().temp_size_in_bytes < 1.3 * residuals

"""The LSTM of 50 units at lag 50, 256 lanes a chip: its time steps, and its memory
beside what the backward pass needs."""

import pytest
from hlo import bytes_outside, time_loops
from targets_checks import NAMES

import memcap
from memcap.planning.devices import DEVICES, compile_for
from memcap.training.program import Program, lengths
from memcap.training.step import Trainer, TrainSpec

LANES = 256
BATCH = 32
UNITS = 50


# Kernels of a time step, forward and back. Nothing but an LSTM under `lax.scan` has 7
# and 7, and 12 and 23, by the same count.
MOST = {"h100": (8, 9), "v5e": (14, 18), "v5e-4": (14, 18)}


@pytest.mark.parametrize("name", NAMES)
def test_training_has_few_kernels_and_takes_little_more_than_its_residuals(name):
    (member,) = memcap.members(task="delay_line", lag=50, units=UNITS, batch=BATCH)
    steps, _ = lengths(member)
    trainer = Trainer(
        TrainSpec.of(member), steps, steps, "associative", side_by_side=True
    )
    wanted = Program(trainer, LANES * DEVICES[name].chips)
    code = compile_for(wanted, DEVICES[name])
    assert code.program.lanes == wanted.lanes
    # of one that keeps four gates, c and h; ours makes h again
    residuals = LANES * steps * 6 * UNITS * BATCH * 4
    assert code.train_chunk.memory_analysis().temp_size_in_bytes < 1.3 * residuals
    train = code.train_chunk.as_text()
    evaluate = code.evaluate.as_text()
    # sequences, outputs and their gradients; a fill of the residuals would be more than all of that
    outside = bytes_outside(train, steps)
    print(
        f"{name}: {outside / 1e6:.0f} MB a training step,"
        f" {bytes_outside(evaluate, steps) / 1e6:.0f} a block"
    )
    assert outside < residuals / 6
    loops = time_loops(train, steps)
    for loop, most in zip(loops, MOST[name], strict=True):
        assert not loop.whole
        assert not loop.collectives
        assert 3 < len(loop.kernels) <= most

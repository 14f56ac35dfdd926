"""The network as a whole: what it reads, and what it leaves (tests/test_trained.py has
streams, tests/loops/test_loops.py every cell)."""

from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from lstm_reference import quick_jit, relative_error
from model_checks import (
    OUT,
    B,
    F,
    T,
    architecture,
    random_like,
    random_weights,
    symbols,
)
from study_checks import refusal

from memcap.cells import Init

MAPS = Path("/proc/self/maps")


def random_carry(net):
    shapes = nnx.eval_shape(lambda: net.build(random_weights(net)).carry(B))
    return random_like(shapes, 1)


def run_whole(net, weights, carry, inputs, length=None, **options):
    """The carry, and outputs."""
    run = net.build(weights)
    return run(
        inputs, initial_carry=carry, seq_lengths=length, return_carry=True, **options
    )


@cache
def whole(net, **options):
    return quick_jit(partial(run_whole, net, **options))


def close(a, b, limit=1e-6):
    errors = jax.tree.map(relative_error, a, b)
    assert max(jax.tree.leaves(errors)) <= limit, errors


@pytest.mark.parametrize("cell", ["lstm", "GRUCell"])
def test_symbols_are_one_hot_reals_and_the_defaults_are_all_steps_from_zero(cell):
    net = architecture(cell)
    weights = random_weights(net)
    inputs = symbols()
    plain = quick_jit(lambda weights, inputs: run_whole(net, weights, None, inputs))(
        weights, np.eye(F, dtype=np.float32)[inputs]
    )
    start = jax.tree.map(np.zeros_like, random_carry(net))
    close(plain, whole(net)(weights, start, inputs, T))


def test_a_preset_is_refused_for_a_cell_whose_gates_are_not_known():
    net = architecture("LSTMCell")
    message = refusal(lambda: net.init(Init(forget=1.0), [0]))
    assert message.startswith("model.cell=LSTMCell")
    assert "recipe.init=flax" in message


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile")
@pytest.mark.skipif(not MAPS.exists(), reason="nobody says how much memory is mapped")
def test_a_width_that_was_drawn_leaves_nothing_behind():
    """Linux gives a process 65,530 areas of memory; a width's compiled start takes a hundred."""
    areas = []
    for units in range(1, 21):
        architecture("SimpleCell", units=units).init(None, [units])
        areas.append(MAPS.read_bytes().count(b"\n"))
    assert areas[19] - areas[15] < 100


@pytest.mark.parametrize(
    ("cell", "readout"), [("lstm", "dense"), ("lstm", "lstm"), ("GRUCell", "dense")]
)
def test_the_last_step_alone_equals_the_last_of_every_step(cell, readout):
    net = architecture(cell, readout)
    weights = random_weights(net)
    start = random_carry(net)
    inputs = symbols()
    for length in (1, 5, T):
        end, outputs = whole(net)(weights, start, inputs, length)
        last = whole(net, return_sequences=False)
        only_end, only = last(weights, start, inputs, length)
        assert only.shape == (OUT, B)
        close(only, outputs[:, length - 1])
        close(only_end, end)

"""Bounds of an LSTM's carry: they hold what float32 nets do, and are not much wider."""

from functools import cache

import decimal_bounds
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import draw, few, seeds

import memcap
from memcap.cells.lstm import lstm_step, sigmoid
from memcap.models.export import export
from memcap.proofs.lstm import ACTIVATION, BoundedLSTM, least_margin, worst_sequence
from memcap.proofs.proof import bound
from memcap.trained import Trained

pytestmark = pytest.mark.usefixtures("quick_file")

ONE_UNIT = [
    f"atlas:latch-L{lag}" for lag in (1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)
]
run_step = jax.jit(lstm_step)


@cache
def load(name):
    """A published net, and its arrays in Keras's order."""
    net = memcap.load(name)
    return net, list(export(net.member.model, net.weights, "keras").values())


def bounded(arrays):
    return BoundedLSTM(*(array.astype(np.float64) for array in arrays))


@given(st.sampled_from(ONE_UNIT), seeds)
@few
def test_the_box_after_a_step_holds_the_float32_carries_after_it(name, seed):
    _, arrays = load(name)
    rng = np.random.default_rng(seed)
    count = 256
    symbols = rng.integers(0, len(arrays[0]), count)
    middle = rng.normal(0, [8, 0.6], (count, 2))
    carries = np.float32(np.clip(middle, [-50, -1], [50, 1]))
    # boxes of all widths around these carries, which lie anywhere in them
    sides = rng.exponential(10.0 ** rng.uniform(-9, 0.5, (1, count, 2)), (2, count, 2))
    boxes = np.stack([carries - sides[0], carries + sides[1]])
    boxes[..., 1] = np.clip(boxes[..., 1], -1, 1)
    inputs = np.eye(len(arrays[0]), dtype=np.float32)[symbols]
    carry = carries[:, :1], carries[:, 1:]
    after = np.concatenate(run_step(*arrays[:3], carry, inputs)[0], 1)
    low, high = bounded(arrays).step(boxes, symbols)
    assert ((low <= after) & (after <= high)).all()


def test_loops_round_a_gate_by_less_than_half_of_the_allowance():
    x = np.float32(np.linspace(-12, 12, 2_000_001))
    z = x.astype(np.float64)
    for loop, exact in ((jnp.tanh, np.tanh(z)), (sigmoid, 0.5 + 0.5 * np.tanh(z / 2))):
        error = np.abs(np.float64(jax.jit(loop)(x)) - exact).max()
        assert 0 < error < ACTIVATION / 2


@pytest.mark.parametrize(
    ("name", "anywhere"),
    [("atlas:latch-L20", False), ("atlas:latch-symbols=8-L8", True)],
)
def test_a_second_program_finds_the_same_margin(name, anywhere):
    net, arrays = load(name)
    task = net.member.task
    machine = task.machine if anywhere else task.machine.without_filler
    steps = net.member.length
    ours = least_margin(bounded(arrays), machine, steps)
    theirs = decimal_bounds.least_margin(arrays, task, steps, anywhere)
    # ours allows for the rounding of float32, too
    assert 0 < ours < theirs < 1.01 * ours


@given(st.sampled_from(ONE_UNIT[3::4]), seeds)
@few
def test_no_sequence_has_a_smaller_margin_than_the_bound(name, seed):
    net, arrays = load(name)
    member = net.member
    machine = member.task.machine.without_filler
    least = least_margin(bounded(arrays), machine, member.length)
    lag = 1 + seed % member.lag
    batch = draw(member.task, lag, seed=seed, steps=member.length)
    logits = net.run(batch.inputs)[0][lag + 1]
    right = logits[np.arange(len(logits)), batch.targets]
    assert (2 * right - logits.sum(1)).min() >= least
    worst, _, _ = worst_sequence(bounded(arrays), machine, member.length)
    assert least <= worst < least + 0.1


@pytest.mark.parametrize(
    ("name", "part", "array", "index", "by"),
    [
        (
            "latch-L20",
            "cell",
            "kernel",
            (2, 1),
            -8,
        ),  # a distractor shuts the forget gate
        ("latch-L50", "cell", "kernel", (3, 2), 2),  # a distractor has a candidate
        ("latch-symbols=8-L8", "cell", "kernel", (8, 0), -4),  # and an input gate
        ("latch-symbols=8-L20", "cell", "kernel", (8, 0), 2),
        ("latch-symbols=8-L20", "readout", "bias", 0, -4),
    ],
)
def test_a_net_that_is_damaged_is_refuted(name, part, array, index, by):
    net = memcap.load(f"atlas:{name}")
    machine = net.member.task.machine.without_filler
    assert bound(net, machine).verdict == "proved"
    weights = jax.tree.map(np.array, net.weights)
    weights[part][array][index] += by
    assert bound(Trained(net.member, weights), machine).counterexample

"""Bounds of an LSTM's carry: they hold what float32 nets do, and are not much wider."""

from functools import cache

import decimal_bounds
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from task_checks import draw, few, seeds

import memcap
from memcap.cells.lstm import lstm_step, sigmoid
from memcap.config.member import Member
from memcap.models.constructed import constructed
from memcap.models.export import export
from memcap.proofs.lstm import (
    ACTIVATION,
    BoundedLSTM,
    cover,
    halves,
    least_margin,
    worst_sequence,
)
from memcap.proofs.proof import bound
from memcap.tasks.latch import Latch
from memcap.trained import Trained

pytestmark = pytest.mark.usefixtures("quick_file")

ONE_UNIT = [
    f"atlas:latch-L{lag}" for lag in (1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)
]
run_step = jax.jit(lstm_step)

# A trained net of one unit, rounded. The more its h is, the less it keeps of its c, so a
# box of both is much larger than what they can be together.
ROUNDED = BoundedLSTM(
    kernel=np.array(
        [
            [3.1, -3.1, -2.3, 2.1],
            [1.7, -0.2, 1.3, 0.0],
            [-0.1, -0.4, 0.2, -0.9],
            [0.3, -0.8, 0.1, -1.2],
            [0.1, -0.5, 0.2, -0.9],
            [0.1, -0.1, 0.1, -1.2],
            [4.0, 3.0, 0.7, 2.2],
        ]
    ),
    recurrent=np.array([[-1.3, -1.8, 2.7, -2.1]]),
    bias=np.array([-0.8, 2.9, -0.1, 2.2]),
    readout=np.array([[-5.6, 5.1]]),
    readout_bias=np.array([-0.4, 0.4]),
)


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
    [("atlas:latch-L20", False), ("atlas:latch-symbols=8-L12", True)],
)
def test_a_second_program_finds_the_same_margin(name, anywhere):
    net, arrays = load(name)
    task = net.member.task
    machine = task.machine if anywhere else task.machine.without_filler
    steps = net.member.length
    ours = least_margin(bounded(arrays), machine, steps, 1)
    theirs = decimal_bounds.least_margin(arrays, task, steps, anywhere)
    # ours allows for the rounding of float32, too
    assert 0 < ours < theirs < 1.01 * ours


@given(seeds)
@few
def test_halves_and_covers_hold_what_the_boxes_held(seed):
    rng = np.random.default_rng(seed)
    boxes = np.sort(rng.normal(0, 1, (2, 40, 2)), 0)
    states = rng.choice(["a", "b"], 40)
    low, high = halves(boxes)
    assert (low[:40] == boxes[0]).all()
    assert (high[40:] == boxes[1]).all()
    assert (high[:40, 0] == boxes[1, :, 0]).all()
    assert (high[:40, 1] == low[40:, 1]).all()
    for cells, most in ((1, 2), (4, 32)):
        names, (low, high) = cover(states, boxes, cells)
        assert len(names) <= most
        for state, box in zip(states, boxes.swapaxes(0, 1), strict=True):
            inside = (low <= box[0]) & (box[1] <= high) & (names == state)[:, None]
            assert inside.all(1).any()


def test_several_boxes_prove_what_one_cannot():
    machine = Latch().machine
    one, several = (least_margin(ROUNDED, machine, 22, cells) for cells in (1, 16))
    assert one <= 0 < several <= worst_sequence(ROUNDED, machine, 22)[0]


@pytest.mark.parametrize(
    ("drift", "verdict"), [(0.0155, "proved"), (0.0165, "counterexample")]
)
def test_a_search_finds_filler_that_adds_up(drift, verdict):
    """A symbol adds -0.8 or 0.8 to c and keeps the rest, and half of the distractors add
    a little to it, the others take it off. 0.8 / 50 is 0.016, so only above that can 50
    distractors hide a symbol, and only if nearly all pull the same way."""
    model, weights = constructed(Latch(), 50)
    kernel = weights["cell"]["kernel"]
    kernel[:2, 1] = 20
    kernel[2:6, 0] = 20
    kernel[2:6, 2] = np.arctanh([drift, -drift, drift, -drift])
    net = Trained(Member(Latch(), 50, model=model), weights)
    proof = bound(net, Latch().machine)
    assert proof.verdict == verdict


@given(st.sampled_from(ONE_UNIT[3::4]), seeds)
@few
def test_no_sequence_has_a_smaller_margin_than_the_bound(name, seed):
    net, arrays = load(name)
    member = net.member
    machine = member.task.machine.without_filler
    least = least_margin(bounded(arrays), machine, member.length, 1 + seed % 3)
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
        ("latch-L50", "cell", "kernel", (3, 2), -4),  # a distractor has a candidate
        ("latch-symbols=8-L8", "cell", "kernel", (8, 0), 4),  # and an input gate
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

"""Answers that the C scores within its pass over time: as a network asks for them, at
the ends of float32, and in a training step. test_gated_native.py has sums and gradients
of all sizes."""

import re
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error

import memcap
from memcap.config.member import Engine
from memcap.loops import Targets, lstm_native
from memcap.loops.gated_native import loss_over_time
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks.copy import Copy
from memcap.training.program import Program

pytestmark = pytest.mark.skipif(
    lstm_native.IN_C.missing() is not None,
    reason=f"no native kernel: {lstm_native.IN_C.missing()}",
)


def score(model: Model) -> tuple[Any, Any]:
    """A function of a loop and weights that scores a network on a task, and weights."""
    task = Copy(items=2)
    architecture = Architecture(model, task.features, task.outputs)
    length = task.length(2)
    batch = quick_jit(lambda key: task.sample(key, 2, length, length + 3, 17))(
        jax.random.key(0)
    )
    targets = Targets(batch.targets, batch.mask, "classes")
    rng = np.random.default_rng(0)
    shapes = architecture.abstract_weights()
    weights = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes
    )

    def run(loop: str, weights: Any) -> Any:
        sums = architecture.build(weights).score(
            pass_over(batch.inputs, length), targets, loop
        )
        return sums.loss, sums

    return run, weights


def test_a_network_s_sums_and_gradients_are_those_of_xla():
    run, weights = score(Model(units=5, layers=2))
    found, expected = (
        quick_jit(jax.value_and_grad(partial(run, loop), has_aux=True))(weights)
        for loop in ("native", "while")
    )
    errors = jax.tree.map(relative_error, found, expected)
    assert max(jax.tree.leaves(errors)) < 1e-5, errors


def of_logits(
    logits: np.ndarray, target: int, due: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The sums, and the gradient of the read-out's bias, at the one step of one
    sequence, of an LSTM whose read-out sees nothing and says the logits."""
    kernel = np.zeros((1, 4), np.float32)
    bias = np.zeros(4, np.float32)
    state = np.zeros((1, 1), np.float32)
    cell = kernel, kernel, bias, np.zeros((1, len(logits)), np.float32)
    inputs = (state, state), np.zeros((1, 1), np.int32), np.int32([1, 1])
    answer = np.full((1, 1), target, np.int32), np.full((1, 1), due)

    def loss(readout_bias: Any) -> Any:
        sums = loss_over_time(lstm_native.IN_C, (*cell, readout_bias), *inputs, *answer)
        return sums[0], sums

    (_, sums), slope = jax.value_and_grad(loss, has_aux=True)(logits.astype(np.float32))
    return np.asarray(sums), np.asarray(slope)


@pytest.mark.parametrize(
    "logits",
    [
        [0.0, 0.0],
        [88.0, -88.0],
        [-1e4, 1e4],
        [1e-3, 0.0],
        np.linspace(-20, 12, 33),
        [3.0],
    ],
    ids=["equal", "far", "farther", "near", "many", "one"],
)
def test_cross_entropy_to_rounding_however_far_logits_are_apart(logits):
    wide = np.array(logits)
    for target in {0, len(logits) - 1}:
        sums, slope = of_logits(wide, target)
        shifted = wide - wide.max()
        expected = np.log(np.exp(shifted).sum()) - shifted[target]
        share = np.exp(shifted) / np.exp(shifted).sum()
        assert sums[0] == pytest.approx(expected, rel=3e-7, abs=1e-7)
        assert sums[1:].tolist() == [wide.argmax() == target, 1]
        np.testing.assert_allclose(
            slope, share - np.eye(len(wide))[target], rtol=1e-6, atol=1e-7
        )


def test_of_equal_outputs_the_first_is_the_answer_as_in_xla():
    assert [of_logits(np.float32([1, 2, 2]), target)[0][1] for target in range(3)] == [
        0,
        1,
        0,
    ]


@pytest.mark.parametrize(
    "logits", [[np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]], ids=str
)
def test_a_loss_that_is_not_finite_says_so(logits):
    assert not np.isfinite(of_logits(np.array(logits), 1)[0][0])


@pytest.mark.parametrize(
    ("task", "knobs", "calls"),
    [
        ("delay_line", {}, ["loss"]),
        ("delay_line", {"reals": True}, ["forward", "backward"]),
        ("latch", {}, ["forward", "backward"]),
    ],
    ids=["classes at every step", "values", "the last step"],
)
def test_what_a_training_step_calls(task, knobs, calls):
    """Where it is one call of C, no loss and no gradient of outputs is left to XLA."""
    (member,) = memcap.members(task=task, lag=5, units=2, **knobs)
    program = Program.of(member, Engine(loop="native"))
    state, operands, _ = program.example()

    def step(state: Any, operands: Any) -> Any:
        trainer = program.trainer
        key = jax.random.key(0)
        length = trainer.max_length
        batch = member.task.sample(key, operands.lag, operands.length, length, 8)
        return trainer.train_step(state, operands, batch)

    lane = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (state, operands)
    )
    text = str(jax.make_jaxpr(step)(*lane))
    assert re.findall(r"target_name=memcap_lstm_([a-z]+)_", text) == calls
    assert (" exp " in text) == (task == "latch")


def test_what_is_not_due_adds_nothing_not_even_a_nan():
    for logits in ([1.0, 2.0], [np.nan, 0.0]):
        sums, slope = of_logits(np.array(logits), 0, due=False)
        assert not sums.any()
        assert not slope.any()

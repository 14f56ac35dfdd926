"""Answers that the C scores within its pass over time: sums and gradients are those of outputs that XLA
scores in float64, and a training step is the same."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error

import memcap
from memcap.config import Engine
from memcap.loops import Answers, loss_and_score_sums, lstm_native
from memcap.loops.gated_native import loss_over_time
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks.base import Batch, Task
from memcap.tasks.copy import Copy
from memcap.tasks.delay_line import DelayLine
from memcap.training.program import Program

pytestmark = pytest.mark.skipif(
    lstm_native.IN_C.missing() is not None, reason=f"no native kernel: {lstm_native.IN_C.missing()}"
)
LIMIT = 1e-5
CASES: dict[str, tuple[Task, int, int, Model]] = {  # lag, sequences
    "two classes": (DelayLine(), 6, 40, Model(units=3)),
    "a GRU": (DelayLine(), 6, 33, Model(units=3, cell="GRUCell")),
    "layers, a carry of its own": (Copy(items=2), 2, 17, Model(units=5, layers=2, initial_carry="learned")),
    "more classes than a vector has": (Copy(symbols=40), 1, 32, Model(units=9)),
    "one sequence": (DelayLine(symbols=4), 5, 1, Model(units=2)),
}


def material(case: str) -> tuple[Task, Architecture, Any, Batch, int]:
    """Weights of no particular start, which answer with some certainty, and sequences with steps beyond
    their length."""
    task, lag, count, model = CASES[case]
    architecture, length = Architecture(model, task.features, task.outputs), task.length(lag)
    rng = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda leaf: 2 * rng.normal(size=leaf.shape).astype(np.float32), architecture.abstract_weights()
    )
    sample = quick_jit(lambda key: task.sample(key, lag, length, length + 3, count))
    return task, architecture, weights, sample(jax.random.key(0)), length


def by_c(architecture: Architecture, batch: Batch, length: int, weights: Any) -> tuple[Any, Any]:
    """Mean loss, and the sums, by the pass in C."""
    return mean_and_sums(architecture.build(weights), batch, length, "native")


def mean_and_sums(network: Any, batch: Batch, length: Any, loop: str, **options: Any) -> tuple[Any, Any]:
    answers = Answers(batch.targets, batch.mask, "classes")
    sums = jnp.stack(network.score(pass_over(batch.inputs, length, **options), answers, loop))
    return sums[0] / sums[2], sums


def by_xla(
    task: Task, architecture: Architecture, batch: Batch, length: int, weights: Any
) -> tuple[Any, Any]:
    """The same by XLA's loop, and the outputs."""
    network, dtype = architecture.build(weights), jax.tree.leaves(weights)[0].dtype
    carry = jax.tree.map(lambda state: state.astype(dtype), network.carry(batch.inputs.shape[1]))
    outputs = network(batch.inputs, initial_carry=carry, seq_lengths=length)
    sums = jnp.stack(loss_and_score_sums(outputs, Answers(batch.targets, batch.mask, task.loss)))
    return sums[0] / sums[2], sums


@pytest.mark.parametrize("case", CASES)
def test_sums_and_gradients_are_those_of_float64(case):
    task, architecture, weights, batch, length = material(case)
    gradient = partial(jax.value_and_grad, has_aux=True)
    (_, sums), slopes = quick_jit(gradient(partial(by_c, architecture, batch, length)))(weights)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), weights)
        of_wide = quick_jit(gradient(partial(by_xla, task, architecture, batch, length)))(wide)
    (_, expected), expected_slopes = jax.tree.map(np.asarray, of_wide)
    np.testing.assert_array_equal(sums[1:], expected[1:])
    assert sums[0] == pytest.approx(expected[0], rel=LIMIT)
    assert 0 < sums[1] < sums[2]
    assert {"layers, a carry of its own": "initial_carry"}.get(case, "readout") in slopes
    jax.tree.map(
        lambda a, b: np.testing.assert_array_less(relative_error(a, b), LIMIT), slopes, expected_slopes
    )


def of_logits(logits: np.ndarray, target: int, due: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The sums, and the gradient of the read-out's bias, at the one step of one sequence, of an LSTM whose
    read-out sees nothing and says the logits."""
    kernel, bias, state = np.zeros((1, 4), np.float32), np.zeros(4, np.float32), np.zeros((1, 1), np.float32)
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
    [[0.0, 0.0], [88.0, -88.0], [-1e4, 1e4], [1e-3, 0.0], np.linspace(-20, 12, 33), [3.0]],
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
        np.testing.assert_allclose(slope, share - np.eye(len(wide))[target], rtol=1e-6, atol=1e-7)


def test_of_equal_outputs_the_first_is_the_answer_as_in_xla():
    assert [of_logits(np.float32([1, 2, 2]), target)[0][1] for target in range(3)] == [0, 1, 0]


def test_what_is_not_due_adds_nothing_not_even_a_nan():
    for logits in ([1.0, 2.0], [np.nan, 0.0]):
        sums, slope = of_logits(np.array(logits), 0, due=False)
        assert not sums.any()
        assert not slope.any()


@pytest.mark.parametrize("logits", [[np.nan, 0.0], [0.0, np.nan], [np.inf, 0.0], [-np.inf, -np.inf]], ids=str)
def test_a_loss_that_is_not_finite_says_so(logits):
    assert not np.isfinite(of_logits(np.array(logits), 1)[0][0])


@pytest.mark.parametrize("width", [7, 40])
def test_units_that_only_pad_have_no_gradient(width):
    """Also where all units together would be summed up in another way than those that count."""
    _, architecture, weights, batch, length = material("two classes")
    wider = architecture.at_width(width)

    def loss(weights: Any) -> jax.Array:
        return mean_and_sums(wider.build(weights), batch, length, "native", num_units=jnp.int32(3))[1][0]

    slopes = quick_jit(jax.grad(loss))(architecture.resized(weights, width))
    alone = quick_jit(jax.grad(lambda weights: by_c(architecture, batch, length, weights)[1][0]))(weights)
    padded = architecture.resized(jax.tree.map(np.asarray, alone), width)
    jax.tree.map(np.testing.assert_array_equal, slopes, padded)


@pytest.mark.parametrize("length", [-1, 0, 4, 99])
def test_answers_after_the_length_are_left_out(length):
    """And the length ends where the buffer does."""
    _, architecture, weights, batch, _ = material("two classes")
    steps = len(batch.inputs)
    everywhere = batch._replace(mask=jnp.ones_like(batch.mask))
    within_length = batch._replace(
        mask=jnp.broadcast_to(jnp.arange(steps)[:, None] < length, batch.mask.shape)
    )
    within = min(max(length, 0), steps)
    sums = by_c(architecture, everywhere, length, weights)[1]
    assert sums[2] == within * batch.inputs.shape[1]
    np.testing.assert_array_equal(sums, by_c(architecture, within_length, steps, weights)[1])


def test_targets_that_are_none_of_the_outputs_count_as_in_xla():
    task, architecture, weights, batch, length = material("more classes than a vector has")
    strange = jnp.where(
        batch.targets % 3 == 0, -1, jnp.where(batch.targets % 3 == 1, task.outputs, 2**31 - 1)
    )
    odd = batch._replace(targets=strange)
    expected = by_xla(task, architecture, odd, length, weights)[1]
    np.testing.assert_allclose(by_c(architecture, odd, length, weights)[1], expected, rtol=LIMIT)


def test_members_side_by_side_equal_one_after_another():
    _, architecture, weights, batch, length = material("two classes")
    gradient = quick_jit(jax.grad(lambda weights: by_c(architecture, batch, length, weights)[0]))
    members = [weights, jax.tree.map(lambda leaf: -leaf, weights)]
    together = jax.vmap(gradient)(jax.tree.map(lambda *leaves: np.stack(leaves), *members))
    for k, member in enumerate(members):
        alone = jax.tree.map(lambda leaf, k=k: leaf[k], together)
        jax.tree.map(np.testing.assert_array_equal, alone, gradient(member))


def test_what_it_does_not_serve_is_by_xla():
    task, architecture, weights, batch, length = material("two classes")

    def text(network: Any, loop: str = "native") -> str:
        return str(jax.make_jaxpr(lambda: mean_and_sums(network, batch, length, loop))())

    assert "memcap_lstm_loss" in text(architecture.build(weights))
    assert "memcap_lstm" not in text(architecture.build(weights), "while")
    top = Architecture(Model(units=3, readout="lstm"), task.features, task.outputs)
    assert "memcap_lstm_loss" not in text(top.network())
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), weights)
        assert "memcap_lstm" not in text(architecture.build(wide))


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
        key, length = jax.random.key(0), trainer.max_length
        batch = member.task.sample(key, operands.lag, operands.length, length, 8)
        return trainer.train_step(state, operands, batch)

    lane = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (state, operands))
    text = str(jax.make_jaxpr(step)(*lane))
    assert re.findall(r"target_name=memcap_lstm_([a-z]+)_", text) == calls
    assert (" exp " in text) == (task == "latch")

"""Weights as one vector, counts of numbers and bits, and training, for cells of complex
numbers and of other float types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from lstm_reference import quick_jit
from task_checks import draw

from memcap.cells.registry import count
from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks.latch import Latch
from memcap.training.operands import initial_state, train_operands
from memcap.training.step import Trainer, TrainSpec

F = 3
U = 5
OUT = 2
T = 6
B = 4
DIAGONAL, CLOCKED, LEAKY = (
    f"odd_cells:{name}" for name in ("Diagonal", "Clocked", "Leaky")
)
BF16 = jnp.dtype(jnp.bfloat16)


def architecture(cell: str, readout: str = "dense", units: int = U) -> Architecture:
    return Architecture(Model(cell, units, readout), F, OUT)


def random_weights(net: Architecture):
    rng = np.random.default_rng(0)

    def draw(leaf):
        numbers = rng.standard_normal(leaf.shape) * 0.5
        if leaf.dtype == np.complex64:
            numbers = numbers + 0.5j * rng.standard_normal(leaf.shape)
        return numbers.astype(leaf.dtype)

    return jax.tree.map(draw, net.abstract_weights())


DTYPES = {
    "lstm": {np.dtype(np.float32)},
    DIAGONAL: {np.dtype(np.complex64), np.dtype(np.float32)},
    CLOCKED: {BF16, np.dtype(np.float32)},
}


@pytest.mark.parametrize("readout", ["dense", "lstm"])
@pytest.mark.parametrize("cell", DTYPES)
def test_weights_come_back_from_their_vector_as_they_were(cell, readout):
    net = architecture(cell, readout)
    weights = random_weights(net)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == DTYPES[cell]
    vector = net.flatten(weights)
    assert vector.dtype == np.float32
    assert vector.shape == (net.parameters(),)
    # no part is there twice, and none is lost
    assert len(np.unique(vector)) > 0.9 * len(vector)
    for back in (net.unflatten(vector), jax.jit(net.unflatten)(vector)):
        assert jax.tree.structure(back) == jax.tree.structure(weights)
        for found, leaf in zip(
            jax.tree.leaves(back), jax.tree.leaves(weights), strict=True
        ):
            assert found.dtype == leaf.dtype
            np.testing.assert_array_equal(found, leaf)


@pytest.mark.breadth
def test_an_own_start_has_each_parameter_s_dtype():
    for cell in (DIAGONAL, CLOCKED):
        net = architecture(cell)
        weights = net.init(None, [3])
        assert jax.tree.map(lambda leaf: leaf.dtype, weights) == jax.tree.map(
            lambda leaf: leaf.dtype, net.abstract_weights()
        )
        assert np.isfinite(net.flatten(weights)).all()


@pytest.mark.parametrize(
    ("cell", "parameters", "carry", "numbers_per_unit", "bits_per_unit"),
    [
        ("lstm", 4 * U * (F + U + 1), 2 * U, 2, 64),
        ("GRUCell", 3 * U * (F + U + 1), U, 1, 32),
        ("urnn", (3 + 4 + 1 + 2 * F) * U, 2 * U, 2, 64),
        ("slstm", 4 * U * (F + U + 1), 4 * U, 4, 128),
        ("minGRU", 2 * U * (F + 1), U, 1, 32),
        ("minLSTM", 3 * U * (F + 1), U, 1, 32),
        ("LRU", 2 * F * U + 3 * U, 2 * U, 2, 64),
        ("selective_LRU", 3 * F * U + 4 * U, 2 * U, 2, 64),
        (LEAKY, F * U, U, 1, 32),
        (
            DIAGONAL,
            2 * (F * U + U + U),
            2 * U,
            2,
            64,
        ),  # a complex number is two real ones
        (
            CLOCKED,
            F * U + U * U + U,
            U + 1,
            1,
            32,
        ),  # the clock is one number, however many units read it
        ("odd_cells:HalfLSTM", 4 * U * (F + U + 1), 2 * U, 2, 32),
    ],
)
def test_what_is_counted(cell, parameters, carry, numbers_per_unit, bits_per_unit):
    net = architecture(cell)
    readout = OUT * (net.model.hidden + 1)
    assert (
        net.parameters()
        == parameters + readout
        == net.flatten(random_weights(net)).size
    )
    assert net.carry_numbers() == carry
    assert count(cell, F)[:2] == (numbers_per_unit, bits_per_unit)


def test_the_gradient_through_complex_weights_is_that_of_their_two_parts():
    """Central differences in every real and every imaginary part; float32 leaves them
    about 1e-4 of the largest slope."""
    net = architecture(DIAGONAL)
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((T, B, F)).astype(np.float32)
    wanted = rng.standard_normal((OUT, T, B)).astype(np.float32)

    def mean_error(vector):
        return jnp.mean(
            (net.build(net.unflatten(vector))(inputs, seq_lengths=T - 1) - wanted) ** 2
        )

    vector = net.flatten(random_weights(net))
    loss = quick_jit(mean_error)
    found = np.asarray(quick_jit(jax.grad(mean_error))(vector))
    assert found.dtype == np.float32
    steps = 0.01 * np.eye(len(vector), dtype=np.float32)
    differences = np.array(
        [(loss(vector + step) - loss(vector - step)) / 0.02 for step in steps]
    )
    np.testing.assert_allclose(
        found, differences, atol=1e-3 * np.abs(differences).max()
    )
    assert np.all(np.abs(found) > 0)


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
@pytest.mark.parametrize("cell", leave([DIAGONAL, CLOCKED]))
def test_steps_of_adam_lower_the_loss(cell, together):
    recipe = Recipe(
        name="forget_bias",
        init="flax",
        lr=0.01,
        schedule="constant",
        warmup=0,
        batch=32,
    )
    member = Member(Latch(distractors=0), 3, model=Model(cell, U), recipe=recipe)
    loop = "masked" if together else "while"
    trainer = Trainer(
        TrainSpec.of(member), member.length, member.length, loop, side_by_side=together
    )
    batch = draw(member.task, member.lag, member.length, steps=member.length, batch=32)
    update = jax.jit(trainer.train_step)
    state = initial_state(trainer, member)
    operands = train_operands(trainer, member)
    losses = []
    for _ in range(30):
        state, loss = update(state, operands, batch)
        losses.append(float(loss))
    assert state.step == 30
    assert state.params.dtype == np.float32
    assert losses[-1] < 0.8 * losses[0]

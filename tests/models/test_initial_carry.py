"""A learned initial carry: where it begins, its gradient against NumPy in float64,
units that pad, and a task that needs it."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error
from model_checks import OUT, B, F, T, U, architecture, random_weights, reals

import memcap
from memcap.cells import Init, cell_class
from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.loops import loops
from memcap.models.export import export
from memcap.studies.verify import verify
from memcap.training.host import initial_state, train_operands, weights_of
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")
LEARNED = {"initial_carry": "learned"}


@pytest.mark.parametrize(
    "cell",
    [
        "lstm",
        *leave(
            [
                "mlstm",
                "LSTMCell",
                "odd_cells:Clocked",
                "odd_cells:HalfLSTM",
                "lstm+bfloat16",
                "LRU+bfloat16",
            ]
        ),
    ],
)
def test_it_begins_at_the_cell_s_own_and_counts_as_many_parameters(cell):
    fixed = architecture(cell, layers=2)
    learned = architecture(cell, layers=2, **LEARNED)
    init = None if cell_class(cell).gates is None else Init()
    weights = learned.init(init, [3])
    start = weights.pop("initial_carry")
    jax.tree.map(np.testing.assert_array_equal, weights, fixed.init(init, [3]))
    whole = weights | {"initial_carry": start}
    jax.tree.map(
        partial(np.testing.assert_array_equal, strict=True),
        fixed.build(weights).carry(B),
        learned.build(whole).carry(B),
    )
    clocks = 2 * cell.endswith("Clocked")
    assert learned.parameters() == fixed.parameters() + fixed.carry_numbers() - clocks
    assert len(learned.flatten(whole)) == learned.parameters()


def test_decay_spares_it():
    """Of adamw; also where it is a matrix."""
    learned = architecture("delta_net", **LEARNED)
    marks = learned.unflatten(learned.matrix_mask())
    assert not any(part.any() for part in marks["initial_carry"]["cell"].values())
    assert marks["cell"]["key"].all()
    assert not marks["readout"]["bias"].any()


@pytest.mark.breadth
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("readout", ["dense", "lstm"])
def test_its_gradient_is_that_of_single_steps_in_float64(readout, windows):
    """By each loop that serves, from numbers that are not zero. A first window that
    begins with the sequence cuts nothing of it; the second cuts all that comes
    after."""
    net = architecture(readout=readout, **LEARNED)
    weights = random_weights(net)
    inputs = reals()
    d_outputs = np.random.default_rng(1).standard_normal((T, B, OUT))
    starts = jnp.arange(T) % 4 == 0 if windows else None

    def by_steps(weights):
        network = net.build(weights)
        total = 0.0
        carry = network.carry(B)
        for t, x in enumerate(inputs):
            carry = jax.lax.stop_gradient(carry) if windows and t == 4 else carry
            carry, outputs = network.step(carry, x)
            total += jnp.sum(outputs * d_outputs[t])
        return total

    with jax.enable_x64(True):
        wide = jax.tree.map(np.float64, weights)
        slopes = quick_jit(jax.grad(by_steps))(wide)["initial_carry"]
        expected = jax.tree.map(np.asarray, slopes)

    def loss(weights, loop):
        over = pass_over(jnp.asarray(inputs), starts=starts)
        _, outputs = net.build(weights).run(over, loop)
        return jnp.sum(outputs * np.moveaxis(d_outputs, -1, 0))

    names = {loop.name for loop in loops() if not loop.missing()}
    assert {"plain", "while", "masked"} <= names
    slopes = quick_jit(
        lambda weights: {name: jax.grad(loss)(weights, name) for name in names}
    )(weights)
    for name in names:
        errors = jax.tree.map(relative_error, slopes[name]["initial_carry"], expected)
        assert max(jax.tree.leaves(errors)) < 1e-5, name


@pytest.mark.breadth
@pytest.mark.parametrize("cell", ["lstm", "GRUCell"])
def test_units_that_pad_keep_a_carry_of_zero(cell):
    """Those of units that a member has not never move."""
    settings = {"cell": cell, "units": U, "layers": 2, "recipe": "forget_bias"}
    settings |= {"budget": 10, "batch": 16}
    (one,) = memcap.members(task="delay_line", lag=2, **settings, **LEARNED)
    alone = Program.of(one, Engine(loop="masked")).trainer
    wide = replace(alone, spec=alone.spec.at_width(U + 2))

    def trained(trainer):
        state = initial_state(trainer, one)
        state, _ = jax.jit(trainer.train_chunk)(state, train_operands(trainer, one))
        return np.asarray(state.params)

    narrow = trained(alone)
    padded = trained(wide)
    weights = wide.spec.architecture.unflatten(padded)
    for part in jax.tree.leaves(weights["initial_carry"]):
        assert part.shape == (U + 2,)
        assert not part[U:].any()
    back = one.architecture.flatten(weights_of(wide, one, padded))
    np.testing.assert_allclose(back, narrow, rtol=1e-4, atol=1e-5)
    moved = one.architecture.unflatten(narrow)["initial_carry"]["cell"].values()
    assert all(np.all(np.abs(part) > 1e-4) for part in moved)


@pytest.mark.breadth
def test_flax_takes_it_as_documented():
    net = architecture(**LEARNED)
    weights = random_weights(net)
    arrays = export(net.model, weights, "flax")
    cell = nnx.OptimizedLSTMCell(F, U, rngs=nnx.Rngs(0))
    for place in ("dense_i.kernel", "dense_h.kernel", "dense_h.bias"):
        layer, name = place.split(".")
        getattr(getattr(cell, layer), name)[...] = arrays[f"cell.{place}"]
    parts = [arrays[f"initial_carry.cell.part_{k}"] for k in (0, 1)]
    carry = tuple(jnp.tile(part, (B, 1)) for part in parts)
    inputs = reals()
    hidden = nnx.RNN(cell, time_major=True)(inputs, initial_carry=carry)
    outputs = hidden @ arrays["readout.kernel"] + arrays["readout.bias"]
    ours = np.moveaxis(net.build(weights)(inputs), 0, -1)
    np.testing.assert_allclose(ours, outputs, atol=1e-5)


@pytest.mark.breadth
def test_a_trained_net_of_layers_is_stored_and_starts_from_it(tmp_path):
    settings = {"units": 2, "layers": 2, "readout": "lstm", "budget": 20, "batch": 8}
    settings |= {"every": 20, "sequences": 16, "stretch": 1, "seed": 1}
    members = memcap.members(task="delay_line", lag=2, **settings, **LEARNED)
    engine = Engine(loop="while", workers=1)
    rows = memcap.train(members, tmp_path, engine=engine, progress=False)
    row = rows.row(0, named=True)
    # two layers and a read-out of two units each, which see two numbers; and their carries
    assert row["carry_numbers"] == 3 * (2 + 2)
    assert row["parameters"] == 3 * 8 * (2 + 2 + 1) + row["carry_numbers"]
    assert not verify(tmp_path).wrong
    net = memcap.load(tmp_path, row["key"])
    assert "2 units of lstm in each of 2 layers" in repr(net)

    carry = net.initialize_carry(3)
    start = jax.tree.leaves(net.weights["initial_carry"])
    same = [np.tile(part, (3, 1)) for part in start]
    jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(carry), same)
    assert all(map(np.all, start))
    bits = np.random.default_rng(0).integers(0, 2, (7, 3))
    outputs, _ = net.run(bits)
    close = partial(np.testing.assert_allclose, atol=1e-6)
    close(net.run(bits, carry)[0], outputs)
    close(net.step(bits[0])[0], outputs[0])
    close(net.trace(bits).outputs, outputs)


def test_windows_that_reset_the_carry_have_none():
    said = "initial_carry=learned: windows sets the carry to zero at each window"
    with pytest.raises(UserError, match=said):
        memcap.members(task="windows", lag=4, carry="reset", **LEARNED)

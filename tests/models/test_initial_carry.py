"""A learned initial carry: where it begins, its gradient against NumPy in float64,
units that pad, and a task that needs it."""

from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error

import memcap
from memcap import Batch, Facts, Task
from memcap.cells import Init, cell_class, cell_classes
from memcap.config.knobs import UserError
from memcap.config.member import Engine
from memcap.loops import loops
from memcap.models.architecture import Architecture
from memcap.models.export import export
from memcap.models.model import Model
from memcap.studies.verify import verify
from memcap.training.engine import train
from memcap.training.operands import initial_state, train_operands, weights_of
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")
T = 7
B = 3
F = 4
U = 3
OUT = 2
LEARNED = {"initial_carry": "learned"}


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: 0.7 * rng.standard_normal(leaf.shape), shapes)


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
    model = Model(cell, U, layers=2)
    fixed, learned = (
        Architecture(each, F, OUT) for each in (model, replace(model, **LEARNED))
    )
    init = None if cell_class(cell).gates is None else Init()
    weights = learned.init(init, [3])
    start = weights.pop("initial_carry")
    assert jax.tree.all(jax.tree.map(np.array_equal, weights, fixed.init(init, [3])))
    whole = weights | {"initial_carry": start}
    own, begun = (
        net.build(each).carry(B) for net, each in ((fixed, weights), (learned, whole))
    )
    assert jax.tree.structure(own) == jax.tree.structure(begun)
    for one, other in zip(jax.tree.leaves(own), jax.tree.leaves(begun), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    clocks = 2 * cell.endswith("Clocked")
    assert learned.parameters() == fixed.parameters() + fixed.carry_numbers() - clocks
    assert len(learned.flatten(whole)) == learned.parameters()


def test_decay_spares_it():
    """Of adamw; also where it is a matrix."""
    learned = Architecture(Model("delta_net", U, **LEARNED), F, OUT)
    marks = learned.unflatten(learned.matrices())
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
    net = Architecture(Model("lstm", U, readout, **LEARNED), F, OUT)
    weights = drawn(net.abstract_weights())
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((T, B, F))
    d_outputs = rng.standard_normal((T, B, OUT))
    starts = np.isin(np.arange(T), (0, 4))

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
        expected = jax.tree.map(
            np.asarray, quick_jit(jax.grad(by_steps))(weights)["initial_carry"]
        )

    def loss(weights, loop):
        over = pass_over(
            jnp.asarray(inputs, jnp.float32),
            starts=jnp.asarray(starts) if windows else None,
        )
        _, outputs = net.build(weights).run(over, loop)
        return jnp.sum(outputs * np.moveaxis(d_outputs, -1, 0))

    names = {loop.name for loop in loops() if not loop.missing()}
    assert {"plain", "while", "masked"} <= names
    single = jax.tree.map(np.float32, weights)
    slopes = quick_jit(
        lambda weights: {name: jax.grad(loss)(weights, name) for name in names}
    )(single)
    for name in names:
        errors = jax.tree.map(relative_error, slopes[name]["initial_carry"], expected)
        assert max(jax.tree.leaves(errors)) < 1e-5, name


def test_each_array_of_a_carry_that_is_padded_has_a_number_a_unit():
    for cell in (name for name, each in cell_classes().items() if each.can_pad):
        parts = Architecture(Model(cell, U, **LEARNED), F, OUT).abstract_weights()[
            "initial_carry"
        ]["cell"]
        assert {part.shape for part in parts.values()} == {(U,)}, cell


@pytest.mark.breadth
@pytest.mark.parametrize("cell", ["lstm", "GRUCell"])
def test_units_that_pad_keep_a_carry_of_zero(cell):
    """Those of units that a member has not never move."""
    settings = {
        "cell": cell,
        "units": U,
        "layers": 2,
        "recipe": "forget_bias",
        "budget": 10,
        "batch": 16,
    }
    (one,) = memcap.members(task="delay_line", lag=2, **settings, **LEARNED)
    program = Program.of(one, Engine(loop="masked"))
    wide = replace(program.trainer, spec=program.trainer.spec.at_width(U + 2))
    ended = [
        jax.jit(each.train_chunk)(initial_state(each, one), train_operands(each, one))[
            0
        ].params
        for each in (program.trainer, wide)
    ]
    narrow, padded = (np.asarray(each) for each in ended)
    for name in ("cell", "cell_2"):
        for part in wide.spec.architecture.unflatten(padded)["initial_carry"][
            name
        ].values():
            assert part.shape == (U + 2,)
            assert not part[U:].any()
    back = one.architecture.flatten(weights_of(wide, one, padded))
    np.testing.assert_allclose(back, narrow, rtol=1e-4, atol=1e-5)
    moved = one.architecture.unflatten(narrow)["initial_carry"]["cell"].values()
    assert all(np.all(np.abs(part) > 1e-4) for part in moved)


@dataclass(frozen=True)
class Fades(Task):
    """.9, .81, ... on inputs of zeros."""

    name: ClassVar[str] = "fades"
    answers: ClassVar[Literal["last", "every"]] = "every"
    loss: ClassVar[Literal["classes", "values"]] = "values"
    vocabulary: ClassVar[None] = None
    features: ClassVar[int] = 1
    outputs: ClassVar[int] = 1

    def length(self, lag):
        return 40

    def shortest(self, lag):
        return lag

    def sample(self, key, lag, length, steps, batch):
        t = jnp.arange(steps)[:, None]
        mask = jnp.broadcast_to(t < length, (steps, batch))
        return Batch(
            jnp.zeros((steps, batch, 1)), jnp.where(mask, 0.9 ** (t + 1.0), 0), mask
        )

    def facts(self, lag, length):
        return Facts(
            held=1,
            bits=1.0,
            chance=float(np.var(0.9 ** np.arange(1, length + 1))),
            threshold=0.001,
        )


@pytest.mark.breadth
def test_a_net_that_can_begin_with_nothing_else_needs_it():
    """h' = .9 h + W x: from zeros, on zeros, the bias of its read-out is all that it says."""
    common = {
        "recipe": memcap.Recipe(
            "own_start", lr=0.03, schedule="constant", budget=400, batch=1
        )
    }
    common |= {"evaluation": memcap.Evaluation(every=100, sequences=64, stretch=1)}
    models = [Model("odd_cells:Leaky", 4, **more) for more in ({}, LEARNED)]
    members = [memcap.Member(Fades(), 2, model=model, **common) for model in models]
    fixed, learned = train(members, Engine(loop="while", workers=1))
    assert fixed.score == pytest.approx(members[0].facts.chance, rel=1e-2)
    assert (fixed.status, learned.status) == ("unsolved", "solved")


@pytest.mark.parametrize("layout", ["keras", "torch"])
def test_layers_that_cannot_hold_it_are_refused(layout):
    net = Architecture(Model("lstm", U, **LEARNED), F, OUT)
    with pytest.raises(
        UserError,
        match=f"initial_carry=learned: the layers of layout {layout} have no array",
    ):
        export(net.model, net.init(Init(), [0]), layout)


@pytest.mark.breadth
def test_flax_takes_it_as_documented():
    net = Architecture(Model("lstm", U, **LEARNED), F, OUT)
    weights = jax.tree.map(np.float32, drawn(net.abstract_weights()))
    arrays = export(net.model, weights, "flax")
    cell = nnx.OptimizedLSTMCell(F, U, rngs=nnx.Rngs(0))
    for place in ("dense_i.kernel", "dense_h.kernel", "dense_h.bias"):
        layer, name = place.split(".")
        getattr(getattr(cell, layer), name)[...] = arrays[f"cell.{place}"]
    carry = tuple(
        jnp.tile(arrays[f"initial_carry.cell.part_{k}"], (B, 1)) for k in (0, 1)
    )
    inputs = np.random.default_rng(0).standard_normal((B, T, F)).astype(np.float32)
    hidden = nnx.RNN(cell)(inputs, initial_carry=carry)
    outputs = hidden @ arrays["readout.kernel"] + arrays["readout.bias"]
    ours = net.build(weights)(np.swapaxes(inputs, 0, 1))
    np.testing.assert_allclose(
        np.moveaxis(ours, 0, -1), np.swapaxes(outputs, 0, 1), atol=1e-5
    )


@pytest.mark.breadth
def test_a_trained_net_is_stored_and_starts_from_it(tmp_path):
    settings = {
        "units": 2,
        "budget": 20,
        "batch": 8,
        "every": 20,
        "sequences": 16,
        "stretch": 1,
        "seed": 1,
    }
    members = memcap.members(
        task="delay_line", lag=2, readout="lstm", **settings, **LEARNED
    )
    rows = memcap.train(
        members, tmp_path, engine=Engine(loop="while", workers=1), progress=False
    )
    row = rows.row(0, named=True)
    assert row["initial_carry"] == "learned"
    assert (row["carry_numbers"], row["parameters"]) == (
        2 * (2 + 2),
        8 * (2 + 2 + 1) + 8 * (2 + 2 + 1) + 8,
    )
    assert not verify(tmp_path).wrong
    net = memcap.load(tmp_path, row["key"])
    start = net.weights["initial_carry"]
    (c, h), (c_top, h_top) = net.initialize_carry(3)
    for each, (layer, part) in zip(
        (c, h, c_top, h_top),
        product(("cell", "readout"), ("part_0", "part_1")),
        strict=True,
    ):
        np.testing.assert_array_equal(each, np.tile(start[layer][part], (3, 1)))
        assert np.all(start[layer][part] != 0)
    bits = np.random.default_rng(0).integers(0, 2, (5, 3))
    outputs, _ = net.run(bits)
    np.testing.assert_allclose(net.trace(bits).outputs, outputs, atol=1e-5)
    zeros = jax.tree.map(np.zeros_like, net.initialize_carry(3))
    assert np.abs(net.run(bits, zeros)[0] - outputs).max() > 1e-3


def test_windows_that_reset_the_carry_have_none():
    with pytest.raises(
        UserError,
        match="initial_carry=learned: windows sets the carry to zero at each window",
    ):
        memcap.members(task="windows", lag=4, carry="reset", **LEARNED)

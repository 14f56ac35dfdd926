"""Layers one on top of another: against Flax's own RNN stacked, against single steps,
and what is counted."""

from functools import cache, partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error

import memcap
from memcap.cells import Init
from memcap.config.knobs import UserError
from memcap.loops import lstm_native
from memcap.models.architecture import Architecture
from memcap.models.export import export
from memcap.models.model import Model
from memcap.models.network import cell_names
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")

T = 6
B = 3
F = 3
U = 4
OUT = 2
LENGTH = 5
LOOPS = ("plain", "while", "masked", "native")
needs_native = pytest.mark.skipif(
    bool(lstm_native.IN_C.missing()), reason="the LSTM in C cannot run here"
)


def architecture(
    layers: int, cell: str = "lstm", readout: str = "dense", units: int = U
) -> Architecture:
    return Architecture(Model(cell, units, readout, layers), F, OUT)


@cache
def drawn(net: Architecture):
    """Weights with no zero among them, and inputs (T, B, F)."""
    rng = np.random.default_rng(0)
    shapes = net.abstract_weights()
    weights = jax.tree.map(
        lambda leaf: rng.normal(0, 0.6, leaf.shape).astype(np.float32), shapes
    )
    return weights, rng.normal(size=(T, B, F)).astype(np.float32)


def weighed(outputs):
    return jnp.sum(outputs * jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape))


def ours(net, loop, weights, inputs):
    carry, outputs = net.build(weights)(
        inputs, seq_lengths=LENGTH, return_carry=True, loop=loop
    )
    outputs = outputs[:, :LENGTH]
    return weighed(outputs), (outputs, carry)


def flax_stack(layers, arrays, inputs):
    """`flax.nnx.RNN` of LSTM cells, each on the outputs of the one before it, and
    `flax.nnx.Linear`."""
    tree = flax.traverse_util.unflatten_dict(arrays, sep=".")
    hidden = jnp.swapaxes(inputs, 0, 1)
    carries = []
    dtype = inputs.dtype
    for name, features in zip(
        cell_names(architecture(layers).model), (F, *[U] * layers), strict=False
    ):
        cell = nnx.OptimizedLSTMCell(features, U, param_dtype=dtype, rngs=nnx.Rngs(0))
        nnx.update(cell, tree[name])
        carry, hidden = nnx.RNN(cell, return_carry=True)(
            hidden, seq_lengths=jnp.full(B, LENGTH)
        )
        carries.append(carry)
    readout = nnx.Linear(U, OUT, param_dtype=dtype, rngs=nnx.Rngs(0))
    nnx.update(readout, tree["readout"])
    outputs = jnp.moveaxis(readout(hidden), (0, 1, 2), (2, 1, 0))[:, :LENGTH]
    return weighed(outputs), (outputs, tuple(carries))


@cache
def of_flax(layers):
    """Values, carries and gradients of Flax, in float64."""
    net = architecture(layers)
    with jax.enable_x64(True):
        weights, inputs = jax.tree.map(np.float64, drawn(net))
        stack = jax.grad(partial(flax_stack, layers), (0, 1), has_aux=True)
        return jax.tree.map(
            np.asarray, quick_jit(stack)(export(net.model, weights, "flax"), inputs)
        )


@pytest.mark.parametrize("loop", [*LOOPS[:2], *leave(LOOPS[2:])])
@pytest.mark.parametrize("layers", [2, *leave([3])])
def test_layers_are_flax_s_rnns_one_on_top_of_another(layers, loop):
    """In float64; the C is of float32."""
    if loop == "native" and lstm_native.IN_C.missing():
        pytest.skip("the LSTM in C cannot run here")
    net = architecture(layers)
    native = loop == "native"
    run = quick_jit(jax.grad(partial(ours, net, loop), (0, 1), has_aux=True))
    with jax.enable_x64(not native):
        dtype = np.float32 if native else np.float64
        (slopes, d_inputs), values = run(*jax.tree.map(dtype, drawn(net)))
    found = (export(net.model, slopes, "flax"), d_inputs), values
    errors = jax.tree.map(relative_error, found, of_flax(layers))
    assert max(jax.tree.leaves(errors)) <= (1e-5 if native else 1e-12), errors


@cache
def by_steps(net, reset):
    """The gradient of outputs, one step at a time: where a window begins nothing flows
    in, or no gradient back."""

    def loss(weights, inputs, starts):
        network = net.build(weights)
        carry = network.carry(B)
        outputs = []
        for x, cut in zip(inputs, starts, strict=True):
            fresh = jax.tree.map(
                jnp.zeros_like if reset else jax.lax.stop_gradient, carry
            )
            carry = jax.tree.map(
                lambda new, old, cut=cut: jnp.where(cut, new, old), fresh, carry
            )
            carry, output = network.step(carry, x)
            outputs.append(output.T)
        return weighed(jnp.stack(outputs, 1))

    return quick_jit(jax.grad(loss, (0, 1)))


@pytest.mark.parametrize("reset", leave([False, True]), ids=["cut", "reset"])
@pytest.mark.parametrize(
    ("cell", "readout", "layers"), [("lstm", "dense", 3), ("GRUCell", "lstm", 2)]
)
def test_a_window_cuts_the_carry_of_every_layer(cell, readout, layers, reset):
    net = architecture(layers, cell, readout)
    starts = np.arange(T) % 4 == 0
    weights, inputs = drawn(net)
    expected = by_steps(net, reset)(weights, inputs, starts)

    def loss(loop, weights, inputs):
        return weighed(
            net.build(weights).run(pass_over(inputs, starts=starts, reset=reset), loop)[
                1
            ]
        )

    for loop in ("while", "masked"):
        found = quick_jit(jax.grad(partial(loss, loop), (0, 1)))(weights, inputs)
        errors = jax.tree.map(relative_error, found, expected)
        assert max(jax.tree.leaves(errors)) <= 1e-5, (loop, errors)
    uncut = by_steps(net, reset)(weights, inputs, np.zeros(T, bool))
    for name in cell_names(net.model):  # so that the windows matter to each layer
        cut, whole = (
            jax.tree.leaves(slopes[0][name])[0] for slopes in (expected, uncut)
        )
        assert relative_error(cut, whole) > 1e-3


@pytest.mark.parametrize(
    ("cell", "each", "gates"),
    [("lstm", 2, 4), ("GRUCell", 1, 3), ("SimpleCell", 1, 1), ("LRU", 2, None)],
)
def test_carry_and_parameters_are_of_the_whole_net(cell, each, gates):
    for layers in (1, 2, 8):
        net = architecture(layers, cell)
        weights = net.abstract_weights()
        assert set(weights) == {*cell_names(net.model), "readout"}
        zero = jax.tree.leaves(nnx.eval_shape(lambda net=net: net.network().carry(B)))
        reals = sum(leaf.size * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in zero)
        assert net.carry_numbers() == reals // B == layers * each * U
        if gates is not None:
            first = gates * U * (F + U + 1)
            further = gates * U * (U + U + 1)
            assert net.parameters() == first + (layers - 1) * further + OUT * (U + 1)


def test_every_layer_starts_by_the_recipe_and_with_weights_of_its_own():
    weights = architecture(3).init(Init(forget=1.5, input=-0.5), [3])
    for name in ("cell", "cell_2", "cell_3"):
        bias = weights[name]["bias"].reshape(4, U)
        assert np.array_equal(bias[:, 0], [-0.5, 1.5, 0, 0])
    assert not np.array_equal(weights["cell_2"]["kernel"], weights["cell_3"]["kernel"])
    one = architecture(1).init(Init(forget=1.5, input=-0.5), [3])
    jax.tree.map(np.testing.assert_array_equal, one["cell"], weights["cell"])


def test_one_layer_has_the_key_that_it_had_and_two_have_another():
    one, same, two = (
        memcap.Member(memcap.members("latch")[0].task, 8, model=model)
        for model in (
            Model("lstm", 4),
            Model("lstm", 4, layers=1),
            Model("lstm", 4, layers=2),
        )
    )
    assert one.key == same.key != two.key
    assert "layers" not in one.config["model"]
    assert two.config["model"]["layers"] == 2
    for wrong in (0, 9):
        with pytest.raises(
            UserError, match=f"model.layers={wrong}: must be at least 1 and at most 8"
        ):
            Model(layers=wrong)


@pytest.mark.breadth
@needs_native
def test_layers_of_two_widths_train_in_one_program_in_c_as_by_xla():
    """With a curriculum, too; the narrower one padded in each layer."""
    members = memcap.members(
        task="delay_line",
        lag=2,
        units=[3, 4],
        layers=2,
        seed=1,
        budget=60,
        batch=16,
        every=20,
        sequences=64,
        recipe="curriculum",
        stretch=2,
    )
    in_c, by_xla = (
        train(members, memcap.Engine(loop=loop, workers=1))
        for loop in ("native", "while")
    )
    assert [each.program_units for each in in_c] == [4, 4]
    assert [each.loop for each in (*in_c, *by_xla)] == [
        "native",
        "native",
        "while",
        "while",
    ]
    for one, other in zip(in_c, by_xla, strict=True):
        assert one.steps == other.steps == 60
        assert jax.tree.map(np.shape, one.weights) == jax.tree.map(
            np.shape, other.weights
        )
        errors = jax.tree.map(relative_error, one.weights, other.weights)
        assert max(jax.tree.leaves(errors)) <= 1e-3, errors


@pytest.mark.breadth
def test_a_trained_net_of_layers_is_stored_loaded_and_streamed(tmp_path):
    members = memcap.members(
        task="delay_line",
        lag=2,
        units=2,
        layers=2,
        budget=20,
        batch=8,
        every=20,
        sequences=16,
        stretch=1,
    )
    rows = memcap.train(
        members, tmp_path, engine=memcap.Engine(loop="while", workers=1), progress=False
    )
    row = rows.row(0, named=True)
    assert (row["layers"], row["units"], row["carry_numbers"]) == (2, 2, 8)
    assert row["parameters"] == 8 * (2 + 2 + 1) + 8 * (2 + 2 + 1) + 2 * (2 + 1)
    net = memcap.load(tmp_path, row["key"])
    assert "2 units of lstm in each of 2 layers" in repr(net)
    bits = np.random.default_rng(0).integers(0, 2, (7, 3))
    whole, end = net.run(bits)
    carry = None
    streamed = []
    for each in bits:
        output, carry = net.step(each, carry)
        streamed.append(output)
    np.testing.assert_allclose(whole, streamed, atol=1e-6)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), end, carry)
    trace = net.trace(bits)
    # h of the last layer
    np.testing.assert_array_equal(trace.hidden, trace.carries[1][1])
    np.testing.assert_allclose(trace.outputs, whole, atol=1e-6)

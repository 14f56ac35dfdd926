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
from model_checks import OUT, B, F, T, U, architecture, random_weights, reals

from memcap.cells import Init
from memcap.loops import lstm_native
from memcap.loops.base import select
from memcap.models.export import export
from memcap.models.model import cell_names

pytestmark = pytest.mark.usefixtures("quick_file")

LENGTH = 5
LOOPS = ("plain", "while", "masked", "native")


@cache
def drawn(net):
    """Weights with no zero among them, and inputs (T, B, F)."""
    return random_weights(net), reals()


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
        cell_names(architecture(layers=layers).model), (F, *[U] * layers), strict=False
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
    net = architecture(layers=layers)
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
    net = architecture(layers=layers)
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
            fresh = jnp.zeros_like if reset else jax.lax.stop_gradient
            carry = select(cut, jax.tree.map(fresh, carry), carry)
            carry, output = network.step(carry, x)
            outputs.append(output.T)
        return weighed(jnp.stack(outputs, 1))

    return quick_jit(jax.grad(loss, (0, 1)))


@pytest.mark.parametrize("reset", leave([False, True]), ids=["cut", "reset"])
@pytest.mark.parametrize(
    ("cell", "readout", "layers"), [("lstm", "dense", 3), ("GRUCell", "lstm", 2)]
)
def test_a_window_cuts_the_carry_of_every_layer(cell, readout, layers, reset):
    net = architecture(cell, readout, layers)
    starts = np.arange(T) % 4 == 0
    weights, inputs = drawn(net)
    expected = by_steps(net, reset)(weights, inputs, starts)

    def loss(loop, weights, inputs):
        over = pass_over(inputs, starts=starts, reset=reset)
        return weighed(net.build(weights).run(over, loop)[1])

    for loop in ("while", "masked"):
        found = quick_jit(jax.grad(partial(loss, loop), (0, 1)))(weights, inputs)
        errors = jax.tree.map(relative_error, found, expected)
        assert max(jax.tree.leaves(errors)) <= 1e-5, (loop, errors)


def test_every_layer_starts_by_the_recipe_and_with_weights_of_its_own():
    init = Init(forget=1.5, input=-0.5)
    weights = architecture(layers=3).init(init, [3])
    for name in ("cell", "cell_2", "cell_3"):
        bias = weights[name]["bias"].reshape(4, U)
        assert np.array_equal(bias[:, 0], [-0.5, 1.5, 0, 0])
    assert not np.array_equal(weights["cell_2"]["kernel"], weights["cell_3"]["kernel"])
    one = architecture().init(init, [3])
    jax.tree.map(np.testing.assert_array_equal, one["cell"], weights["cell"])


@pytest.mark.parametrize(
    ("cell", "gates"), [("lstm", 4), ("GRUCell", 3), ("SimpleCell", 1), ("LRU", None)]
)
def test_carry_and_parameters_are_of_the_whole_net(cell, gates):
    """tests/models/test_architecture.py has those of one layer."""
    one = architecture(cell)
    for layers in (2, 8):
        net = architecture(cell, layers=layers)
        assert set(net.abstract_weights()) == {*cell_names(net.model), "readout"}
        assert net.carry_numbers() == layers * one.carry_numbers()
        if gates is not None:
            further = gates * U * (U + U + 1)
            assert net.parameters() == one.parameters() + (layers - 1) * further

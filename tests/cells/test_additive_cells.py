"""Cells with a matrix that decays and is added to: by chunks they are their own steps, in float64."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop
from lstm_reference import quick_jit, relative_error

from memcap import loops
from memcap.cells import cell_class, cell_classes
from memcap.cells.additive import AdditiveCell, Terms
from memcap.loops import chunkwise
from memcap.loops.chunkwise import through_chunk

F, U, B = 2, 3, 2
NAMES = [name for name, cell in cell_classes().items() if issubclass(cell, AdditiveCell)]


def test_the_cells_of_a_sum_are_these():
    assert NAMES == ["gla", "linear_attention", "mamba2", "mlstm"]


@cache
def material(name, steps):
    """The cell's graph, and weights, carry and inputs in double precision."""
    rng = np.random.default_rng(0)
    graph, weights = nnx.split(nnx.eval_shape(lambda: cell_class(name)(F, U, rngs=nnx.Rngs(0))))
    weights = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), weights)
    carry = jax.eval_shape(lambda: nnx.merge(graph, weights).initialize_carry((B, F)))
    carry = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape), carry)
    return graph, weights, carry, rng.standard_normal((steps, B, F))


def run(loop, graph, options, weights, carry, inputs):
    """Hidden states and the last carry; and the gradient of a loss to which each number adds with its own
    weight."""

    def loss(*arguments):
        weights, carry, inputs = arguments
        carry, hidden = run_loop(loop, nnx.merge(graph, weights), inputs, carry, **options)
        leaves = jax.tree.leaves((hidden, carry))
        total = sum(jnp.sum(leaf * jnp.sin(1 + jnp.arange(leaf.size)).reshape(leaf.shape)) for leaf in leaves)
        return total, (hidden, carry)

    return jax.grad(loss, (0, 1, 2), has_aux=True)(weights, carry, inputs)


def errors(name, steps, length, **options):
    """Of values and gradients by chunks, against those step by step, both in float64."""
    graph, *given = material(name, steps)
    options |= {"length": length}
    with jax.enable_x64(True):
        both = quick_jit(
            lambda *given: [run(loop, graph, options, *given) for loop in ("associative", "plain")]
        )
        found, expected = both(*given)
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(found))
    return jax.tree.leaves(jax.tree.map(relative_error, found, expected))


# A length that ends within a chunk, windows that begin with one, within one and after the length.
STARTS = np.isin(np.arange(20), (0, 3, 10, 13, 19))
READOUT = np.random.default_rng(2).standard_normal((U, 2))


CALLS = [
    {"return_sequences": False},
    {"starts": STARTS, "readout": READOUT},
    {"starts": STARTS, "reset": True},
]


@pytest.mark.parametrize("options", CALLS, ids=["last", "cut-readout", "reset"])
@pytest.mark.parametrize("name", NAMES)
def test_chunks_and_their_gradient_equal_the_steps_in_float64(name, options):
    assert chunkwise.chunk_steps(20) == 10
    assert max(errors(name, 20, 17, **options)) <= 1e-11


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_at_a_matrix_of_zeros(name):
    graph, *given = material(name, 9)
    weights, carry, inputs = jax.tree.map(np.float32, given)
    nothing = jax.tree.map(np.zeros_like, (carry, inputs))
    slopes, _ = quick_jit(lambda *given: run("associative", graph, {}, *given))(weights, *nothing)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_gradients_are_finite_where_a_great_stabiliser_is_reset():
    graph, *given = material("mlstm", 9)
    weights, ((matrix, total, largest), before), inputs = jax.tree.map(np.float32, given)
    carry, options = ((matrix, total, largest + 200), before), {"starts": np.arange(9) == 3, "reset": True}
    slopes, _ = quick_jit(lambda *given: run("associative", graph, options, *given))(weights, carry, inputs)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


@pytest.mark.parametrize("numbers", [1, 4])
def test_float32_loses_no_digits_after_much_was_forgotten(numbers):
    """Decays whose logarithms are -300 or hardly anything, against NumPy in float64, a step at a time."""
    rng, steps = np.random.default_rng(1), 12
    log_decay = rng.choice([-300, -0.01, -0.0001], (steps, B, numbers), p=[0.3, 0.4, 0.3])
    matrix, key, value, query = (
        rng.standard_normal(shape) for shape in ((B, 4, U), *[(steps, B, n) for n in (4, U, 4)])
    )
    given = matrix, log_decay, key, value, query
    terms = Terms(*(jnp.asarray(each, jnp.float32) for each in given), None)
    last, read = quick_jit(lambda terms: through_chunk(terms, None, False, True))(terms)
    given = [np.float64(np.float32(each)) for each in given]
    state, right = given[0], []
    for decay, k, v, q in zip(*given[1:], strict=True):
        state = np.exp(decay)[..., None] * state + k[..., None] * v[:, None]
        right.append((state * q[..., None]).sum(1))
    assert relative_error(last, state) < 1e-6
    assert relative_error(read, right) < 1e-6


def test_a_step_of_ones_own_is_left_to_the_loops_for_any_cell():
    class Forgetful(cell_class("gla")):
        def write(self, state, key, value, gates):
            return 0.5 * super().write(state, key, value, gates)

    assert chunkwise.LOOP.refuses(loops.Request(Forgetful, "gpu", False))
    assert chunkwise.LOOP.refuses(loops.Request(cell_class("gla+noise0.1"), "gpu", False))
    assert chunkwise.LOOP.refuses(loops.Request(cell_class("delta_net"), "gpu", False))
    for platform in ("gpu", "tpu"):
        assert loops.choose("auto", loops.Request(cell_class("gla"), platform, True)) == ("associative", True)
    assert loops.choose("reproducible", loops.Request(cell_class("gla"), "cpu", False)).loop == "while"

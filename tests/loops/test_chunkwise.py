"""Cells that go over time by chunks, or by a parallel scan: by these they are their own steps, in float64."""

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
from memcap.loops import chunkwise
from memcap.loops.chunk_terms import Terms, owner_of
from memcap.loops.chunkwise import through_chunk

F, U, B = 2, 3, 2
NAMES = [name for name, cell in cell_classes().items() if owner_of(cell)]


ADDITIVE = ["gla", "linear_attention", "mamba2", "mlstm"]
DELTA = ["delta_net", "delta_product", "gated_delta_net", "signed_delta_net"]


def test_the_cells_of_chunks_are_these():
    assert sorted(NAMES) == sorted(ADDITIVE + DELTA)


@cache
def material(name, steps):
    """The cell's graph, and weights, carry and inputs in double precision."""
    rng = np.random.default_rng(0)
    graph, weights = nnx.split(nnx.eval_shape(lambda: cell_class(name)(F, U, rngs=nnx.Rngs(0))))
    carry = jax.eval_shape(lambda: nnx.merge(graph, weights).initialize_carry((B, F)))

    def drawn(leaf):
        numbers = rng.standard_normal(leaf.shape)
        return numbers + 1j * rng.standard_normal(leaf.shape) if jnp.iscomplexobj(leaf) else numbers

    weights, carry = jax.tree.map(drawn, (weights, carry))
    return graph, weights, carry, rng.standard_normal((steps, B, F))


def run(loop, graph, options, weights, carry, inputs):
    """Hidden states and the last carry; and the gradient of a loss to which each number adds with its own
    weight."""

    def loss(*arguments):
        weights, carry, inputs = arguments
        carry, hidden = run_loop(loop, nnx.merge(graph, weights), inputs, carry, **options)
        leaves = [part for leaf in jax.tree.leaves((hidden, carry)) for part in (leaf.real, leaf.imag)]
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
        found, expected = jax.tree.map(np.asarray, both(*given))
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} <= {np.dtype("float64"), np.dtype("complex128")}
    assert jax.tree.map(lambda leaf: leaf.dtype, found) == jax.tree.map(lambda leaf: leaf.dtype, expected)
    each = [jax.tree.map(part, (found, expected)) for part in (np.real, np.imag)]
    return jax.tree.leaves([jax.tree.map(relative_error, *parts) for parts in each])


# A length that ends within a chunk, windows that begin with one, within one and after the length.
STARTS = np.isin(np.arange(20), (0, 3, 10, 13, 19))
READOUT = np.random.default_rng(2).standard_normal((U, 2))


CALLS = {
    "last": {"every": False},
    "one": {},
    "cut-readout": {"starts": STARTS, "readout": READOUT},
    "cut": {"starts": STARTS},
    "reset": {"starts": STARTS, "reset": True},
}


class Decaying(cell_class("delta_product")):
    """Two writes a step, each after a decay."""

    def log_decay(self, gates):
        return -jax.nn.softplus(gates[0])


# The others of the delta rule have the first one's chunks, but for what is here.
CHECKED = [
    (name, call) for name in (*ADDITIVE, "gated_delta_net") for call in ("last", "cut-readout", "reset")
]
CHECKED += [("delta_net", "reset"), (f"{__name__}:Decaying", "cut-readout"), ("signed_delta_net", "last")]


@pytest.mark.parametrize(("name", "call"), CHECKED)
def test_chunks_and_their_gradient_equal_the_steps_in_float64(name, call):
    assert chunkwise.chunk_steps(20) == 10
    assert max(errors(name, 20, 17, **CALLS[call])) <= 1e-11


@pytest.mark.parametrize("call", ["one", "cut", "reset"])
@pytest.mark.parametrize("name", ["minGRU", "minLSTM", "LRU", "selective_LRU"])
def test_a_parallel_scan_and_its_gradient_equal_the_steps_in_float64(name, call):
    assert max(errors(name, 20, 17, **CALLS[call])) <= 1e-12


@pytest.mark.parametrize("name", [*ADDITIVE, "gated_delta_net"])
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


def in_float32(rng, log_decay, key, strength):
    """The greatest relative error of a chunk in float32, against NumPy in float64, a write at a time."""
    writes, _, keys = key.shape
    matrix, value, query = (rng.standard_normal(each) for each in ((B, keys, U), (writes, B, U), key.shape))
    given = [np.float64(np.float32(each)) for each in (matrix, log_decay, key, value, query, strength)]
    matrix, *rows, strength = given
    last, read = quick_jit(
        lambda matrix, log_decay, key, value, query, strength: through_chunk(
            Terms(matrix, log_decay, key, value, query, None, strength if strength.ndim else None),
            None,
            False,
            True,
        )
    )(*(jnp.asarray(each, jnp.float32) for each in given))
    right = []
    for t, (decay, k, v, q) in enumerate(zip(*rows, strict=True)):
        matrix = np.exp(decay)[..., None] * matrix
        if strength.ndim:
            v = strength[t][:, None] * (v - np.einsum("bkv,bk->bv", matrix, k))
        matrix = matrix + k[..., None] * v[:, None]
        right.append(np.einsum("bkv,bk->bv", matrix, q))
    return max(relative_error(last, matrix), relative_error(read, right))


@pytest.mark.parametrize("rule", ["one decay", "a decay of each number", "delta rule"])
def test_float32_loses_no_digits_after_much_was_forgotten(rule):
    """Decays whose logarithms are -300 or hardly anything."""
    rng, steps = np.random.default_rng(1), 12
    size = (steps, B, 4 if rule == "a decay of each number" else 1)
    log_decay = rng.choice([-300, -0.01, -0.0001], size, p=[0.3, 0.4, 0.3])
    strength = rng.uniform(0, 2, (steps, B)) if rule == "delta rule" else np.float64(0)
    key = rng.standard_normal((steps, B, 4)) / 2
    assert in_float32(rng, log_decay, key, strength) < 1e-6


def test_float32_loses_no_digits_of_reflections():
    """24 writes at one key, or close to it, at strength 2: each turns what it has, and none is forgotten."""
    rng = np.random.default_rng(3)
    key = rng.standard_normal((1, B, 4)) + 1e-3 * rng.standard_normal((24, B, 4))
    key /= np.linalg.norm(key, axis=-1, keepdims=True)
    assert in_float32(rng, np.zeros((24, B, 1)), key, np.full((24, B), 2.0)) < 1e-5


def test_a_step_of_ones_own_is_left_to_the_loops_for_any_cell():
    class Forgetful(cell_class("gla")):
        def write(self, state, key, value, gates):
            return 0.5 * super().write(state, key, value, gates)

    assert chunkwise.LOOP.refuses(loops.Request(Forgetful, "gpu", False))
    assert chunkwise.LOOP.refuses(loops.Request(cell_class("gla+noise0.1"), "gpu", False))

    class Hasty(cell_class("delta_net")):
        def write(self, state, key, value, gates):
            return super().write(state, key, 2 * value, gates)

    assert chunkwise.LOOP.refuses(loops.Request(Hasty, "gpu", False))


@pytest.mark.parametrize("name", NAMES)
def test_accelerators_choose_chunks(name):
    for platform in ("gpu", "tpu"):
        assert loops.choose("auto", loops.Request(cell_class(name), platform, True)) == ("associative", True)
    assert loops.choose("reproducible", loops.Request(cell_class(name), "cpu", False)).loop == "while"

"""Cells that go over time by chunks: what float32 keeps of them, and which they are.
That they are their own steps in float64 is in test_loops.py."""

import jax
import numpy as np
import pytest
from breadth import leave
from lstm_reference import quick_jit, relative_error
from test_loops import EXACT, RESET, member, run

from memcap import loops
from memcap.cells import cell_class, cell_classes
from memcap.loops import chunkwise
from memcap.loops.chunk_terms import Terms, owner_of
from memcap.loops.chunkwise import through_chunk

U = 3
B = 2
NAMES = [name for name, cell in cell_classes().items() if owner_of(cell)]
ADDITIVE = ["gla", "linear_attention", "mamba2", "mlstm"]
DELTA = ["delta_net", "delta_product", "gated_delta_net", "gated_delta_product"]
DELTA += ["kda", "signed_delta_net"]


def test_the_cells_of_chunks_are_these():
    assert sorted(NAMES) == sorted(ADDITIVE + DELTA)


def slopes(name, case, given):
    _, found = quick_jit(run(name, case, chunkwise.LOOP))(*given)
    return found


@pytest.mark.parametrize("name", leave([*ADDITIVE, "gated_delta_net"]))
def test_gradients_are_finite_at_a_matrix_of_zeros(name):
    weights, carry, inputs, *rest = member(name, EXACT, 0)
    zeros = jax.tree.map(np.zeros_like, (carry, inputs))
    found = slopes(name, EXACT, (weights, *zeros, *rest))
    assert all(np.isfinite(leaf).all() for leaf in found)


@pytest.mark.breadth
def test_gradients_are_finite_where_a_great_stabiliser_is_reset():
    weights, ((matrix, total, largest), before), *rest = member("mlstm", RESET, 0)
    carry = (matrix, total, largest + 200), before
    found = slopes("mlstm", RESET, (weights, carry, *rest))
    assert all(np.isfinite(leaf).all() for leaf in found)


def in_float32(rng, log_decay, key, strength):
    """The greatest relative error of a chunk in float32, against NumPy in float64, a
    write at a time."""
    writes, _, keys = key.shape
    shapes = ((B, keys, U), (writes, B, U), key.shape)
    matrix, value, query = map(rng.standard_normal, shapes)
    given = (matrix, log_decay, key, value, query, strength)
    single = [np.float32(array) for array in given]
    matrix, *rows, strength = map(np.float64, single)

    def chunk(matrix, log_decay, key, value, query, strength):
        strength = strength if strength.ndim else None
        terms = Terms(matrix, log_decay, key, value, query, None, strength)
        return through_chunk(terms, None, False, True)

    last, read = quick_jit(chunk)(*single)
    right = []
    for t, (decay, k, v, q) in enumerate(zip(*rows, strict=True)):
        matrix = np.exp(decay)[..., None] * matrix
        if strength.ndim:
            v = strength[t][:, None] * (v - np.einsum("bkv,bk->bv", matrix, k))
        matrix = matrix + k[..., None] * v[:, None]
        right.append(np.einsum("bkv,bk->bv", matrix, q))
    return max(relative_error(last, matrix), relative_error(read, right))


@pytest.mark.parametrize(
    "rule",
    [
        "one decay",
        "a decay of each number",
        "delta rule",
        "delta rule, a decay of each number",
    ],
)
def test_float32_loses_no_digits_after_much_was_forgotten(rule):
    """Decays whose logarithms are -300 or hardly anything."""
    rng = np.random.default_rng(1)
    steps = 12
    size = (steps, B, 4 if "each number" in rule else 1)
    log_decay = rng.choice([-300, -0.01, -0.0001], size, p=[0.3, 0.4, 0.3])
    strength = rng.uniform(0, 2, (steps, B)) if "delta" in rule else np.float64(0)
    key = rng.standard_normal((steps, B, 4)) / 2
    assert in_float32(rng, log_decay, key, strength) < 1e-6


@pytest.mark.breadth
def test_float32_loses_no_digits_of_reflections():
    """24 writes at one key, or close to it, at strength 2: each turns what it has, and
    none is forgotten."""
    rng = np.random.default_rng(3)
    key = rng.standard_normal((1, B, 4)) + 1e-3 * rng.standard_normal((24, B, 4))
    key /= np.linalg.norm(key, axis=-1, keepdims=True)
    assert in_float32(rng, np.zeros((24, B, 1)), key, np.full((24, B), 2.0)) < 1e-5


class Forgetful(cell_class("gla")):
    def write(self, state, key, value, gates):
        return 0.5 * super().write(state, key, value, gates)


class Hasty(cell_class("delta_net")):
    def write(self, state, key, value, gates):
        return super().write(state, key, 2 * value, gates)


@pytest.mark.parametrize("cell", [Forgetful, Hasty, cell_class("gla+noise0.1")])
def test_a_step_of_ones_own_is_left_to_the_loops_for_any_cell(cell):
    assert chunkwise.LOOP.refuses(loops.Request(cell, "gpu", False))

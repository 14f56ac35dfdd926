"""The LSTM's values and every gradient, against a NumPy loop; against Flax's: tests/models/test_layers.py."""

import contextlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loop_checks import pass_over
from lstm_reference import network, quick_jit, relative_error

from memcap.models.architecture import Architecture
from memcap.models.model import Model

T, LENGTH, B, F, U, OUT = 9, 7, 3, 4, 5, 2
LIMIT = {"float32": 1e-5, "float64": 1e-12}


class Case(NamedTuple):
    """A way to run the network."""

    real: bool
    every: bool
    window: str  # "one", or where the carry enters a window: "cut" or "reset"
    readout: str
    dtype: str


CASES = [  # each pair of values of two fields is somewhere among them
    Case(False, False, "one", "dense", "float64"),
    Case(True, True, "one", "dense", "float64"),
    Case(False, True, "one", "dense", "float64"),
    Case(True, False, "cut", "dense", "float64"),
    Case(False, True, "cut", "dense", "float64"),
    Case(False, False, "reset", "dense", "float64"),
    Case(True, True, "reset", "dense", "float64"),
    Case(False, False, "cut", "lstm", "float64"),
    Case(True, True, "one", "lstm", "float64"),
    Case(False, False, "one", "dense", "float32"),
    Case(True, True, "cut", "dense", "float32"),
    Case(False, True, "reset", "lstm", "float32"),
]


def label(case: Case) -> str:
    words = (
        "reals" if case.real else "symbols",
        "every" if case.every else "last",
        case.window,
        case.readout,
        case.dtype,
    )
    return "-".join(words)


def precision(dtype: str):
    """Float64 only inside this context, so that no other test sees it."""
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def sized(rng, *shape, dtype="float64"):
    return (0.7 * rng.standard_normal(shape)).astype(dtype)


def lstm_weights(rng, features, units, dtype="float64"):
    shapes = {"kernel": (features, 4 * units), "recurrent": (units, 4 * units), "bias": (4 * units,)}
    return {name: sized(rng, *shape, dtype=dtype) for name, shape in shapes.items()}


def material(case: Case):
    """Weights, carry, inputs, boundary, and the weights with which outputs and carry enter the loss."""
    rng = np.random.default_rng(0)
    dense = {"kernel": sized(rng, U, OUT, dtype=case.dtype), "bias": sized(rng, OUT, dtype=case.dtype)}
    top = lstm_weights(rng, U, OUT, case.dtype)
    stacked = case.readout == "lstm"

    def state():
        cell, readout = (tuple(sized(rng, B, units, dtype=case.dtype) for _ in "ch") for units in (U, OUT))
        return (cell, readout) if stacked else cell

    weights = {"cell": lstm_weights(rng, F, U, case.dtype), "readout": top if stacked else dense}
    carry, d_carry = state(), state()
    inputs = sized(rng, T, B, F, dtype=case.dtype) if case.real else rng.integers(0, F, (T, B), np.int32)
    boundary = None if case.window == "one" else np.isin(np.arange(T), (3, 5))
    d_outputs = sized(rng, *((OUT, T, B) if case.every else (OUT, B)), dtype=case.dtype)
    if case.every:
        d_outputs[:, LENGTH:] = 0  # no answer is due there
    return weights, carry, inputs, boundary, d_outputs, d_carry


def weighed(outputs, carry, d_outputs, d_carry):
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), (outputs, carry), (d_outputs, d_carry))
    return sum(jax.tree.leaves(products))


def gradient(case: Case):
    architecture = Architecture(Model("lstm", U, case.readout), F, OUT)

    def loss(weights, carry, inputs, length, boundary, d_outputs, d_carry):
        over = pass_over(inputs, length, boundary, case.window == "reset", case.every)
        final, outputs = architecture.build(weights).run(over, initial_carry=carry)
        return weighed(outputs, final, d_outputs, d_carry), (outputs, final)

    compiled = quick_jit if case.dtype == "float64" else jax.jit
    return compiled(jax.grad(loss, argnums=(0, 1, 2) if case.real else (0, 1), has_aux=True))


def float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def one_hot(inputs):
    return inputs if inputs.ndim == 3 else np.eye(F)[inputs]


def outputs_by_time(case: Case, d_outputs):
    """(O, T, B), or (O, B) for the last step, as (LENGTH, B, O)."""
    if case.every:
        return np.moveaxis(d_outputs, 0, -1)[:LENGTH]
    return np.concatenate([np.zeros((LENGTH - 1, B, OUT)), d_outputs.T[None]])


@pytest.mark.parametrize("case", CASES, ids=label)
def test_values_and_gradients_equal_a_numpy_loop(case):
    weights, carry, inputs, boundary, d_outputs, d_carry = material(case)
    with precision(case.dtype):
        found = gradient(case)(weights, carry, inputs, LENGTH, boundary, d_outputs, d_carry)
    slopes, (outputs, final) = jax.tree.map(np.asarray, found)
    assert outputs.dtype == case.dtype
    boundary = np.zeros(T, bool) if boundary is None else boundary
    reference = network(
        float64(weights),
        float64(one_hot(inputs))[:LENGTH],
        float64(carry),
        boundary[:LENGTH],
        case.window == "reset",
        outputs_by_time(case, float64(d_outputs)),
        float64(d_carry),
    )
    by_time = np.moveaxis(outputs, 0, -1)[:LENGTH] if case.every else outputs.T
    pairs = [
        (by_time, reference.outputs if case.every else reference.outputs[-1]),
        (final, reference.carry),
        (slopes[0], reference.d_weights),
        (slopes[1], reference.d_carry),
    ]
    if case.real:
        assert not np.any(slopes[2][LENGTH:])
        pairs.append((slopes[2][:LENGTH], reference.d_inputs))
    for each in pairs:
        errors = jax.tree.map(relative_error, *each)
        assert max(jax.tree.leaves(errors)) <= LIMIT[case.dtype], errors

"""The LSTM's values and every gradient, against a NumPy loop and against Flax."""

import contextlib
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import pass_over
from lstm_reference import Result, network, quick_jit, relative_error

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


@cache
def ours(case: Case):
    architecture = Architecture(Model("lstm", U, case.readout), F, OUT)

    def loss(weights, carry, inputs, length, boundary, d_outputs, d_carry):
        over = pass_over(inputs, length, boundary, case.window == "reset", case.every)
        final, outputs = architecture.build(weights).run(over, initial_carry=carry)
        return weighed(outputs, final, d_outputs, d_carry), (outputs, final)

    compiled = quick_jit if case.dtype == "float64" else jax.jit
    return compiled(jax.grad(loss, argnums=(0, 1, 2) if case.real else (0, 1), has_aux=True))


def run_ours(case: Case, weights, carry, inputs, boundary, d_outputs, d_carry) -> Result:
    with precision(case.dtype):
        grads, (outputs, final) = ours(case)(weights, carry, inputs, LENGTH, boundary, d_outputs, d_carry)
        assert outputs.dtype == case.dtype
    return Result(outputs, final, grads[0], grads[1], grads[2] if case.real else None)


def float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def one_hot(inputs):
    return inputs if inputs.ndim == 3 else np.eye(F)[inputs]


def outputs_by_time(case: Case, d_outputs):
    """(O, T, B), or (O, B) for the last step, as (LENGTH, B, O)."""
    if case.every:
        return np.moveaxis(d_outputs, 0, -1)[:LENGTH]
    return np.concatenate([np.zeros((LENGTH - 1, B, OUT)), d_outputs.T[None]])


def compare(case: Case, got: Result, reference: Result, limit: float):
    outputs = np.moveaxis(np.asarray(reference.outputs), -1, 0)
    found = got.outputs[:, :LENGTH] if case.every else got.outputs
    assert relative_error(found, outputs if case.every else outputs[:, -1]) <= limit
    pairs = [
        (got.carry, reference.carry),
        (got.d_weights, reference.d_weights),
        (got.d_carry, reference.d_carry),
    ]
    if case.real:
        assert not np.any(got.d_inputs[LENGTH:])
        pairs.append((got.d_inputs[:LENGTH], reference.d_inputs))
    for a, b in pairs:
        errors = jax.tree.map(relative_error, a, b)
        assert max(jax.tree.leaves(errors)) <= limit, errors


@pytest.mark.parametrize("case", CASES, ids=label)
def test_values_and_gradients_equal_a_numpy_loop(case):
    weights, carry, inputs, boundary, d_outputs, d_carry = material(case)
    got = run_ours(case, weights, carry, inputs, boundary, d_outputs, d_carry)
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
    compare(case, got, reference, LIMIT[case.dtype])


def flax_rnn(weights, inputs, carry):
    """`nnx.RNN` over Flax's own LSTM cell with these weights."""
    features, units = weights["kernel"].shape[0], weights["recurrent"].shape[0]
    graph, state = nnx.split(nnx.eval_shape(lambda: nnx.OptimizedLSTMCell(features, units, rngs=nnx.Rngs(0))))
    top = {"kernel": weights["recurrent"], "bias": weights["bias"]}
    nnx.replace_by_pure_dict(state, {"dense_i": {"kernel": weights["kernel"]}, "dense_h": top})
    cell = nnx.merge(graph, state)
    return nnx.RNN(cell, time_major=True, return_carry=True)(inputs, initial_carry=carry)


@cache
def flax(window: str, readout: str, dtype: str):
    """A network of Flax's parts, run window by window, with automatic gradients."""
    del dtype  # a program of its own

    def loss(weights, carry, inputs, d_outputs, d_carry):
        outputs = []
        for start, stop in [(0, LENGTH)] if window == "one" else [(0, 3), (3, 5), (5, LENGTH)]:
            if start:
                carry = jax.tree.map(jnp.zeros_like if window == "reset" else jax.lax.stop_gradient, carry)
            if readout == "lstm":
                cell, hidden = flax_rnn(weights["cell"], inputs[start:stop], carry[0])
                top, part = flax_rnn(weights["readout"], hidden, carry[1])
                carry = cell, top
            else:
                carry, hidden = flax_rnn(weights["cell"], inputs[start:stop], carry)
                part = hidden @ weights["readout"]["kernel"] + weights["readout"]["bias"]
            outputs.append(part)
        outputs = jnp.concatenate(outputs)
        return weighed(outputs, carry, d_outputs, d_carry), (outputs, carry)

    return quick_jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.window != "reset" or case.readout == "lstm"], ids=label
)
def test_values_and_gradients_equal_flax(case):
    weights, carry, inputs, boundary, d_outputs, d_carry = material(case)
    got = run_ours(case, weights, carry, inputs, boundary, d_outputs, d_carry)
    with precision(case.dtype):
        by_time = outputs_by_time(case, d_outputs).astype(case.dtype)
        run = flax(case.window, case.readout, case.dtype)
        grads, (outputs, final) = run(
            weights, carry, one_hot(inputs)[:LENGTH].astype(case.dtype), by_time, d_carry
        )
    compare(case, got, Result(outputs, final, *grads), LIMIT[case.dtype])

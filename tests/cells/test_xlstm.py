"""mLSTM and sLSTM: as published without a stabiliser, in float64, where float32 would overflow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from lstm_reference import quick_jit, sigmoid

from memcap.cells import cell_class
from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 4
U = 5
B = 4
T = 5
NAMES = ("mlstm", "slstm")
ALL_WAYS = np.array(
    [[100, 100], [100, -100], [-100, 100], [-100, -100]], np.float32
)  # i and f


def mlstm(weights, x, keys):
    """(T, B, U), with C (U, K) as in the paper, a sequence at a time."""
    out = np.zeros((T, B, U))
    for b in range(B):
        cell = np.zeros((U, keys))
        total = np.zeros(keys)
        before = np.zeros(F)
        for t in range(T):
            seen = np.concatenate([x[t, b], before])
            before = x[t, b]
            q, k, v = (seen @ weights[name] for name in ("query", "key", "value"))
            i, f = seen @ weights["gate"] + weights["bias"]
            k = k / np.sqrt(keys)
            cell = sigmoid(f) * cell + np.exp(i) * np.outer(v, k)
            total = sigmoid(f) * total + np.exp(i) * k
            out[t, b] = cell @ q / max(abs(total @ q), 1)
    return out


def slstm(weights, x, keys):
    """(T, B, U)."""
    del keys
    hidden = np.zeros((B, U))
    cell = np.zeros((B, U))
    total = np.zeros((B, U))
    out = []
    for inputs in x:
        gates = (
            inputs @ weights["kernel"] + hidden @ weights["recurrent"] + weights["bias"]
        )
        i, f, z, o = np.split(gates, 4, -1)
        cell = sigmoid(f) * cell + np.exp(i) * np.tanh(z)
        total = sigmoid(f) * total + np.exp(i)
        hidden = sigmoid(o) * cell / total
        out.append(hidden)
    return np.array(out)


def material(name, far):
    """Graph, random weights, and inputs; `far`: the first two features drive the gates
    to +-100, another way at each step of each sequence."""
    rng = np.random.default_rng(0)
    graph, weights = nnx.split(
        nnx.eval_shape(lambda: cell_class(name)(F, U, rngs=nnx.Rngs(0)))
    )
    weights = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), weights
    )
    x = rng.standard_normal((T, B, F)).astype(np.float32)
    if far:
        flat = nnx.to_pure_dict(weights)
        if name == "mlstm":
            flat["gate"] = np.eye(2 * F, 2)
        else:
            flat["kernel"][:2, : 2 * U] = np.repeat(np.eye(2), U, 1)
        nnx.replace_by_pure_dict(weights, flat)
        x[..., :2] = np.stack(
            [ALL_WAYS[(np.arange(B) + shift) % 4] for shift in (2, 0, 3, 1, 2)]
        )
    return graph, weights, x


def shown(graph, weights, x):
    """Hidden states (T, B, U), step by step."""
    cell = nnx.merge(graph, weights)
    return jax.lax.scan(cell, cell.initialize_carry(x.shape[1:]), x)[1]


@pytest.mark.parametrize("far", [*leave([False]), True], ids=["near", "far"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_recurrence_of_the_paper_and_nothing_overflows(name, far):
    graph, weights, x = material(name, far)

    def loss(weights, x):
        hidden = shown(graph, weights, x)
        return (
            jnp.sum(
                hidden * jnp.sin(1.0 + jnp.arange(hidden.size)).reshape(hidden.shape)
            ),
            hidden,
        )

    slopes, hidden = quick_jit(jax.grad(loss, has_aux=True))(weights, x)
    exact = jax.tree.map(
        lambda leaf: leaf.astype(np.float64), nnx.to_pure_dict(weights)
    )
    reference = {"mlstm": mlstm, "slstm": slstm}[name]
    keys = getattr(cell_class(name), "keys", 0)

    def right(weights):
        return reference(weights, x.astype(np.float64), keys)

    np.testing.assert_allclose(hidden, right(exact), rtol=1e-5, atol=1e-5)
    slopes = nnx.to_pure_dict(slopes)
    assert all(np.isfinite(slope).all() for slope in slopes.values())
    # the slope along one direction in which all weights change, by the differences of the reference
    rng = np.random.default_rng(1)
    step = 1e-6
    ways = {key: rng.standard_normal(leaf.shape) for key, leaf in exact.items()}
    up, down = (
        right({key: leaf + sign * ways[key] for key, leaf in exact.items()})
        for sign in (step, -step)
    )
    expected = np.sum(
        (up - down) / (2 * step) * np.sin(1.0 + np.arange(up.size)).reshape(up.shape)
    )
    found = sum(np.sum(np.asarray(slopes[key]) * ways[key]) for key in ways)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("quick_compile")
def test_a_net_starts_as_the_authors_start_theirs():
    weights = {
        name: Architecture(Model(name, U), F, 2).init(None, [1])["cell"]
        for name in NAMES
    }
    assert not np.any(weights["mlstm"]["gate"])
    (write, keep), bias = (
        weights["mlstm"]["bias"],
        np.split(weights["slstm"]["bias"], 4),
    )
    assert keep == 3
    assert 0 < abs(write) < 0.5  # five standard deviations
    assert not np.any(weights["slstm"]["recurrent"])
    np.testing.assert_allclose(bias[1], [3, 3.75, 4.5, 5.25, 6])
    assert not np.any([bias[0], bias[2], bias[3]])


@pytest.mark.breadth
def test_an_mlstm_recalls_as_many_orthogonal_keys_as_a_key_has_numbers():
    """An input is a key, a value, and whether to write; a key alone is a question."""
    keys = cell_class("mlstm").keys
    cell = cell_class("mlstm")(keys + U + 1, U, rngs=nnx.Rngs(0))
    seen = np.eye(2 * cell.in_features)
    cell.query[...] = jnp.asarray(seen[:, :keys])
    cell.key[...] = jnp.asarray(seen[:, :keys] * np.sqrt(keys))
    cell.value[...] = jnp.asarray(seen[:, keys : keys + U])
    cell.gate[...] = jnp.asarray(np.outer(seen[keys + U], [100, 0]))
    cell.bias[...] = jnp.asarray([-100.0, 50.0])
    values = np.random.default_rng(2).standard_normal((keys, U)).astype(np.float32)
    pairs = np.concatenate([np.eye(keys), values, np.ones((keys, 1))], 1)
    inputs = np.concatenate([pairs, np.eye(keys, cell.in_features)])[:, None].astype(
        np.float32
    )
    hidden = quick_jit(shown, static_argnums=0)(*nnx.split(cell), inputs)
    np.testing.assert_allclose(hidden[keys:, 0], values, atol=1e-5)


def test_an_slstm_of_one_unit_writes_a_late_value_over_all_before_it():
    """What an LSTM's sigmoid cannot: an input gate e^10 times as strong makes the
    average the last value. And an input gate that is stronger at all steps changes
    nothing, which is why no width pads another.
    """
    cell = cell_class("slstm")(2, 1, rngs=nnx.Rngs(0))
    cell.kernel[...] = jnp.asarray([[0.0, 0, 1, 0], [10, 0, 0, 0]])
    cell.bias[...] = jnp.asarray([0.0, 50, 0, 50])
    inputs = jnp.asarray([[1.0, 0], [1, 0], [-1, 1], [0, -1]])[:, None]
    run = quick_jit(shown, static_argnums=0)
    hidden = run(*nnx.split(cell), inputs)
    np.testing.assert_allclose(hidden[:, 0, 0], np.tanh([1, 1, -1, -1]), atol=3e-4)
    cell.bias[...] += jnp.asarray([3.0, 0, 0, 0])  # all weights of an average times e^3
    np.testing.assert_allclose(run(*nnx.split(cell), inputs), hidden, atol=1e-6)

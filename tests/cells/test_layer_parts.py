"""Parts of published layers: recurrences in NumPy, as flash-linear-attention, mamba and
xlstm have them."""

from functools import partial

import jax
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from lstm_reference import quick_jit, sigmoid

from memcap import loops
from memcap.cells import cell_class
from memcap.cells.matrix import EPSILON
from memcap.config.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 3
U = 5
K = 16
B = 2
T = 7
LAYERS = (
    "delta_net+conv4",
    "gated_delta_net+conv4+gate+rate",
    "gla+conv4+gate",
    "mamba2+conv4+gate+skip",
)
LAYERS += ("delta_product+conv4+gate",)
CLOCKS = ("delta_net+conv4+clock16", "mamba2+conv4+gate+skip+clock9")
XLSTM = ("mlstm+conv4+gate+skip", "mlstm+conv4+skip+gate", "slstm+conv4")


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log1p(np.exp(x))


def rms_norm(x):
    return x / np.sqrt(np.mean(x**2) + EPSILON)


def l2_norm(x):
    return x / np.sqrt(x @ x + EPSILON)


def short_convolution(x, kernel, taps, bias=0.0):
    """(T, N): project, then convolve each channel causally over time, as
    torch.nn.Conv1d with groups=N does, whose last tap is of the last step; SiLU. Of
    several writes (T, W, N)."""
    if kernel.ndim == 3:
        return np.stack(
            [short_convolution(x, *each) for each in zip(kernel, taps, strict=True)], 1
        )
    projected = x @ kernel
    padded = np.concatenate([np.zeros((len(taps) - 1, taps.shape[1])), projected])
    torch_taps = taps[::-1]
    return silu(
        np.stack(
            [(padded[t : t + len(taps)] * torch_taps).sum(0) for t in range(len(x))]
        )
        + bias
    )


def published(name, w, x):
    """(T, U) of one sequence (T, F) by the layer before its output projection: FLA's
    layers/delta_net.py, gated_deltanet.py, gla.py, gated_deltaproduct.py;
    mamba_ssm/modules/mamba2.py, `step`."""
    q, k, v = (
        short_convolution(x, w[part], w[f"{part}_taps"], w.get(f"{part}_bias", 0.0))
        for part in ("query", "key", "value")
    )
    gates = x @ w["gate"] + w["bias"]
    z = x @ w["output_gate"] if "output_gate" in w else None
    state = np.zeros((K, U))
    out = []
    for t in range(T):
        if name.startswith("mamba2"):
            dt = softplus(gates[t, 0])
            a = -np.exp(w["log_rate"][0])
            state = state * np.exp(dt * a) + np.outer(k[t], dt * v[t])
            out.append(rms_norm((q[t] @ state + w["skip"][0] * v[t]) * silu(z[t])))
        elif name.startswith("gla"):
            state = np.exp(np.log(sigmoid(gates[t])) / 16)[:, None] * state + np.outer(
                k[t], v[t]
            )
            out.append(rms_norm(q[t] @ state) * silu(z[t]))
        elif name.startswith("delta_product"):
            for key, value, gate in zip(
                map(l2_norm, k[t]), v[t], gates[t], strict=True
            ):
                state = state + np.outer(key, 2 * sigmoid(gate) * (value - key @ state))
            out.append(rms_norm(l2_norm(q[t]) @ state) * silu(z[t]))
        else:
            key = l2_norm(k[t])
            query = l2_norm(q[t])
            beta = sigmoid(gates[t, 0])
            if name.startswith("gated"):
                state = state * np.exp(
                    -np.exp(w["log_rate"][0]) * softplus(gates[t, 1])
                )
            state = state + np.outer(key, beta * (v[t] - key @ state))
            out.append(rms_norm(query @ state) * (1.0 if z is None else silu(z[t])))
    return np.stack(out)


def published_mlstm(w, x):
    """The same by xlstm's blocks/mlstm/layer.py and cell.py, without a stabiliser,
    before `proj_down`."""
    convolved = short_convolution(x, w["up"], w["taps"], w["taps_bias"])
    q = convolved @ w["query"]
    k = convolved @ w["key"]
    v = x @ w["value"]
    gates = np.concatenate([q, k, v], -1) @ w["gate"] + w["bias"]
    state = np.zeros((K, U))
    total = np.zeros(K)
    out = []
    for t, (i, f) in enumerate(gates):
        state = sigmoid(f) * state + np.exp(i) * np.outer(k[t] / np.sqrt(K), v[t])
        total = sigmoid(f) * total + np.exp(i) * k[t] / np.sqrt(K)
        read = q[t] @ state / max(abs(q[t] @ total), 1)
        normed = (read - read.mean()) / np.sqrt(read.var() + EPSILON)
        out.append((normed + w["skip"] * convolved[t]) * silu(x[t] @ w["output_gate"]))
    return np.stack(out)


def published_slstm(w, x):
    """The same by xlstm's blocks/slstm/layer.py, without a stabiliser."""
    convolved = short_convolution(x, np.eye(F), w["taps"], w["taps_bias"])
    entered = np.concatenate(
        [convolved @ w["kernel"][:, : 2 * U], x @ w["kernel"][:, 2 * U :]], -1
    )
    hidden = np.zeros(U)
    cell = np.zeros(U)
    total = np.zeros(U)
    out = []
    for each in entered:
        i, f, z, o = np.split(each + hidden @ w["recurrent"] + w["bias"], 4)
        cell = sigmoid(f) * cell + np.exp(i) * np.tanh(z)
        total = sigmoid(f) * total + np.exp(i)
        hidden = sigmoid(o) * cell / total
        out.append(hidden)
    return np.stack(out)


def sinusoidal(period):
    """(T, B, C): sine and cosine of the step, with periods of this many steps, a half,
    a third and so on."""
    angle = (
        2 * np.pi * np.outer(np.arange(T), 1 / (period / np.arange(1, period // 2 + 1)))
    )
    return np.repeat(np.concatenate([np.sin(angle), np.cos(angle)], -1)[:, None], B, 1)


@pytest.mark.parametrize(
    "name", leave(LAYERS + XLSTM + CLOCKS, but="delta_net+conv4".__eq__)
)
def test_it_is_the_recurrence_of_the_published_layer(name):
    graph, state = nnx.split(cell_class(name)(F, U, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(1)
    moved = jax.tree.map(
        lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape, np.float32), state
    )
    cell = nnx.merge(graph, moved)  # some weights start from 0
    weights = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64), nnx.to_pure_dict(moved)
    )
    layer = {"mlstm": published_mlstm, "slstm": published_slstm}.get(
        name[:5], partial(published, name)
    )
    x = rng.standard_normal((T, B, F), np.float32)
    seen = x
    period = name.partition("clock")[2]
    if period:
        weights = weights["layer"]
        seen = np.concatenate([x, sinusoidal(int(period))], -1)
    right = np.stack([layer(weights, seen[:, b]) for b in range(B)], 1)
    carry, hidden = quick_jit(
        lambda x: jax.lax.scan(cell, cell.initialize_carry((B, F)), x)
    )(x)
    np.testing.assert_allclose(hidden, right, rtol=1e-4, atol=1e-5)
    if period:
        carry, steps = carry
        np.testing.assert_array_equal(steps, B * [T])
    np.testing.assert_array_equal(carry[-1], np.concatenate([x[-1], x[-2], x[-3]], -1))


def test_the_carry_counts_the_inputs_that_a_convolution_sees_again():
    assert (
        Architecture(Model("gla+conv4+gate", U), F, 2).carry_numbers() == K * U + 3 * F
    )
    assert (
        Architecture(Model("mlstm+conv4+gate+skip", U), F, 2).carry_numbers()
        == K * U + K + 1 + 3 * F
    )
    assert Architecture(Model("slstm+conv4", U), F, 2).carry_numbers() == 4 * U + 3 * F
    assert (
        Architecture(Model("gla+conv4+gate+clock16", U), F, 2).carry_numbers()
        == K * U + 3 * F + 1
    )
    assert (
        Architecture(Model("gla+key4+heads2+clock16", U), F, 2).carry_numbers()
        == 2 * 4 * U + F + 1
    )
    assert Architecture(
        Model("gla+conv9", U, layers=2), F, 2
    ).carry_numbers() == 2 * K * U + 8 * (F + U)


@pytest.mark.usefixtures("quick_compile")
def test_a_rate_starts_as_published():
    """U(0, 16): nets forget eight times as fast on average as without."""
    nets = [
        Architecture(Model("gated_delta_net+rate", U), F, 2).init(None, [seed])["cell"]
        for seed in range(20)
    ]
    rates = np.exp([net["log_rate"][0] for net in nets])
    assert 0 < rates.min() < 3
    assert 13 < rates.max() <= 16


@pytest.mark.breadth
def test_a_convolution_and_a_carry_of_few_bits_go_together_in_either_order():
    x = jax.random.normal(jax.random.key(0), (B, F))
    hidden = []
    for name in ("delta_net+conv4+bfloat16", "delta_net+bfloat16+conv4"):
        cell = cell_class(name)(F, U, rngs=nnx.Rngs(0))
        carry, out = cell(cell.initialize_carry((B, F)), x)
        assert all(leaf.dtype == "bfloat16" for leaf in jax.tree.leaves(carry))
        hidden.append(out)
    np.testing.assert_array_equal(*hidden)


@pytest.mark.breadth
def test_the_parts_go_with_another_size_of_a_key_and_within_heads():
    """The two heads of a Mamba-2 with two groups, each as it is alone."""
    whole = cell_class("mamba2+key4+conv4+gate+skip+heads2")(F, U, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (T, B, F))
    carry, hidden = jax.lax.scan(whole, whole.initialize_carry((B, F)), x)
    for k, head in enumerate((whole.head_0, whole.head_1)):
        alone, output = jax.lax.scan(head, head.initialize_carry((B, F)), x)
        np.testing.assert_allclose(hidden[..., k * U : (k + 1) * U], output, atol=1e-6)
        np.testing.assert_allclose(carry[0][k], alone[0], atol=1e-6)
        assert alone[0].shape == (B, 4, U)
    np.testing.assert_array_equal(carry[1], alone[1])


@pytest.mark.parametrize("part", ["conv4", "gate", "conv4+skip", "heads2", "clock16"])
@pytest.mark.parametrize("name", ["mamba2", "mlstm"])
def test_accelerators_leave_a_step_of_its_own_to_the_loop_for_any_cell(name, part):
    cell = cell_class(f"{name}+{part}")
    assert loops.choose("auto", loops.Request(cell, "gpu", False)).loop == "masked"


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("lstm+conv4", "a cell with a matrix"),
        ("lstm+clock16", "a cell with a matrix, before .*, or of such a cell after"),
        ("delta_net+clock16+conv4", "a cell with a matrix"),
        ("delta_net+clock16+clock8", "a cell with a matrix"),
        ("mlstm+skip", "mamba2, or of mlstm after"),
        ("mlstm+rate", "gated_delta_net"),
        ("slstm+gate", "a cell with a matrix"),
        ("slstm+bfloat16+conv4", "a cell with a matrix"),
        ("delta_product+skip", "mamba2"),
        ("gla+skip", "mamba2"),
        ("delta_net+rate", "gated_delta_net"),
    ],
)
def test_a_part_of_another_layer_is_refused_in_one_line(name, which):
    with pytest.raises(
        UserError, match=rf"model\.cell={name.split('+')[0]}\+.*is a part of {which}"
    ):
        Model(name)

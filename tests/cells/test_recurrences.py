"""Each cell is the recurrence of its paper, in NumPy and double precision, a sequence
and a step at a time; of layers as flash-linear-attention, mamba and xlstm have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from lstm_reference import quick_jit, sigmoid
from scipy.signal import cont2discrete
from scipy.special import eval_legendre

from memcap.cells import cell_class
from memcap.cells.lmu import legendre_delay
from memcap.cells.matrix import EPSILON

F = 3
U = 6
B = 2
T = 7


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log1p(np.exp(x))


def rms_norm(x):
    return x / np.sqrt(np.mean(x**2) + EPSILON)


def l2_norm(x):
    return x / np.sqrt(x @ x + EPSILON)


def diagonal(name, w, x):
    """minGRU and minLSTM (Feng et al., 2024), LRU (Orvieto et al., 2023)."""
    state = 0.0
    shown = []
    for inputs in x:
        if "LRU" in name:
            step = 1.0
            if name == "selective_LRU":
                step = softplus(inputs @ w["step_kernel"] + w["step_bias"])
            decay = np.exp(step * (-np.exp(w["nu"]) + 1j * np.exp(w["theta"])))
            added = step * np.exp(w["gamma"]) * (inputs @ w["kernel"])
        else:
            roles = cell_class(name).gates.roles
            gates = np.split(inputs @ w["kernel"] + w["bias"], len(roles))
            z = dict(zip(roles, gates, strict=True))
            decay = sigmoid(z["forget"])
            if name == "minLSTM":
                decay = decay / (decay + sigmoid(z["input"]))
            added = (1 - decay) * z["candidate"]
        state = decay * state + added
        shown.append(state)
    return both_parts(shown) if "LRU" in name else np.stack(shown)


def rg_lru(name, w, x):
    """De et al. (2024): recurrentgemma's jax/layers.py, `RGLRU`, with one block, after
    `linear_x` of jax/modules.py."""
    state = 0.0
    shown = []
    for inputs in x:
        entered = inputs @ w["kernel"] + w["bias"]
        gates = sigmoid(entered @ w["gate"] + w["gate_bias"])
        gate_x, gate_a = np.split(gates, 2)
        a = np.exp(-8.0 * gate_a * softplus(w["rate"]))
        state = a * state + np.sqrt(1 - a**2) * (entered * gate_x)
        shown.append(state)
    return np.stack(shown)


def rwkv7(name, w, x):
    """Peng et al. (2025): RWKV-LM's RWKV-v7/rwkv_v7_numpy.py, `time_mixing`, with S of
    values by keys, its kernels of rank K, and a root mean square for the group norm."""
    seen = with_previous(x)
    keys = len(w["removal"])
    state = np.zeros((U, keys))
    shown = []
    for t in range(T):
        r, k, v = (seen[t] @ w[part] for part in ("query", "key", "value"))
        gates = sigmoid(seen[t] @ w["gate"] + w["bias"])
        decay = np.exp(-gates[:keys] / np.e**0.5)
        a = gates[keys:]
        kk = l2_norm(k * w["removal"])
        k = k + k * (a - 1) * w["replacement"]
        removed = np.outer(state @ kk, kk * a)
        state = state * decay - removed + np.outer(v, k)
        shown.append(rms_norm(state @ r))
    return np.stack(shown)


def m2rnn(name, w, x):
    """Mishra et al. (2026): lm-engine's sequence_mixer_blocks/m2rnn/op.py, and its layer
    in module.py before the output projection."""
    q, k, v = (products(w, x, part) for part in ("query", "key", "value"))
    seen = x if "query_taps" in w else with_previous(x)
    rate = np.exp(w.get("log_rate", [0.0])[0])
    state = np.zeros((k.shape[-1], U))
    shown = []
    for t in range(T):
        f = np.exp(-rate * softplus(seen[t] @ w["gate"] + w["bias"]))
        new = np.tanh(state @ w["recurrent"] + np.outer(k[t], v[t]))
        state = f * state + (1 - f) * new
        read = q[t] @ state + v[t] * w.get("skip", 0.0)
        z = x[t] @ w["output_gate"] if "output_gate" in w else None
        shown.append(rms_norm(read * (1.0 if z is None else silu(z))))
    return np.stack(shown)


def both_parts(states):
    """(T, 2 U): real and imaginary part of each unit."""
    return np.stack([np.real(states), np.imag(states)], -1).reshape(T, 2 * U)


def dense(name, w, x):
    """Sussillo & Barak (2013), Le et al. (2015), and a linear network."""
    state = np.zeros(U)
    shown = []
    for inputs in x:
        summed = inputs @ w["kernel"] + state @ w["recurrent"] + w["bias"]
        state = {
            "leaky": state / 2 + np.tanh(summed) / 2,
            "irnn": np.maximum(summed, 0),
            "linear": summed,
        }[name]
        shown.append(state)
    return np.stack(shown)


def unitary(w):
    """W of the unitary RNN (U, U), so that W h is the product with a column."""
    one = np.eye(U)
    wave = np.exp(-2j * np.pi * np.outer(np.arange(U), np.arange(U)) / U) / np.sqrt(U)
    d1, d2, d3 = (np.diag(np.exp(1j * phase)) for phase in w["phases"])
    r1, r2 = (one - 2 * np.outer(v, v.conj()) / np.vdot(v, v) for v in w["mirrors"])
    order = np.random.default_rng(U).permutation(U)
    return d3 @ r2 @ wave.conj().T @ d2 @ one[order] @ r1 @ wave @ d1


def urnn(name, w, x):
    """Arjovsky, Shah & Bengio (2016)."""
    turn = unitary(w)
    np.testing.assert_allclose(turn @ turn.conj().T, np.eye(U), atol=1e-12)
    state = np.zeros(U)
    shown = []
    for inputs in x:
        z = turn @ state + inputs @ w["kernel"]
        state = np.maximum(np.abs(z) + w["bias"], 0) * z / np.abs(z)
        shown.append(state)
    return both_parts(shown)


def lmu(name, w, x):
    """Voelker, Kajic & Eliasmith (2019), equations 1 and 2 discretized, 6 and 7."""
    i, j = np.indices((U, U))
    scale = (2 * np.arange(U)[:, None] + 1) / 50  # steps
    system = scale * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    inflow = scale * (-1.0) ** np.arange(U)[:, None]
    no_output = np.zeros((1, U)), np.zeros((1, 1))
    a, b, *_ = cont2discrete((system, inflow, *no_output), 1.0, "zoh")
    hidden = np.zeros(U)
    memory = np.zeros(U)
    all_hidden = []
    for inputs in x:
        value = inputs @ w["write_input"] + hidden @ w["write_hidden"]
        value += memory @ w["write_memory"]
        memory = a @ memory + b @ value
        hidden = inputs @ w["kernel"] + hidden @ w["recurrent"]
        hidden = np.tanh(hidden + memory @ w["read_memory"])
        all_hidden.append(hidden)
    return np.stack(all_hidden)


def short_convolution(x, kernel, taps, bias=0.0):
    """(T, N): project, then convolve each channel causally over time, as
    torch.nn.Conv1d with groups=N does, whose last tap is of the last step; SiLU. Of
    several writes (T, W, N)."""
    if kernel.ndim == 3:
        parts = zip(kernel, taps, strict=True)
        return np.stack([short_convolution(x, *part) for part in parts], 1)
    projected = x @ kernel
    padded = np.concatenate([np.zeros((len(taps) - 1, taps.shape[1])), projected])
    windows = [padded[t : t + len(taps)] for t in range(len(x))]
    return silu(np.stack([(w * taps[::-1]).sum(0) for w in windows]) + bias)


def with_previous(x):
    return np.concatenate([x, np.pad(x, ((1, 0), (0, 0)))[:-1]], -1)


def products(w, x, part):
    """(T, N), or (T, W, N) of several writes: queries, keys or values."""
    if f"{part}_taps" in w:
        bias = w.get(f"{part}_bias", 0.0)
        return short_convolution(x, w[part], w[f"{part}_taps"], bias)
    found = with_previous(x) @ w[part]
    return np.swapaxes(found, 0, 1) if found.ndim == 3 else found


def matrix(name, w, x):
    """The cells' papers, with I - b k k^T written out; with a convolution the layer
    before its output projection: FLA's layers/delta_net.py, gated_deltanet.py, gla.py,
    gated_deltaproduct.py, kda.py (ops/kda/naive.py); mamba_ssm/modules/mamba2.py,
    `step`."""
    q, k, v = (products(w, x, part) for part in ("query", "key", "value"))
    seen = x if "query_taps" in w else with_previous(x)
    rate = np.exp(w.get("log_rate", [0.0])[0])
    state = np.zeros((q.shape[-1], v.shape[-1]))
    shown = []
    for t in range(T):
        gates = seen[t] @ w["gate"] + w["bias"] if "gate" in w else None
        z = x[t] @ w["output_gate"] if "output_gate" in w else None
        query = q[t] if name in ("mamba2", "gla") else l2_norm(q[t])
        if name == "linear_attention":
            state = state + np.outer(l2_norm(k[t]), v[t])
        elif name == "mamba2":
            step = softplus(gates[0])
            state = np.exp(-rate * step) * state + step * np.outer(k[t], v[t])
        elif name == "gla":
            state = sigmoid(gates)[:, None] ** (1 / 16) * state + np.outer(k[t], v[t])
        else:
            if name in ("gated_delta_net", "gated_delta_product"):
                state = np.exp(-rate * softplus(gates[-1])) * state
            if name == "kda":
                state = np.exp(-rate * softplus(gates[1:]))[:, None] * state
            signed = ("signed_delta_net", "delta_product", "gated_delta_product")
            most = 2 if name in signed else 1
            keys, values = np.atleast_2d(k[t], v[t])
            for key, value, gate in zip(
                map(l2_norm, keys), values, gates, strict=False
            ):
                strength = most * sigmoid(gate)
                state = state - strength * np.outer(key, key) @ state
                state = state + strength * np.outer(key, value)
        read = state.T @ query
        if "skip" in w:
            read = read + w["skip"][0] * v[t]
        if name == "mamba2" and z is not None:
            shown.append(rms_norm(read * silu(z)))
        else:
            gate = sigmoid if name == "kda" else silu
            shown.append(rms_norm(read) * (1.0 if z is None else gate(z)))
    return np.stack(shown)


def mlstm(name, w, x):
    """Beck et al. (2024), without a stabiliser, with C (U, K); as a layer xlstm's
    blocks/mlstm/layer.py and cell.py before `proj_down`."""
    seen = with_previous(x)
    v = seen @ w["value"] if "up" not in w else x @ w["value"]
    if "up" in w:
        seen = short_convolution(x, w["up"], w["taps"], w["taps_bias"])
    q = seen @ w["query"]
    k = seen @ w["key"]
    gates = (np.concatenate([q, k, v], -1) if "up" in w else seen) @ w["gate"]
    keys = k.shape[-1]
    cell = np.zeros((U, keys))
    total = np.zeros(keys)
    shown = []
    for t, (i, f) in enumerate(gates + w["bias"]):
        cell = sigmoid(f) * cell + np.exp(i) * np.outer(v[t], k[t] / np.sqrt(keys))
        total = sigmoid(f) * total + np.exp(i) * k[t] / np.sqrt(keys)
        read = cell @ q[t] / max(abs(total @ q[t]), 1)
        if "output_gate" in w:
            normed = (read - read.mean()) / np.sqrt(read.var() + EPSILON)
            z = silu(x[t] @ w["output_gate"])
            read = (normed + w["skip"] * seen[t]) * z
        shown.append(read)
    return np.stack(shown)


def slstm(name, w, x):
    """The same without a stabiliser; as a layer xlstm's blocks/slstm/layer.py."""
    entered = x @ w["kernel"]
    if "taps" in w:
        convolved = short_convolution(x, np.eye(F), w["taps"], w["taps_bias"])
        entered[:, : 2 * U] = convolved @ w["kernel"][:, : 2 * U]
    hidden = np.zeros(U)
    cell = np.zeros(U)
    total = np.zeros(U)
    shown = []
    for summed in entered:
        i, f, z, o = np.split(summed + hidden @ w["recurrent"] + w["bias"], 4)
        cell = sigmoid(f) * cell + np.exp(i) * np.tanh(z)
        total = sigmoid(f) * total + np.exp(i)
        hidden = sigmoid(o) * cell / total
        shown.append(hidden)
    return np.stack(shown)


RECURRENCES = {
    **dict.fromkeys(("minGRU", "minLSTM", "LRU", "selective_LRU"), diagonal),
    **dict.fromkeys(("leaky", "irnn", "linear"), dense),
    "urnn": urnn,
    "RG_LRU": rg_lru,
    "rwkv7": rwkv7,
    "lmu": lmu,
    "m2rnn": m2rnn,
    "mlstm": mlstm,
    "slstm": slstm,
}
MATRIX = ("linear_attention", "mamba2", "gla", "delta_net", "gated_delta_net")
MATRIX += ("signed_delta_net", "delta_product", "kda", "gated_delta_product")
LAYERS = ("delta_net+conv4", "gated_delta_net+conv4+gate+rate", "gla+conv4+gate")
LAYERS += ("mamba2+conv4+gate+skip", "delta_product+conv4+gate")
LAYERS += ("kda+conv4+gate+rate", "gated_delta_product+conv4+gate+rate")
LAYERS += ("m2rnn+conv4+gate+rate+skip",)
LAYERS += ("mamba2+key4+conv4+gate+skip+heads2",)
LAYERS += ("mlstm+conv4+gate+skip", "mlstm+conv4+skip+gate", "slstm+conv4")
CLOCKS = ("delta_net+conv4+clock16", "mamba2+conv4+gate+skip+clock9")
KEYS = ("mamba2+key4", "gla+key1", "delta_product+key1", "delta_net+key32")
HEADS = ("gla+key4+heads3", "delta_product+key4+heads3", "m2rnn+key4+heads3")
QUICK = ("gla", "gated_delta_net", "delta_net+conv4", "gla+key4+heads3", "LRU")
QUICK += ("minLSTM", "leaky", "mamba2+key4", "kda", "RG_LRU", "rwkv7")
QUICK += ("m2rnn", "gated_delta_product", "lmu")


def recurrence(name, w, x):
    """(T, H) hidden states of one sequence (T, F)."""
    if "head_0" in w:
        return np.concatenate([recurrence(name, w[head], x) for head in sorted(w)], -1)
    if "layer" in w:  # with a clock
        period = int(name.partition("clock")[2])
        turns = 2 * np.pi / period * np.arange(1, period // 2 + 1)
        angle = np.outer(np.arange(T), turns)
        x = np.concatenate([x, np.sin(angle), np.cos(angle)], -1)
        return recurrence(name, w["layer"], x)
    base = name.partition("+")[0]
    return RECURRENCES.get(base, matrix)(base, w, x)


def double(leaf):
    """The same in double precision, but for integers."""
    return jnp.asarray(leaf, np.promote_types(leaf.dtype, np.float64))


@pytest.mark.parametrize(
    "name",
    leave(
        (*RECURRENCES, *MATRIX, *LAYERS, *CLOCKS, *KEYS, *HEADS), but=QUICK.__contains__
    ),
)
def test_it_is_the_published_recurrence(name):
    rng = np.random.default_rng(1)
    graph, state = nnx.split(cell_class(name)(F, U, rngs=nnx.Rngs(0)))
    # some weights start from 0
    state = jax.tree.map(
        lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape), state
    )
    x = rng.standard_normal((T, B, F))

    def scan(state, x):
        cell = nnx.merge(graph, state)
        start = jax.tree.map(double, cell.initialize_carry((B, F)))
        return jax.lax.scan(cell, start, x)

    with jax.enable_x64(True):
        state = jax.tree.map(double, state)
        weights = jax.tree.map(np.asarray, nnx.to_pure_dict(state))
        carry, hidden = quick_jit(scan)(state, jnp.asarray(x))
    right = np.stack([recurrence(name, weights, x[:, b]) for b in range(B)], 1)
    # what mlstm divides by is 1e-6 larger
    close = 1e-5 if name.startswith("mlstm") else 1e-6
    np.testing.assert_allclose(hidden, right, rtol=close, atol=1e-8)
    if "conv4" in name:
        last = carry[0][-1] if "clock" in name else carry[-1]
        np.testing.assert_allclose(last, np.concatenate([x[-1], x[-2], x[-3]], -1))


def test_the_memory_of_an_lmu_holds_its_window():
    """Legendre polynomials read a slow wave of each delay from the memory."""
    window = 40
    assert cell_class(f"lmu+window{window}").window == window
    order = 12
    a, b = legendre_delay(order, window)
    wave = np.sin(2 * np.pi / window * np.arange(200))
    memory = np.zeros(order)
    for value in wave:
        memory = a @ memory + b * value
    for delay in (10, 20, 30, 40):
        polynomials = eval_legendre(np.arange(order), 2 * delay / window - 1)
        # a value is held for a step: half a step late
        due = np.sin(2 * np.pi / window * (199.5 - delay))
        assert polynomials @ memory == pytest.approx(due, abs=0.01)


# i and f, whose exponentials float32 does not hold
FAR = np.array([[100, 100], [100, -100], [-100, 100], [-100, -100]], np.float32)


@pytest.mark.parametrize("name", ["mlstm", "slstm"])
def test_no_gate_overflows(name):
    """The first two features drive the gates to +-100, another way at each step of each
    sequence; slopes are right along one direction in which all weights change."""
    rng = np.random.default_rng(0)
    graph, state = nnx.split(cell_class(name)(F, U, rngs=nnx.Rngs(0)))
    weights = {
        key: rng.standard_normal(leaf.shape).astype(np.float32)
        for key, leaf in nnx.to_pure_dict(state).items()
    }
    if name == "mlstm":
        weights["gate"] = np.eye(2 * F, 2, dtype=np.float32)
    else:
        weights["kernel"][:2, : 2 * U] = np.repeat(np.eye(2), U, 1)
    nnx.replace_by_pure_dict(state, weights)
    x = rng.standard_normal((5, 4, F)).astype(np.float32)
    shifts = np.array([2, 0, 3, 1, 2])
    x[..., :2] = FAR[(np.arange(4) + shifts[:, None]) % 4]
    factors = np.sin(1.0 + np.arange(5 * 4 * U)).reshape(5, 4, U)

    def loss(state):
        cell = nnx.merge(graph, state)
        hidden = jax.lax.scan(cell, cell.initialize_carry((4, F)), x)[1]
        return (hidden * factors).sum(), hidden

    def right(weights):
        sequences = np.moveaxis(x.astype(np.float64), 1, 0)
        return np.stack([recurrence(name, weights, each) for each in sequences], 1)

    slopes, hidden = quick_jit(jax.grad(loss, has_aux=True))(state)
    exact = {key: leaf.astype(np.float64) for key, leaf in weights.items()}
    np.testing.assert_allclose(hidden, right(exact), rtol=1e-5, atol=1e-5)
    slopes = nnx.to_pure_dict(slopes)
    assert all(np.isfinite(slope).all() for slope in slopes.values())
    ways = {key: rng.standard_normal(leaf.shape) for key, leaf in exact.items()}
    up = right({key: leaf + 1e-6 * ways[key] for key, leaf in exact.items()})
    down = right({key: leaf - 1e-6 * ways[key] for key, leaf in exact.items()})
    expected = ((up - down) / 2e-6 * factors).sum()
    found = sum(np.sum(slopes[key] * ways[key]) for key in ways)
    assert found == pytest.approx(expected, rel=1e-4)

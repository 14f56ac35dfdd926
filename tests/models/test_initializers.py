"""Where each preset's numbers land, seen in what the cells do, and that draws repeat."""

import math
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
from model_checks import OUT, B, F, U, architecture
from scipy.special import expit
from scipy.stats import kstest
from study_checks import refusal

from memcap.cells import Init, cell_class
from memcap.cells.gates import orthogonal
from memcap.models.model import PRESETS, preset

LSTMS = ("lstm", "OptimizedLSTMCell")
GATED = (*LSTMS, "GRUCell")
NAMED = (*GATED, "SimpleCell")
SHUT = -40.0
OPEN = 40.0


def drawn(cell, init, units=U):
    """The roles of a cell's gates, and its recurrent blocks, biases and kernel."""
    gates = cell_class(cell).gates
    arrays = gates.draw(np.random.default_rng(0), init, F, units)
    parts = len(gates.roles)
    blocks = np.split(arrays[gates.recurrent], parts, 1)
    biases = np.split(arrays[gates.bias], parts)
    return gates.roles, blocks, biases, arrays[gates.kernel]


@cache
def one_step(cell):
    net = architecture(cell)
    return jax.jit(lambda weights, carry, x: net.build(weights).cell(carry, x))


def act(cell, init, seed=0, x=None):
    """One step of a fresh cell from a random carry: (carry before, carry after, output)."""
    rng = np.random.default_rng(seed)
    c, h = rng.uniform(-1, 1, (2, B, U)).astype(np.float32)
    carry = h if cell in ("GRUCell", "SimpleCell") else (c, h)
    x = rng.standard_normal((B, F)).astype(np.float32) if x is None else x
    return carry, *one_step(cell)(architecture(cell).init(init, [1]), carry, x)


@pytest.mark.parametrize("cell", LSTMS)
def test_the_gates_of_an_lstm_do_what_their_names_say(cell):
    (c, _), (held, _), output = act(cell, Init(input=SHUT, forget=OPEN, output=OPEN))
    np.testing.assert_allclose(held, c, atol=1e-6)
    np.testing.assert_allclose(output, np.tanh(c), atol=1e-6)

    _, (wiped, _), _ = act(cell, Init(input=SHUT, forget=SHUT))
    np.testing.assert_allclose(wiped, 0, atol=1e-6)

    (c, _), (summed, _), _ = act(cell, Init(input=OPEN, forget=OPEN))
    _, (written, _), _ = act(cell, Init(input=OPEN, forget=SHUT))
    assert np.abs(written).min() > 1e-4  # the candidate, whole
    np.testing.assert_allclose(summed, c + written, atol=1e-6)

    _, _, silent = act(cell, Init(input=OPEN, forget=OPEN, output=SHUT))
    np.testing.assert_allclose(silent, 0, atol=1e-6)


def test_the_gates_of_a_gru_do_what_their_names_say():
    h, held, _ = act("GRUCell", Init(forget=OPEN))
    np.testing.assert_allclose(held, h, atol=1e-6)

    x = np.ones((B, F), np.float32)
    # neither gate lets the old state through
    shut = Init(forget=SHUT, output=SHUT)
    one, other = (act("GRUCell", shut, seed, x)[1] for seed in (0, 1))
    np.testing.assert_allclose(one, other, atol=1e-6)
    seen = Init(forget=SHUT, output=OPEN)
    one, other = (act("GRUCell", seen, seed, x)[1] for seed in (0, 1))
    assert np.abs(one - other).min() > 1e-4


@pytest.mark.parametrize("name", [*PRESETS, "flax"])
def test_our_lstm_and_flax_s_start_as_the_same_function(name):
    init = Init() if name == "flax" else preset(name, 20, 40)
    x = np.random.default_rng(0).integers(0, F, (7, B))
    outputs = []
    for net in map(architecture, LSTMS):
        outputs.append(jax.jit(net.build(net.init(init, [5])))(x)[1])
    np.testing.assert_allclose(*outputs, atol=1e-6)
    assert np.std(outputs[0]) > 1e-3


@pytest.mark.parametrize("cell", NAMED)
def test_recurrent_blocks_are_orthogonal_and_only_the_candidate_s_has_the_gain(cell):
    init = Init(input=1, forget=2, output=3, gain=1.5)
    roles, blocks, biases, kernel = drawn(cell, init)
    expected = {"input": 1, "forget": 2, "output": 3, "candidate": 0}
    for role, block, bias in zip(roles, blocks, biases, strict=True):
        gain = 1.5 if role == "candidate" else 1.0
        np.testing.assert_allclose(block.T @ block, gain**2 * np.eye(U), atol=1e-12)
        np.testing.assert_array_equal(bias, expected[role])
    # Glorot's, over all gates at once
    limit = math.sqrt(6 / (F + len(roles) * U))
    assert 0.8 * limit < np.abs(kernel).max() <= limit


@pytest.mark.parametrize("cell", NAMED)
def test_recurrent_blocks_may_be_orthogonal_together_as_in_keras(cell):
    """Keras draws its whole recurrent kernel by one orthogonal initialiser: of an LSTM
    each block is half as large."""
    roles, blocks, *_ = drawn(cell, preset("keras", 20, 40), 40)
    kernel = np.concatenate(blocks, 1)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(40), atol=1e-12)
    sizes = np.linalg.norm(blocks, axis=(1, 2))
    np.testing.assert_allclose(sizes, (40 / len(roles)) ** 0.5, rtol=0.1)


def test_orthogonal_matrices_are_drawn_evenly():
    """Over the whole group the mean is zero and the determinant has either sign; a bare
    QR fails this."""
    draws = np.stack(
        [orthogonal(np.random.default_rng(seed), 3) for seed in range(400)]
    )
    assert np.abs(draws.mean(0)).max() < 5 / math.sqrt(3 * 400)
    assert 120 < np.sum(np.linalg.det(draws) > 0) < 280


def test_recurrent_blocks_may_be_gaussian():
    _, blocks, *_ = drawn("lstm", Init(gain=1.5, orthogonal=False), 100)
    gains = [np.std(block) * 10 for block in blocks]
    np.testing.assert_allclose(gains, [1, 1, 1.5, 1], rtol=0.05)


def test_open_gate_starts_with_a_loop_gain_of_1_16():
    init = preset("open_gate", 50, 110)
    gain = expit(init.input) * expit(init.output) * init.gain
    assert gain == pytest.approx(1.16, abs=0.005)


@pytest.mark.parametrize("lag", [1, 10, 100])
def test_hold_opens_the_forget_gate_by_the_log_of_the_lag(lag):
    init = preset("hold", lag, 3 * lag)
    assert init == Init(input=-math.log(lag + 1) - 1, forget=math.log(lag + 1) + 1)
    # most of the cell is left when the answer is due
    assert expit(init.forget) ** lag > 0.69


def test_chrono_draws_log_uniform_times_and_shuts_the_input_gate_as_much():
    init = replace(preset("chrono", 7, 50), orthogonal=False)
    _, _, (write, forget, *others), _ = drawn("lstm", init, 500)
    np.testing.assert_array_equal(write, -forget)
    assert not np.any(others)
    assert forget.min() >= 0
    assert math.log(40) < forget.max() <= math.log(49)
    assert kstest(np.exp(forget), "uniform", (1, 48)).pvalue > 0.01
    assert preset("chrono", 1, 2).spread == 2  # the shortest sequence still has a range


@pytest.mark.parametrize(
    ("cell", "readout", "init"),
    [
        ("lstm", "lstm", preset("chrono", 5, 20)),
        ("GRUCell", "dense", preset("chrono", 5, 20)),
        ("GRUCell", "dense", None),
        ("odd_cells:Diagonal", "dense", None),
        ("odd_cells:Clocked", "dense", None),
    ],
)
def test_the_same_entropy_draws_the_same_weights(cell, readout, init):
    net = architecture(cell, readout)
    first = net.init(init, [3, 1])
    dtypes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), first)
    shapes = net.abstract_weights()
    assert dtypes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes)
    jax.tree.map(np.testing.assert_array_equal, first, net.init(init, [3, 1]))
    for entropy in ([3, 2], [1, 3], [3]):
        other = net.init(init, entropy)
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
        assert not any(np.array_equal(a, b) for a, b in pairs if a.ndim == 2)


@pytest.mark.parametrize(
    "init", [preset("open_gate", 5, 20), None], ids=["gates", "own"]
)
def test_a_dense_readout_starts_without_bias_and_an_lstm_readout_with_a_forget_bias_of_1(
    init,
):
    readout = architecture("GRUCell").init(init, [0])["readout"]
    assert not np.any(readout["bias"])
    limit = math.sqrt(6 / (U + OUT))
    assert 0.5 * limit < np.abs(readout["kernel"]).max() <= limit
    top = architecture("GRUCell", "lstm").init(init, [0])["readout"]
    np.testing.assert_array_equal(top["bias"], np.repeat([0, 1, 0, 0], OUT))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("xavier", 5, 9), "recipe.init=xavier"),
        (("chrono", 5, 9, 2.0), "recipe.forget_bias=2.0"),
    ],
)
def test_a_wrong_preset_is_one_line(arguments, named):
    message = refusal(lambda: preset(*arguments))
    assert message.startswith(named)
    assert "forget_bias" in message

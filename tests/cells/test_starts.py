"""How cells start, and minGRU, minLSTM and LRUs at the ends of their ranges."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import run_loop
from lstm_reference import quick_jit
from scipy.special import expit
from scipy.stats import kstest

import memcap
from memcap.cells import Init, cell_class
from memcap.cells.lru import LRU
from memcap.loops.associative import diagonal_scan
from memcap.models.architecture import Architecture
from memcap.models.model import Model

pytestmark = pytest.mark.usefixtures("quick_file")
F = 4
U = 5


def test_float32_holds_over_a_thousand_steps_whether_the_gates_are_shut_or_open():
    """Where decays multiply to 0 long before the end, and where they hardly decay at all."""
    rng = np.random.default_rng(1)
    steps = 1000
    decay = expit(rng.choice([-30.0, -3.0, 3.0, 9.0], (steps, 2, 6))).astype(np.float32)
    decay[:, :, :2] = expit([-30.0, 14.0])  # one unit always shut, one always open
    added = ((1 - decay) * rng.standard_normal(decay.shape)).astype(np.float32)
    scan = quick_jit(partial(diagonal_scan, False))
    found = scan(decay, added, np.zeros((2, 6), np.float32), np.ones(steps, np.float32))
    state = np.zeros((2, 6))
    right = []
    for a, b in zip(decay.astype(np.float64), added.astype(np.float64), strict=True):
        state = a * state + b
        right.append(state)
    assert np.prod(decay[:, 0, 0], dtype=np.float32) == 0
    assert np.abs(found - np.array(right)).max() < 1e-6


@pytest.mark.breadth
def test_shut_gates_of_a_min_lstm_still_share_one_whole():
    cell = cell_class("minLSTM")(1, 1, rngs=nnx.Rngs(0))
    for f, i in [(-500.0, -500.0), (-500.0, 500.0), (500.0, -500.0), (-200.0, -201.0)]:
        cell.kernel[...] = jnp.zeros((1, 3))
        cell.bias[...] = jnp.array([f, i, 1.0])
        keeps, added = cell.coefficients(jnp.ones((1, 1)))
        expected = expit(min(f, 0.0) - min(i, 0.0))  # log sigmoid(x) is x far below 0
        assert keeps.item() == pytest.approx(expected, abs=1e-6)
        assert added.item() == pytest.approx(1 - expected, abs=1e-6)


@pytest.mark.breadth
def test_an_lru_starts_in_its_ring_with_the_variance_of_its_input():
    cell = LRU(3, 4000, rngs=nnx.Rngs(0))
    decay, added = cell.coefficients(jnp.eye(3))
    assert (
        kstest(np.abs(decay) ** 2, "uniform", (0.4**2, 0.99**2 - 0.4**2)).pvalue > 0.01
    )
    assert kstest(np.angle(decay), "uniform", (0, np.pi)).pvalue > 0.01
    stationary = (np.abs(added) ** 2).sum(0) / (
        1 - np.abs(decay) ** 2
    )  # of white inputs of variance 1
    assert stationary.mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("cell", "init", "gram"),
    [("irnn", None, 1), ("irnn", Init(gain=0.5), 0.25), ("linear", None, 1)],
)
def test_it_starts_orthogonal_by_itself_and_by_name(cell, init, gram):
    net = Architecture(Model(cell, 6), 2, 2)
    weights = net.init(init, [1])["cell"]
    recurrent = weights["recurrent"]
    np.testing.assert_allclose(recurrent @ recurrent.T, gram * np.eye(6), atol=1e-5)
    if cell == "irnn":
        np.testing.assert_array_equal(recurrent, recurrent[0, 0] * np.eye(6))
    assert not np.any(weights["bias"])
    assert net.carry_numbers() == 6


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "enough"), [("linear", 3), ("LRU", 2)])
def test_training_needs_exactly_what_the_theorem_says_at_lag_2(cell, enough):
    """lag + 1 carry numbers, in whole units: one a linear unit, two an LRU's."""
    runs = memcap.members(
        task="delay_line",
        lag=2,
        cell=cell,
        units=[enough - 1, enough],
        recipe="own_start",
        budget=1000,
        seed=2,
    )
    rows = memcap.train(runs, engine=memcap.Engine(workers=1), progress=False)
    assert rows.filter(rows["units"] < enough)["solved"].to_list() == [False, False]
    assert rows.filter(rows["units"] == enough)["steady"].to_list() == [True, True]


def starts(name, seed):
    return Architecture(Model(name, U), F, 2).init(None, [seed])["cell"]


def test_xlstm_starts_as_its_authors_start_it():
    mlstm = starts("mlstm", 1)
    write, keep = mlstm["bias"]
    assert not np.any(mlstm["gate"])
    assert keep == 3
    assert 0 < abs(write) < 0.5  # five standard deviations
    slstm = starts("slstm", 1)
    bias = np.split(slstm["bias"], 4)
    assert not np.any(slstm["recurrent"])
    np.testing.assert_allclose(bias[1], [3, 3.75, 4.5, 5.25, 6])
    assert not np.any([bias[0], bias[2], bias[3]])


def test_gla_forgets_half_in_16_steps():
    np.testing.assert_array_equal(starts("gla", 1)["bias"], np.zeros(16))


def test_rwkv7_starts_as_the_first_layer_of_its_authors():
    """RWKV-LM's RWKV-v7/train_temp/src/model.py, with one head, so that C = N."""
    net = starts("rwkv7", 1)
    size = len(net["removal"])
    decay, rate = np.split(net["bias"], 2)
    for n in range(size):
        linear = n / (size - 1) - 0.5
        zigzag = (n - (size - 1) / 2) / ((size - 1) / 2)
        zigzag *= abs(zigzag)
        www = -6 + 6 * (n / (size - 1))
        assert decay[n] == pytest.approx(www + 0.5 + zigzag * 2.5, abs=1e-6)
        right = -0.19 + zigzag * 0.3 + linear * 0.4
        assert rate[n] == pytest.approx(right, abs=1e-6)
        assert net["removal"][n] == pytest.approx(0.71 - linear * 0.1)
    assert not np.any(net["gate"])


def test_the_decays_of_rg_lru_are_spread_over_a_ring():
    rates = np.concatenate([starts("RG_LRU", seed)["rate"] for seed in range(20)])
    radii = 1 / (1 + np.exp(rates))
    assert 0.9 <= radii.min() < 0.91
    assert 0.99 < radii.max() <= 0.999


@pytest.mark.parametrize(
    ("name", "least"),
    [("gated_delta_net+rate", 0), ("kda+rate", 1), ("m2rnn+rate", 0), ("mamba2", 1)],
)
def test_rates_and_steps_are_spread_over_where_they_are_drawn(name, least):
    nets = [starts(name, seed) for seed in range(20)]
    rates = np.exp([net["log_rate"][0] for net in nets])
    assert least <= rates.min() < least + 4
    assert 13 < rates.max() <= 16
    if name == "mamba2":
        steps = np.log1p(np.exp([net["bias"][0] for net in nets]))
        assert 0.00099 <= steps.min() < 0.003
        assert 0.03 < steps.max() <= 0.101


def test_a_unitary_state_without_a_bias_is_turned_for_500_steps_and_loses_nothing():
    cell = cell_class("urnn")(3, 6, rngs=nnx.Rngs(0))
    cell.bias[...] = jnp.zeros(6)
    start = jnp.asarray(np.random.default_rng(1).standard_normal((1, 6)), jnp.complex64)
    last, _ = run_loop("while", cell, np.zeros((500, 1, 3), np.float32), start)
    np.testing.assert_allclose(np.linalg.norm(last), np.linalg.norm(start), rtol=1e-3)

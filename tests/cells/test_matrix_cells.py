"""Cells with a matrix: what they recall, and what they cannot take back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import run_loop
from lstm_reference import quick_jit

from memcap.cells import cell_class, cell_facts
from memcap.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model

SIGNED = ("signed_delta_net", "delta_product")
ADDING = ("linear_attention", "mamba2", "gla")
NAMES = (*ADDING, *SIGNED, "delta_net", "gated_delta_net")
F = 3
U = 5


@pytest.mark.parametrize(
    "name",
    ["mamba2+key4", *leave(["gla+key1", "delta_product+key1", "delta_net+key32"])],
)
def test_loops_serve_a_key_of_any_size(name):
    cell = cell_class(name)(F, U, rngs=nnx.Rngs(0))
    assert cell.query.shape[-1] == int(name.partition("key")[2])
    x = jax.random.normal(jax.random.key(1), (7, 2, F))
    carry = cell.initialize_carry((2, F))
    right = run_loop("plain", cell, x, carry)[1]
    for loop in ("masked", "associative"):
        hidden = run_loop(loop, cell, x, carry)[1]
        np.testing.assert_allclose(hidden, right, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [*NAMES, "mlstm"])
def test_the_state_is_counted_with_its_size_of_a_key_and_its_heads(name):
    more = 5 if name == "mlstm" else 0  # n and m
    for suffix, heads in ((f"{name}+key4", 1), (f"{name}+key4+heads3", 3)):
        carried = Architecture(Model(suffix, U), F, 2).carry_numbers()
        assert carried == heads * (4 * U + more) + F
        facts = cell_facts(suffix, F)
        assert (facts.numbers_per_unit, facts.bits_per_unit) == (4 * heads, 128 * heads)
        assert Model(suffix, U).hidden == heads * U
    assert cell_facts(f"{name}+key4+heads3+bits2", F).bits_per_unit == 4 * 3 * 2


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lstm+key8", "part of a cell with a matrix"),
        ("delta_net+bits2+heads2", "before a variant of its carry"),
        ("delta_net+heads2+heads2", "before a variant of its carry"),
        ("delta_net+heads2+key4", "part of a cell with a matrix"),
        ("delta_net+heads2+conv4", "part of a cell with a matrix and one write"),
        ("delta_net+key4+key8", "each suffix can stand once"),
        ("delta_net+key08", "no such variant"),
        ("delta_net+key257", "no such variant"),
        ("delta_net+heads1", "no such variant"),
    ],
)
def test_a_key_or_heads_of_another_cell_are_refused_in_one_line(name, why):
    with pytest.raises(UserError, match=why):
        Model(name)


@pytest.mark.breadth
@pytest.mark.usefixtures("quick_compile")
def test_the_decays_of_a_net_start_small():
    """GLA forgets half in 16 steps; rates and steps of 20 nets of Mamba-2 are spread
    over where they are drawn."""
    gla = Architecture(Model("gla", U), F, 2).init(None, [1])["cell"]
    np.testing.assert_array_equal(gla["bias"], np.zeros(16))
    nets = [
        Architecture(Model("mamba2", U), F, 2).init(None, [seed])["cell"]
        for seed in range(20)
    ]
    rates = np.exp([net["log_rate"][0] for net in nets])
    steps = np.log1p(np.exp([net["bias"][0] for net in nets]))
    assert 1 <= rates.min() < 4
    assert 13 < rates.max() <= 16
    assert 0.00099 <= steps.min() < 0.003
    assert 0.03 < steps.max() <= 0.101


def written(name, pairs):
    """The state (1, K, U) after these keys and values, at full strength and, where it
    is gated, no decay."""
    cell = cell_class(name)(F, U, rngs=nnx.Rngs(0))
    state, _ = cell.initialize_carry((1, F))
    gates = [jnp.full(1, 50.0), jnp.full(1, -50.0)]
    if name == "mamba2":  # a step of 1, by which nothing decays
        gates = [jnp.log(jnp.expm1(jnp.ones(1)))]
        cell.log_rate[...] = jnp.full(1, -50.0)
    if name == "gla":
        gates = [jnp.full(1, 50.0)] * cell.keys
    for key, value in pairs:
        state = cell.write(state, key[None], value[None], gates)
    return np.asarray(state)


def random_pairs(count):
    rng = np.random.default_rng(3)
    keys = np.linalg.qr(rng.standard_normal((16, 16)))[0][:count].astype(np.float32)
    values = rng.standard_normal((count, U)).astype(np.float32)
    return list(zip(map(jnp.asarray, keys), map(jnp.asarray, values), strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SIGNED])
def test_as_many_orthogonal_keys_as_a_key_has_numbers_are_recalled(name):
    pairs = random_pairs(16)
    state = written(name, pairs)[0]
    for key, value in pairs:
        np.testing.assert_allclose(state.T @ np.asarray(key), value, atol=1e-5)


@pytest.mark.parametrize("name", [*ADDING, "delta_net", "gated_delta_net"])
def test_only_the_delta_rule_overwrites(name):
    (key, old), (_, new) = random_pairs(2)
    state = written(name, [(key, old), (key, new)])[0]
    wanted = old + new if name in ADDING else new
    np.testing.assert_allclose(state.T @ np.asarray(key), wanted, atol=1e-5)


def test_a_signed_write_of_nothing_reflects_the_state():
    pairs = random_pairs(3)
    before = written("delta_net", pairs)
    cell = cell_class("signed_delta_net")(F, U, rngs=nnx.Rngs(0))
    key = pairs[0][0]
    nothing = jnp.zeros((1, U))
    after = cell.write(jnp.asarray(before), key[None], nothing, [jnp.full(1, 50.0)])
    assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), rel=1e-5)
    np.testing.assert_allclose(after[0].T @ key, -before[0].T @ key, atol=1e-5)


@pytest.mark.breadth
def test_two_writes_of_a_delta_product_turn_a_state_and_the_same_two_turn_it_on():
    """Reflections in two keys 45 degrees apart are a quarter turn: four of them give
    the state back."""
    cell = cell_class("delta_product")(1, 2, rngs=nnx.Rngs(0))
    keys = np.zeros((2, 2, cell.keys))
    keys[0, 0, 0] = 1
    keys[1, 0, :2] = np.sqrt(0.5)
    cell.key[...] = jnp.asarray(keys)
    cell.value[...] = jnp.zeros((2, 2, 2))
    cell.gate[...] = jnp.zeros((2, 2))
    cell.bias[...] = jnp.full(2, 50.0)
    state = jnp.zeros((1, cell.keys, 2)).at[0, :2].set(jnp.eye(2))
    inputs = jnp.ones((4, 1, 1)) * jnp.eye(1, 2)
    states = quick_jit(
        lambda: jax.lax.scan(lambda s, x: 2 * (cell.update(s, x),), state, inputs)[1]
    )()
    np.testing.assert_allclose(states[0, 0, :2], [[0, -1], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(states[3], state, atol=1e-5)

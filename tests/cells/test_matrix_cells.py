"""Cells with a matrix: what they recall, and what they cannot take back."""

import jax
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import run_loop

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

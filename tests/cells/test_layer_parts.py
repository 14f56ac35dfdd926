"""Parts of published layers and sizes of keys: what a net carries, and how it is run
(tests/cells/test_recurrences.py has their recurrences)."""

import jax
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import run_loop

from memcap import loops
from memcap.cells import cell_class, cell_facts
from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 3
U = 5
K = 16


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("gla+conv4+gate", K * U + 3 * F),
        ("mlstm+conv4+gate+skip", K * U + K + 1 + 3 * F),
        ("slstm+conv4", 4 * U + 3 * F),
        ("gla+conv4+gate+clock16", K * U + 3 * F + 1),
        ("gla+key4+heads2+clock16", 2 * 4 * U + F + 1),
    ],
)
def test_the_carry_counts_the_inputs_that_a_convolution_sees_again(name, numbers):
    assert Architecture(Model(name, U), F, 2).carry_numbers() == numbers


@pytest.mark.parametrize("part", ["conv4", "gate", "conv4+skip", "heads2", "clock16"])
@pytest.mark.parametrize("name", ["mamba2", "mlstm"])
def test_accelerators_leave_a_step_of_its_own_to_the_loop_for_any_cell(name, part):
    cell = cell_class(f"{name}+{part}")
    assert loops.choose("auto", loops.Request(cell, "gpu", False)).loop == "masked"


@pytest.mark.parametrize(
    "name", ["mamba2+key4", *leave(["delta_product+key1", "delta_net+key32"])]
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


@pytest.mark.parametrize(
    ("name", "more"), [("gla", 0), ("delta_product", 0), ("mlstm", 5)]
)
def test_the_state_is_counted_with_its_size_of_a_key_and_its_heads(name, more):
    """mLSTM has more numbers, n and m."""
    for suffix, heads in ((f"{name}+key4", 1), (f"{name}+key4+heads3", 3)):
        carried = Architecture(Model(suffix, U), F, 2).carry_numbers()
        assert carried == heads * (4 * U + more) + F
        facts = cell_facts(suffix, F)
        assert (facts.numbers_per_unit, facts.bits_per_unit) == (4 * heads, 128 * heads)
    assert cell_facts(f"{name}+key4+heads3+bits2", F).bits_per_unit == 4 * 3 * 2

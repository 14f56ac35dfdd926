"""Parts of published layers: what a net carries, how its parts go together, and which
cells may have them (tests/cells/test_recurrences.py has their recurrences)."""

import jax
import numpy as np
import pytest
from flax import nnx

from memcap import loops
from memcap.cells import cell_class
from memcap.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 3
U = 5
K = 16
B = 2
T = 7


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
    assert not np.array_equal(whole.head_0.key[...], whole.head_1.key[...])


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

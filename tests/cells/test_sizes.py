"""All cells: the table of what reference widths ask of them says what their own carries
say, and none divides by a zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from lstm_reference import quick_jit

from memcap import store
from memcap.cells import CellFacts, cell_class, cell_classes, cell_facts
from memcap.cells.registry import count
from memcap.cells.sizes import FACTS
from memcap.store.shards import rows_file


@pytest.mark.parametrize("name", FACTS)
def test_a_line_of_the_table_is_what_is_counted(name):
    assert cell_class(name).name == name
    assert cell_facts(name) == FACTS[name]
    assert {count(name, features) for features in (1, 3)} == {FACTS[name]}


def test_a_cell_without_a_line_is_counted():
    assert "lstm+bfloat16" not in FACTS
    assert cell_facts("lstm+bfloat16") == CellFacts(2, 32)


def test_bytes_are_those_of_the_carries_of_published_nets():
    """Rows count the last input of cells with a matrix as 65 numbers; it is one symbol."""
    nets = store.read(rows_file("recall_pairs")).select(
        "cell", "units", "carry_numbers"
    )
    for cell, units, numbers in nets.unique().iter_rows():
        facts = cell_facts(cell)
        last = facts.inputs
        assert facts.carry_bytes(units) == 4 * (numbers - 65 * last) + last


@pytest.mark.parametrize("name", leave(cell_classes(), but="lstm".__eq__))
def test_gradients_are_finite_where_all_is_zero(name):
    graph, weights = nnx.split(cell_class(name)(3, 5, rngs=nnx.Rngs(0)))
    carry = nnx.merge(graph, weights).initialize_carry((2, 3), nnx.Rngs(0))

    def loss(weights, carry, inputs):
        after, hidden = nnx.merge(graph, weights)(carry, inputs)
        return sum(leaf.real.sum() for leaf in jax.tree.leaves((after, hidden)))

    slopes = quick_jit(jax.grad(loss, (0, 1, 2)))(weights, carry, jnp.zeros((2, 3)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_the_gradient_is_finite_where_rg_lru_forgets_nothing():
    """There 1 - a^2, of which it takes the root, is 0."""
    graph, weights = nnx.split(cell_class("RG_LRU")(3, 5, rngs=nnx.Rngs(0)))

    weights["gate_bias"][...] = jnp.full(10, -200.0)

    def loss(weights):
        cell = nnx.merge(graph, weights)
        return cell(jnp.ones((2, 5)), jnp.ones((2, 3)))[0].sum()

    value, slopes = quick_jit(jax.value_and_grad(loss))(weights)
    assert value == 10
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))

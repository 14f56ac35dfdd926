"""What sweeps/atlas/need.py says of sequences whose content is known."""

from pathlib import Path

import numpy as np
import pytest
from own_programs import program

ROOT = Path(__file__).parents[1]
BITS = np.random.default_rng(0).integers(0, 2, (2000, 12))


@pytest.fixture(scope="module")
def need():
    return program("sweeps/atlas/need.py")


def last(answers):
    """Targets (N, T) that are due at the last step."""
    due = np.zeros(BITS.shape, bool)
    due[:, -1] = True
    return np.where(due, answers[:, None], 0), due


def test_a_delay_holds_its_bits_and_a_sum_one_number(need):
    due = np.arange(12) >= 4
    due = np.broadcast_to(due, BITS.shape)
    found = need.estimate(BITS, np.roll(BITS, 4, 1), due, 2, 2)
    assert (found.reach, found.rank) == (4, 4)
    assert found.amount == pytest.approx(4, abs=0.01)
    total = need.estimate(BITS, *last(BITS.sum(1).astype(float)), 2, None)
    assert (total.rank, total.amount, total.values) == (1, 1, True)


@pytest.mark.parametrize(
    "answers", [BITS.sum(1) % 2, np.random.default_rng(1).integers(0, 2, 2000)]
)
def test_parity_and_chance_are_unknown(need, answers):
    assert need.estimate(BITS, *last(answers), 2, 2).amount is None


def test_few_pasts_bound_the_bits(need):
    """One of six places takes the bits that tell it, not a direction per place."""
    where = np.random.default_rng(2).integers(0, 6, 2000)
    inputs = (np.arange(12) == where[:, None]).astype(int)
    due = np.broadcast_to(np.arange(12) >= 6, inputs.shape)
    found = need.estimate(inputs, np.roll(inputs, 6, 1) * due, due, 2, 2)
    assert found.amount <= np.log2(7)
    assert found.rank > 3

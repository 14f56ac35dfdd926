"""Copying by one who knows which symbols came, and not in what order."""

import math
from collections import Counter
from itertools import product

import pytest

from memcap.findings import without_order


@pytest.mark.parametrize(
    ("items", "symbols", "accuracy"),
    [(1, 5, 1.0), (2, 2, 0.75), (3, 2, 0.75), (4, 4, 0.53125)],
)
def test_who_knows_what_came_but_not_in_what_order(items, symbols, accuracy):
    """Two bits: 00 and 11 are known, of 01 and 10 one of two; three bits: 2 of 8 are
    all right, of the others two thirds."""
    assert without_order.accuracy(items, symbols) == pytest.approx(accuracy)


@pytest.mark.parametrize(("items", "symbols"), [(3, 2), (4, 3), (5, 3)])
def test_the_loss_is_that_of_all_sequences_counted_one_by_one(items, symbols):
    total = 0.0
    for sequence in product(range(symbols), repeat=items):
        shares = Counter(sequence)
        total -= sum(math.log(shares[symbol] / items) for symbol in sequence) / items
    assert without_order.nats(items, symbols) == pytest.approx(total / symbols**items)


def test_the_plateau_of_ten_symbols_of_eight():
    assert without_order.accuracy(10, 8) == pytest.approx(0.30198, abs=1e-5)
    assert without_order.nats(10, 8) == pytest.approx(1.66002, abs=1e-5)

"""Bits of state: what a number and a symbol count for, on nets made up."""

import math

import pytest

from memcap.findings import load

BITS = load("cell_map_bits")
RECALL = load("cell_map_steps").KNOBS["mqar"]


@pytest.mark.parametrize(
    ("cell", "numbers", "each", "bits"),
    [
        ("GRUCell", 48, 4, 192),
        ("LRU", 8, 2, 16),
        ("delta_net", 16 + 17, 8, 128 + math.log2(17)),  # one of 17 symbols
        ("delta_net+key4", 64 + 17, 2, 128 + math.log2(17)),
        ("mlstm", 16 + 16 + 1 + 17, 1, 33 + math.log2(17)),  # with its gauge
    ],
)
def test_bits_are_those_of_numbers_and_of_the_symbol_that_came_last(
    cell, numbers, each, bits
):
    net = {"cell": cell, "carry_numbers": numbers, "each": each}
    assert BITS.bits_of(net | {"task": "mqar", "knobs": RECALL}) == pytest.approx(bits)

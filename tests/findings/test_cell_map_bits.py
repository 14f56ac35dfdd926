"""Bits of state: what a number, a symbol and a width count for, on nets made up."""

import math

import polars as pl
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


def test_half_of_three_nets_are_enough():
    passes = {8.0: [0, 0, 0], 16.0: [1, 1], 24.0: [1, 1, 0, 0]}

    def words(*sizes):
        nets = [(bits, bool(solved)) for bits in sizes for solved in passes[bits]]
        rows = pl.DataFrame(nets, schema=("bits", "solved"), orient="row")
        rows = rows.with_columns(task=1, cell=1, lr=1, each=1)
        (need,) = BITS.STEPS.narrowest(rows, "each", "bits").to_dicts()
        return BITS.STEPS.in_words(need, "bits")

    assert words(8.0, 16.0, 24.0) == "8 to 24"
    assert words(8.0, 16.0) == "> 8"
    assert words(16.0) == ""
    assert words(24.0) == "<= 24"

"""Jelassi et al. (2024): what is drawn and judged, on rows that nobody trained."""

import json
import math

import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.jelassi2024.paper import MATRIX, PAPER, VECTOR, curves, draw, fewest

BOUND, LONG, LENGTH, ALPHABET, OVERHEAD, START, BYTES = (claim.judge for claim in PAPER.claims)
PER_UNIT = {"LRU": 2, "lstm": 2}
OPEN = {"recipe": "open_gate", "init": "open_gate", "budget": 2000}


def nets(cell, numbers, items, *shares, symbols=8, **columns):
    """Nets of so many numbers of state, one a seed, by their share of strings right."""
    knobs, rows = {"items": items, "symbols": symbols}, []
    for seed, share in enumerate(shares):
        counts = {max(1, numbers // PER_UNIT.get(cell, 1)): (0, 1)}
        scores = {"lengths": "1", "whole_at_lengths": json.dumps([share]), "score_at_lengths": "[0.5]"}
        own = {"cell": cell, "knobs": knobs, "carry_numbers": numbers, "seed": seed}
        rows += group("copy", 1, counts, **own, **scores, **OPEN | columns)
    return rows


def from_width(cell, numbers, items, symbols=8):
    """A cell that has half of the strings right from so many numbers on."""
    return [
        *nets(cell, numbers - 2, items, 0.1, symbols=symbols),
        *nets(cell, numbers, items, 0.6, symbols=symbols),
    ]


def verdict(judge, *groups):
    return judge(table(*groups)).holds


def test_the_fewest_numbers_are_those_of_the_narrowest_width_with_half_of_all_strings():
    some = [nets("linear", 4, 4, 0.2, 0.7), nets("linear", 6, 4, 0.2, 0.9), nets("linear", 8, 4, 0.1, 0.1)]
    some += [nets("lstm", 8, 4, 0.4, None), nets("GRUCell", 2, 4, 0.6, symbols=64)]
    assert fewest(curves(table(*some))) == {
        (8, 4, "linear"): 6,
        (8, 4, "lstm"): math.inf,
        (64, 4, "GRUCell"): 2,
    }


def test_other_copies_and_nets_without_that_score_are_left_out():
    longer_wait = group("copy", 5, cell="linear", lengths="1", whole_at_lengths="[1.0]")
    assert curves(table(longer_wait, group("copy", 1, cell="linear"))).is_empty()


def test_one_net_below_the_bound_with_half_of_the_strings_right_denies_it():
    """Of 16 symbols of 8, 48 bits, one number of 32 bits can't hold 47; two can."""
    enough = nets("linear", 2, 16, 0.9)
    assert BOUND(table(enough)) == NOT_MEASURED
    below = nets("linear", 1, 16, 0.0, 0.49)
    assert BOUND(table(enough, below)).ours == "at most 0.490 of the strings right, in 2 nets"
    assert verdict(BOUND, enough, below) is True
    assert verdict(BOUND, enough, nets("linear", 1, 16, 0.0, 0.5)) is False


def test_long_strings_take_linear_cells():
    cells = {"linear": 0.9, "LRU": 0.8, "GRUCell": 0.45, "lstm": 0.3}

    def long(**other):
        return verdict(LONG, *(nets(cell, 64, 32, 0.1, share) for cell, share in (cells | other).items()))

    assert long() is True
    assert long(lstm=0.6) is False
    assert long(LRU=0.4) is False
    assert LONG(table(nets("linear", 64, 32, 0.9))) == NOT_MEASURED


def growth(of_lstm, of_linear=lambda items: items):
    some = []
    for items in (4, 8, 16, 32):
        some += [from_width(cell, of_linear(items), items) for cell in ("linear", "LRU")]
        some += [from_width("GRUCell", 2 * items, items), from_width("lstm", of_lstm(items), items)]
    return some


def test_each_cell_must_grow_in_proportion():
    assert verdict(LENGTH, *growth(lambda items: 4 * items)) is True
    assert LENGTH(table(*growth(lambda items: 4 * items))).ours.startswith(
        "linear 1.00 (4, 8, 16, 32); LRU 1.00"
    )
    assert verdict(LENGTH, *growth(lambda items: 4 * items + 12)) is False
    assert verdict(LENGTH, *growth(lambda items: items**2)) is False
    assert LENGTH(table(*growth(lambda items: 4 * items)[:-4])) == NOT_MEASURED, "without strings of 32"


def test_a_length_that_no_width_copies_denies_it_unless_it_is_beyond_what_is_judged():
    wide = [nets("linear", 64, 32, 0.2), nets("linear", 128, 32, 0.3)]
    some = [each for each in growth(lambda items: items) if each[0]["cell"] != "linear"]
    shorter = [from_width("linear", items, items) for items in (4, 8, 16)]
    found = LENGTH(table(*some, *shorter, *wide))
    assert (found.holds, found.ours.split(";")[0]) == (False, "linear nan (4, 8, 16, none)")


def test_equal_bits_are_compared_in_each_cell():
    some = [from_width(cell, 6, 4, symbols=64) for cell in VECTOR]
    assert verdict(ALPHABET, *some, *(from_width(cell, 8, 8) for cell in VECTOR)) is True
    assert (
        verdict(ALPHABET, *some, *(from_width(cell, 6 if cell == "LRU" else 8, 8) for cell in VECTOR))
        is False
    )
    assert ALPHABET(table(*some)) == NOT_MEASURED


def test_the_least_overhead_of_any_length_counts():
    """Of 8 symbols of 8, 24 bits, 3 numbers are 4 times as many bits, and 4 numbers 5.3 times."""
    some = [from_width(cell, 20, 4) for cell in VECTOR]
    assert verdict(OVERHEAD, *some, from_width("GRUCell", 4, 8)) is True
    assert verdict(OVERHEAD, *some, from_width("GRUCell", 3, 8)) is False
    assert OVERHEAD(table(*some[1:])) == NOT_MEASURED


@pytest.mark.parametrize(
    ("gates", "usual", "holds"), [(0.5, 0.4, True), (0.6, 0.5, False), (0.4, 0.1, False)]
)
def test_the_start_decides_where_each_net_copies_from_one_and_none_from_the_other(gates, usual, holds):
    usual = nets("lstm", 40, 8, 0.1, usual, 0.2, init="forget_bias")
    assert verdict(START, nets("lstm", 40, 8, 0.9, gates), usual) is holds
    assert START(table(usual)) == NOT_MEASURED
    assert fewest(curves(table(usual))) == {}


def test_matrices_must_take_several_times_the_numbers_of_the_widest_vector():
    def matrices(least, longer):
        some = [from_width(cell, 10 if cell == "lstm" else 4, 4) for cell in VECTOR]
        some += [from_width(cell, least, 4) for cell in MATRIX]
        return [*some, *(nets(cell, 266, 8, 0.1, longer) for cell in MATRIX)]

    assert verdict(BYTES, *matrices(40, 0.4)) is True
    assert verdict(BYTES, *matrices(39, 0.4)) is False
    assert verdict(BYTES, *matrices(40, 0.5)) is False
    assert BYTES(table(*matrices(40, 0.4)[:-1])) == NOT_MEASURED


def test_bits_of_state_are_drawn_against_bits_of_a_string():
    some = [from_width("linear", items, items) for items in (4, 8)]
    some += [from_width("linear", 3, 4, symbols=64), nets("lstm", 40, 8, 0.1, init="forget_bias")]
    drawn = draw(table(*some))
    assert drawn.data.equals(curves(table(*some)))
    left, right = drawn.figure.axes
    bits = {line.get_label(): line.get_ydata() for line in left.lines if len(line.get_xdata())}
    assert list(bits["_cell"]) == [4 * 32, 8 * 32]
    assert list(bits["_many"]) == [3 * 32]
    shares = {line.get_label(): line for line in right.lines}
    assert list(shares["linear"].get_ydata()) == [0.1, 0.6]
    assert list(shares["LSTM, forget bias 1"].get_xdata()) == [5]

"""Jelassi et al. (2024): what its judges and its arithmetic rest on."""

import json
import math

from study_rows import group, table

from memcap.papers.jelassi2024.paper import PAPER, curves, fewest

LENGTH = PAPER.claims[2].judge
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


def growth(of_lstm, of_linear=lambda items: items):
    some = []
    for items in (4, 8, 16, 32):
        some += [from_width(cell, of_linear(items), items) for cell in ("linear", "LRU")]
        some += [from_width("GRUCell", 2 * items, items), from_width("lstm", of_lstm(items), items)]
    return some


def test_a_length_that_no_width_copies_denies_it_unless_it_is_beyond_what_is_judged():
    wide = [nets("linear", 64, 32, 0.2), nets("linear", 128, 32, 0.3)]
    some = [each for each in growth(lambda items: items) if each[0]["cell"] != "linear"]
    shorter = [from_width("linear", items, items) for items in (4, 8, 16)]
    found = LENGTH(table(*some, *shorter, *wide))
    assert (found.holds, found.ours.split(";")[0]) == (False, "linear nan (4, 8, 16, none)")

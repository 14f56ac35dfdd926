"""Jelassi et al. (2024): the fewest numbers of state that copy half of the strings."""

import math

from study_rows import at_lengths, group, seeds, table

from memcap import findings

study = findings.load("jelassi2024")

PER_UNIT = {"lstm": 2}
OPEN = {"recipe": "open_gate", "init": "open_gate", "budget": 2000}


def nets(cell, numbers, items, *shares, symbols=8):
    """Nets of so many numbers of state, one a seed, by their share of strings right."""
    knobs = {"items": items, "symbols": symbols}
    own = {
        "cell": cell,
        "carry_numbers": numbers,
        "units": numbers // PER_UNIT.get(cell, 1),
    }
    return seeds(
        "copy",
        1,
        *(at_lengths([1], [share]) for share in shares),
        knobs=knobs,
        **own,
        **OPEN,
    )


def test_the_fewest_numbers_are_those_of_the_narrowest_width_with_half_of_all_strings():
    some = [
        nets("linear", 4, 4, 0.2, 0.7),
        nets("linear", 6, 4, 0.2, 0.9),
        nets("linear", 8, 4, 0.1, 0.1),
    ]
    some += [nets("lstm", 8, 4, 0.4, None), nets("GRUCell", 2, 4, 0.6, symbols=64)]
    least = {(8, 4, "linear"): 6, (8, 4, "lstm"): math.inf, (64, 4, "GRUCell"): 2}
    assert study.fewest(study.PAPER.table(table(*some))) == least


def test_other_copies_and_nets_without_that_score_are_left_out():
    longer_wait = group("copy", 5, cell="linear", lengths="1", whole_at_lengths="[1.0]")
    assert study.PAPER.table(
        table(longer_wait, group("copy", 1, cell="linear"))
    ).is_empty()


def test_a_length_that_no_width_copies_denies_growth_in_proportion():
    some = [
        nets(cell, n, n, 0.6)
        for cell in ("linear", "LRU", "GRUCell", "lstm")
        for n in (4, 8, 16, 32)
    ]
    assert study.PAPER.findings(table(*some))[1].holds is True
    some[3] = nets("linear", 64, 32, 0.2)
    found = study.PAPER.findings(table(*some))[1]
    assert (found.holds, found.ours.split(";")[0]) == (
        False,
        "linear nan (4, 8, 16, none)",
    )

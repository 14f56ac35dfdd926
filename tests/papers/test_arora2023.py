"""Arora et al. (2023): what is drawn and judged, on rows that nobody trained."""

from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.arora2023.paper import PAPER

UNITS = (4, 8, 16)


def rows(accuracy=lambda pairs, units: min(1.0, units / pairs / 4), pairs=(1, 2, 4), units=UNITS):
    """Two seeds each; accuracy: of nets with so many units on so many pairs."""
    return table(
        *(
            group("mqar", 16, {u: (0, 2)}, knobs={"pairs": n}, final=accuracy(n, u), carry_numbers=2 * u)
            for n in pairs
            for u in units
        )
    )


def holds(data):
    return [claim.judge(data).holds for claim in PAPER.claims]


def test_widths_that_rise_with_the_pairs_hold():
    assert holds(rows()) == [True, True]
    assert (
        PAPER.claims[0].judge(rows()).ours == "4 units for 1 pair, 8 units for 2 pairs, 16 units for 4 pairs"
    )
    never = rows(lambda pairs, units: 0.5 if pairs == 4 else min(1.0, units / pairs / 4))
    assert (
        PAPER.claims[0].judge(never).ours
        == "4 units for 1 pair, 8 units for 2 pairs, over 16 units for 4 pairs"
    )


def test_widths_that_do_not_rise_and_states_that_do_not_count_deny_it():
    assert holds(rows(lambda pairs, units: 1 - 1 / units + (pairs == 4) / 10)) == [False, False]
    assert holds(rows(lambda pairs, units: 1 / units)) == [None, False]


def test_few_rows_say_little():
    assert holds(rows(pairs=(2,))) == [None, None]
    assert PAPER.claims[1].judge(rows(units=(4,))) == NOT_MEASURED

"""Hewitt et al. (2020): the widths of the paper, what is drawn and judged, on rows that nobody trained."""

import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.hewitt2020.paper import PAPER, width

ENOUGH = {2: 2, 8: 8}
UNITS = {2: (1, 2, 6), 8: (4, 8, 24)}


def rows(right=lambda types, lag, units: units >= ENOUGH[types], twice=0.97, types=(2, 8), lags=(20, 80)):
    """Three seeds of each width; right: whether nets of so many types, lag and units are."""
    return table(
        *(
            group("dyck", lag, {units: (0, 3)}, knobs={"types": k}, final=final, stretched=twice, stretch=2)
            for k in types
            for lag in lags
            for units in UNITS[k]
            for final in [0.995 if right(k, lag, units) else 0.6]
        )
    )


@pytest.mark.parametrize(
    ("depth", "types", "units"),
    [(3, 2, 6), (3, 8, 24), (3, 32, 42), (3, 128, 60), (5, 2, 10), (5, 8, 40), (5, 32, 70), (5, 128, 100)],
)
def test_the_widths_of_the_published_configurations(depth, types, units):
    assert width(depth, types) == units


def test_what_the_rows_do_not_say_is_not_measured():
    bits, length = PAPER.claims[2:]
    assert bits.judge(rows(types=(2,))) == NOT_MEASURED
    assert bits.judge(rows(lambda types, lag, units: True)) == NOT_MEASURED, (
        "the narrowest tried is a bound only"
    )
    assert length.judge(rows(lags=(20,))) == NOT_MEASURED
    assert length.judge(rows(lambda types, lag, units: types == 2 or units >= 8)) == NOT_MEASURED, (
        "of one number of types alone there is a width that is too narrow"
    )
    narrow = rows().filter(units=2)
    assert [claim.judge(narrow) for claim in PAPER.claims[:2]] == [NOT_MEASURED] * 2

"""Kurtkaya, Dinc et al. (2025): the largest rate, its power of the delay and what is drawn, on rows that
nobody trained."""

import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.dynamical_phases2025.paper import PAPER, critical, power

RATES = (0.32, 0.18, 0.1, 0.056, 0.032, 0.018, 0.01, 0.0056, 0.0032)
LAGS = (5, 7, 10, 14)


def rows(exponent=3.0, lags=LAGS, stuck=0, seeds=16):
    """Seeds that train below a rate of .13 at a delay of 5, falling as a power of the delay; `stuck` of them
    at no rate."""
    below = {lag: 0.13 * (5 / lag) ** exponent for lag in lags}
    return table(
        *(
            group(
                "cue_discrimination",
                lag,
                {32: ((seeds - stuck) * (lr < below[lag]), seeds)},
                cell="leaky",
                lr=lr,
            )
            for lag in lags
            for lr in RATES
        )
    )


def holds(data):
    return [claim.judge(data).holds for claim in PAPER.claims]


@pytest.mark.parametrize(
    ("exponent", "verdicts"), [(0.0, [False, False]), (1.0, [True, False]), (3.0, [True, True])]
)
def test_the_power_that_the_rows_were_made_with_is_found(exponent, verdicts):
    line = power(rows(exponent))
    assert line.low < exponent < line.high
    assert line.power == pytest.approx(exponent, abs=0.3)
    assert holds(rows(exponent)) == verdicts


def test_the_largest_rate_lies_between_the_last_that_trains_and_the_first_that_does_not():
    ten = critical(rows(stuck=4)).filter(lag=10).row(0, named=True)
    assert 0.01 < ten["low"] < ten["rate"] < ten["high"] < 0.018
    assert ten["lapse"] == pytest.approx(4 / 16, abs=0.08)


def test_delays_whose_largest_rate_is_beyond_those_tried_are_left_out():
    far = rows(lags=(5, 10, 100))
    assert critical(far)["censored"].to_list() == ["no", "no", "above"]
    assert power(far) is None
    assert [claim.judge(far) for claim in PAPER.claims] == [NOT_MEASURED] * 2

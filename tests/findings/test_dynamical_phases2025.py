"""Kurtkaya, Dinc et al. (2025): the largest rate, and its power of the delay, on rows
that nobody trained."""

import pytest
from study_rows import group, table

from memcap import findings

study = findings.load("dynamical_phases2025")

RATES = (0.32, 0.18, 0.1, 0.056, 0.032, 0.018, 0.01, 0.0056, 0.0032)


def rows(exponent=3.0, lags=(5, 7, 10, 14), stuck=0, seeds=16):
    """Seeds that train below a rate of .13 at a delay of 5, falling as a power of the
    delay; `stuck` of them at no rate."""
    groups = []
    for lag in lags:
        below = 0.13 * (5 / lag) ** exponent
        for lr in RATES:
            trained = {32: ((seeds - stuck) * (lr < below), seeds)}
            groups += group("cue_discrimination", lag, trained, cell="leaky", lr=lr)
    return table(groups)


def fits(*how, **more):
    return study.posteriors(study.counts(rows(*how, **more)))


@pytest.mark.parametrize(
    ("exponent", "falls"), [(0.0, False), (1.0, False), (3.0, True)]
)
def test_the_power_that_the_rows_were_made_with_is_found(exponent, falls):
    line = study.power(fits(exponent))
    assert line.low < exponent < line.high
    assert line.power == pytest.approx(exponent, abs=0.3)
    assert [finding.holds for finding in study.PAPER.findings(rows(exponent))] == [
        falls
    ]


def test_the_largest_rate_lies_between_the_last_that_trains_and_the_first_that_does_not():
    ten = study.critical(fits(stuck=4)).filter(lag=10).row(0, named=True)
    assert 0.01 < ten["low"] < ten["rate"] < ten["high"] < 0.018
    assert ten["lapse"] == pytest.approx(4 / 16, abs=0.08)


def test_delays_whose_largest_rate_is_beyond_those_tried_are_left_out():
    far = fits(lags=(5, 10, 100))
    assert study.critical(far)["censored"].to_list() == ["no", "no", "above"]
    assert study.power(far) is None

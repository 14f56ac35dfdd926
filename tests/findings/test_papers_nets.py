"""Which nets papers' findings count, on rows that nobody trained."""

import math

import numpy as np
import pytest
from study_rows import group, seeds, table

from memcap.findings import load


def test_losses_of_arjovsky2016_are_over_all_steps_as_the_papers():
    study = load("arjovsky2016")
    assert pytest.approx(10 * math.log(8) / 120) == study.BASELINE
    knobs = {"items": 10, "symbols": 8}
    learnt = {"train_loss": 0.01 / study.SHARE, "steps_to_solve": 300}
    lost = {"train_loss": None}
    data = study.PAPER.table(table(seeds("copy", 100, learnt, {}, lost, knobs=knobs)))
    half = 0.5 * study.SHARE
    assert data["loss"].to_list() == [pytest.approx(0.01), pytest.approx(half), None]
    assert data["steps"].to_list() == [300, None, None]


RATES = (0.32, 0.18, 0.1, 0.056, 0.032, 0.018, 0.01, 0.0056, 0.0032)


def phases(exponent=3.0, lags=(5, 7, 10, 14), stuck=0):
    """Seeds that train below a rate of .13 at a delay of 5, falling as a power of the
    delay; `stuck` of 16 at no rate."""
    groups = []
    for lag in lags:
        below = 0.13 * (5 / lag) ** exponent
        for lr in RATES:
            trained = {32: ((16 - stuck) * (lr < below), 16)}
            groups += group("cue_discrimination", lag, trained, cell="leaky", lr=lr)
    return table(groups)


@pytest.mark.parametrize(("exponent", "falls"), [(0.0, False), (1, False), (3, True)])
def test_the_power_that_the_rows_were_made_with_is_found(exponent, falls):
    study = load("dynamical_phases2025")
    rows = phases(exponent)
    line = study.power(study.posteriors(study.counts(rows)))
    assert line.low < exponent < line.high
    assert line.power == pytest.approx(exponent, abs=0.3)
    assert [finding.holds for finding in study.PAPER.findings(rows)] == [falls]


WINDOW = (0.001, 0.01, 0.1, 1.0)  # rates


@pytest.mark.parametrize(
    ("accuracies", "low", "high", "is_open"),
    [
        # .9 of .8 is .72: 8/9 of the way from .08 to .8 in the logarithm
        ((0.08, 0.8, 0.08, 0.08), -3 + 8 / 9, -2 + 1 / 9, False),
        ((0.08, 0.8, 0.72, 0.08), -3 + 8 / 9, -1, False),
        ((0.08, 0.8, 0.75, 0.74), -3 + 8 / 9, 0, True),
        ((0.8, 0.08, 0.08, 0.08), -3, -3 + 1 / 9, True),
        # what is past a gap
        ((0.78, 0.08, 0.8, 0.08), -2 + 8 / 9, -1 + 1 / 9, False),
    ],
)
def test_a_window_goes_on_from_the_best_rate_to_nine_tenths_of_its_accuracy(
    accuracies, low, high, is_open
):
    window = load("revisiting2025").window(np.array(WINDOW), np.array(accuracies))
    assert (window.low, window.high) == pytest.approx((10**low, 10**high))
    assert window.decades == pytest.approx(high - low)
    assert window.best == WINDOW[int(np.argmax(accuracies))]
    assert window.open is is_open
    assert ("or more" in str(window)) is is_open

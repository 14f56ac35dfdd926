"""Okpekpe & Orvieto (2025): the window of rates."""

import numpy as np
import pytest
from study_rows import seeds, table

from memcap.papers.revisiting2025.paper import curves, window, windows

RATES = (0.001, 0.01, 0.1, 1.0)
KNOBS = {"symbols": 32, "pairs": 8, "layout": "stacked"}


@pytest.mark.parametrize(
    ("accuracies", "low", "high", "is_open"),
    [
        # .9 of .8 is .72: 8/9 of the way from .08 to .8 in the logarithm
        ((0.08, 0.8, 0.08, 0.08), 10 ** (-3 + 8 / 9), 10 ** (-2 + 1 / 9), False),
        ((0.08, 0.8, 0.72, 0.08), 10 ** (-3 + 8 / 9), 0.1, False),
        ((0.08, 0.8, 0.75, 0.74), 10 ** (-3 + 8 / 9), 1.0, True),
        ((0.8, 0.08, 0.08, 0.08), 0.001, 10 ** (-3 + 1 / 9), True),
        ((0.78, 0.08, 0.8, 0.08), 10 ** (-2 + 8 / 9), 10 ** (-1 + 1 / 9), False),  # what is past a gap
    ],
)
def test_a_window_goes_on_from_the_best_rate_to_nine_tenths_of_its_accuracy(accuracies, low, high, is_open):
    own = window(np.array(RATES), np.array(accuracies))
    assert (own.low, own.high) == pytest.approx((low, high))
    assert own.decades == pytest.approx(np.log10(high / low))
    assert own.best == RATES[int(np.argmax(accuracies))]
    assert own.open is is_open
    assert ("or more" in str(own)) is is_open


def test_a_net_that_diverged_has_recalled_nothing_and_other_rows_of_the_task_are_left_out():
    def nets(final, lr, units=4, **knobs):
        return seeds("mqar", 8, {"final": final}, units=units, knobs=KNOBS | knobs, cell="delta_net", lr=lr)

    some = [nets(*each) for each in zip((0.08, 0.8, 0.79, None), RATES, strict=True)]
    assert windows(curves(table(*some)))["delta_net"].high < 0.2
    others = [nets(0.5, 0.01, units=8), nets(0.5, 0.01, rewrites=1), nets(0.5, 0.01, layout="separate")]
    assert curves(table(*some, *others, nets(0.5, 0.01, pairs=16))).equals(curves(table(*some)))

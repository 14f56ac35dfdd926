"""Okpekpe & Orvieto (2025): what its judges and its arithmetic rest on."""

import numpy as np
import polars as pl
import pytest
from study_rows import group, table

from memcap.papers.revisiting2025.paper import NAMES, curves, window, windows

RATES = (0.001, 0.01, 0.1, 1.0)
KNOBS = {"symbols": 32, "pairs": 8, "layout": "stacked"}
NARROW, FLAT = (0.1, 0.8, 0.1, 0.1), (0.1, 0.8, 0.79, 0.1)


def rows(knobs=KNOBS, spread=(-0.01, 0.01), **curve):
    """Two seeds each, .01 to both sides of a cell's accuracies at four rates."""
    return table(
        *(
            group("mqar", 8, {4: (0, 1)}, knobs=knobs, cell=cell, lr=rate, final=accuracy and accuracy + by)
            for cell in NAMES
            for rate, accuracy in zip(RATES, curve.get(cell, NARROW), strict=True)
            for by in spread
        )
    )


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


def test_a_net_that_diverged_has_recalled_nothing():
    assert windows(curves(rows(delta_net=(0.08, 0.8, 0.79, None))))["delta_net"].high < 0.2


def test_other_rows_of_the_task_are_left_out():
    others = [
        table(group("mqar", 8, {units: (0, 1)}, knobs=KNOBS | knobs, cell="gla", lr=0.01, final=0.5))
        for units, knobs in ((8, {}), (4, {"rewrites": 1}), (4, {"layout": "separate"}), (4, {"pairs": 16}))
    ]
    assert curves(pl.concat([rows(), *others])).equals(curves(rows()))

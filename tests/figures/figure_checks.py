"""Helpers of the figures' tests."""

import math


def line(axes, label, lags=(4, 8, 16)):
    """The widths of the line of this label, by lag, where it does not break; its marks
    stand beside those of its neighbours."""
    (found,) = (x for x in axes.lines if x.get_label() == label)
    marks = [
        (x, float(y))
        for x, y in zip(*found.get_data(), strict=True)
        if not math.isnan(y)
    ]
    return {
        min(lags, key=lambda lag, x=x: abs(math.log2(x / lag))): y for x, y in marks
    }

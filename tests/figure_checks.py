"""Helpers of the figures' tests."""

import math

from study_rows import row_of, sizes


def line(axes, label, lags=(4, 8, 16)):
    """The widths of the line of this label, by lag, where it does not break; its marks
    stand beside those of its neighbours."""
    (found,) = (x for x in axes.lines if x.get_label() == label)
    widths = {}
    for x, y in zip(*found.get_data(), strict=True):
        if not math.isnan(y):
            lag = min(lags, key=lambda lag, x=x: abs(math.log2(x / lag)))
            widths[lag] = float(y)
    return widths


def counts_around(width, name, **net):
    """What a net of a delay line counts at the whole widths below and above."""
    widths = (math.floor(width), math.ceil(width))
    nets = (row_of(task="delay_line", units=units, **net) for units in widths)
    return [sizes(net)[name] for net in nets]

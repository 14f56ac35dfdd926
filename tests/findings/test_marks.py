"""The marks of the papers' figures."""

import polars as pl
import pytest

from memcap.findings import marks


def test_a_mark_has_a_bar_to_each_extreme():
    data = pl.DataFrame(
        {"units": [2], "score": [0.5], "least": [0.4], "greatest": [0.7]}
    )
    _, axes = marks.panels((4, 3))
    marks.with_bars(axes, data, "units", "score", beside=2, **marks.look(0))
    line, _, (bars,) = axes.containers[0].lines
    assert line.get_xydata().tolist() == [[4, 0.5]]
    assert bars.get_segments()[0][:, 1].tolist() == pytest.approx([0.4, 0.7])

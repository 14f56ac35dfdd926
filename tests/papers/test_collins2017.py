"""Collins et al. (2017): what its judges and its arithmetic rest on."""

import numpy as np
import polars as pl
import pytest
from study_rows import group, table

from memcap import papers
from memcap.papers.collins2017.paper import PAPER, curves, draw

UNITS = (2, 4, 6, 8, 10)
LINE = {2: 0.75, 4: 0.5, 6: 0.25, 8: 0.01, 10: 0.005}


def rows(error, lags=(1, 50), cell="lstm"):
    """Two seeds a width and lag of a vector of 8 numbers; error: of a lag and a width."""
    groups = []
    for lag in lags:
        for units in UNITS:
            groups += group(
                "vector_hold", lag, {units: (0, 2)}, knobs={"numbers": 8}, final=error(lag, units), cell=cell
            )
    return table(groups)


def holds(data):
    return [claim.judge(data).holds for claim in PAPER.claims]


def test_nets_whose_read_out_sees_the_whole_carry_are_drawn_beside_and_judged_by_none():
    whole = rows(lambda lag, units: max(0.02, 1 - 2 * units / 8), lags=(2,), cell="lstm+carry")
    both = pl.concat([rows(lambda lag, units: LINE[units]), whole])
    assert holds(both) == [True] * 3
    assert holds(whole) == [None] * 3
    assert curves(whole)["line"].to_list() == [0.5, 0, 0, 0, 0]
    h, carry = draw(both).figure.axes
    assert [len(axes.containers) for axes in (h, carry)] == [2, 1]
    np.testing.assert_allclose(
        np.asarray(carry.containers[0].lines[0].get_ydata(), float), [0.5, 0.02, 0.02, 0.02, 0.02]
    )
    grey = next(line for line in carry.get_lines() if line.get_label() == "1 - 2 u / 8")
    np.testing.assert_allclose(grey.get_ydata(), np.clip(1 - grey.get_xdata() / 4, 0, None))


def test_the_least_error_of_a_linear_read_out_is_the_line():
    """Numbers that are not trained: the best reconstruction of a random vector from u random directions of
    it."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20000, 8))
    for units in (2, 6):
        hidden = vectors @ rng.standard_normal((8, units))
        again = hidden @ np.linalg.lstsq(hidden, vectors, rcond=None)[0]
        assert ((again - vectors) ** 2).mean() == pytest.approx(1 - units / 8, abs=0.02)
    assert papers.summaries()["collins2017"].startswith("Does a recurrent net hold")

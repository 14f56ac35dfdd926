"""Collins et al. (2017): the line of a linear read-out, of h and of the whole carry."""

import numpy as np
import pytest
from study_rows import group, table

from memcap import findings

study = findings.load("collins2017")

LINE = {2: 0.75, 4: 0.5, 6: 0.25, 8: 0.01, 10: 0.005}


def nets(lag, errors, cell="lstm"):
    """Two seeds a width of a vector of 8 numbers, with these errors."""
    shape = {"knobs": {"numbers": 8}, "cell": cell}
    return [
        r
        for u, e in errors.items()
        for r in group("vector_hold", lag, {u: (0, 2)}, final=e, **shape)
    ]


def test_nets_whose_read_out_sees_the_whole_carry_are_drawn_beside_and_judged_by_none():
    whole = nets(2, {2: 0.5, 4: 0.02, 6: 0.02, 8: 0.02, 10: 0.02}, "lstm+carry")
    both = table(nets(1, LINE), nets(50, LINE), whole)
    assert [finding.holds for finding in study.PAPER.findings(both)] == [True] * 3
    assert study.PAPER.table(table(whole))["line"].to_list() == [0.5, 0, 0, 0, 0]
    h, carry = study.draw(both).figure.axes
    assert [len(axes.containers) for axes in (h, carry)] == [2, 1]
    drawn = np.asarray(carry.containers[0].lines[0].get_ydata(), float)
    np.testing.assert_allclose(drawn, [0.5, 0.02, 0.02, 0.02, 0.02])
    grey = next(line for line in carry.get_lines() if line.get_label() == "1 - 2 u / 8")
    np.testing.assert_allclose(
        grey.get_ydata(), np.clip(1 - grey.get_xdata() / 4, 0, None)
    )


def test_the_least_error_of_a_linear_read_out_is_the_line():
    """Numbers that are not trained: the best reconstruction of a random vector from u
    random directions of it."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20000, 8))
    for units in (2, 6):
        hidden = vectors @ rng.standard_normal((8, units))
        again = hidden @ np.linalg.lstsq(hidden, vectors, rcond=None)[0]
        assert ((again - vectors) ** 2).mean() == pytest.approx(1 - units / 8, abs=0.02)

"""Grazzi et al. (2024): what is drawn and judged, on rows that nobody trained."""

import polars as pl
import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.grazzi2024.paper import OTHERS, PAPER, POSITIVE, draw, scores

LEARNS, GOES_ON, UNLEARNT, DECIDES = (claim.judge for claim in PAPER.claims)


def rows(cell, nets):
    """Nets of a cell, (accuracy, accuracy on longer sequences) each."""
    groups = []
    for final, stretched in nets:
        status = {4: (final == 1, 1)}
        groups += group("parity", 16, status, cell=cell, final=final, stretched=stretched)
    return table(groups)


def test_scores_go_from_chance_to_one():
    data = scores(rows("delta_net", [(0.5, 0.75), (1.0, 0.25)]))
    assert data.select("trained", "longer", "solved").rows() == [(0.0, 0.5, False), (1.0, -0.5, True)]


def test_three_of_four_nets_must_reach_it():
    good, poor = (1.0, 0.95), (0.6, 0.5)
    most = rows("signed_delta_net", [good, good, good, poor])
    half = rows("signed_delta_net", [good, good, poor, poor])
    assert [judge(most).holds for judge in (LEARNS, GOES_ON)] == [True, True]
    assert [judge(half).holds for judge in (LEARNS, GOES_ON)] == [False, False]
    assert LEARNS(rows("delta_net", [good])) == NOT_MEASURED


@pytest.mark.parametrize(("best", "holds"), [(0.57, True), (0.6, False)])
def test_one_net_with_positive_eigenvalues_that_learns_is_enough_to_deny_it(best, holds):
    positive = rows("delta_net", [(0.5, 0.5), (best, 0.5)])
    assert UNLEARNT(positive) == NOT_MEASURED
    assert UNLEARNT(pl.concat([positive, rows("gated_delta_net", [(0.5, 0.5)])])).holds is holds


def test_the_sign_decides_only_if_no_positive_net_and_half_of_the_others_are_solved():
    no, yes = (0.5, 0.5), (1.0, 0.9)
    positive = [rows(cell, [no, no]) for cell in POSITIVE]
    others = [rows(cell, [yes, no]) for cell in OTHERS]
    assert DECIDES(pl.concat([*positive, *others])).holds is True
    assert DECIDES(pl.concat([*positive[1:], rows(POSITIVE[0], [yes, no]), *others])).holds is False
    assert DECIDES(pl.concat([*positive, *others[1:], rows(OTHERS[0], [yes, no, no])])).holds is False
    assert DECIDES(pl.concat(positive)) == NOT_MEASURED


def test_each_net_is_a_mark_in_both_panels():
    data = pl.concat([rows("delta_net", [(0.5, 0.6)]), rows("signed_delta_net", [(1.0, 0.9), (0.75, 0.5)])])
    drawn = draw(data)
    assert drawn.data.equals(scores(data))
    for axes, wanted in zip(drawn.figure.axes, ([0.0, 1.0, 0.5], [0.2, 0.8, 0.0]), strict=True):
        marks = [tuple(xy) for marks in axes.collections for xy in marks.get_offsets()]
        names = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
        assert [names[round(y)] for _, y in marks] == ["delta_net", "signed_delta_net", "signed_delta_net"]
        assert [x for x, _ in marks] == pytest.approx(wanted)

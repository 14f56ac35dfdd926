"""Grazzi et al. (2024): what its judges and its arithmetic rest on."""

from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.grazzi2024.paper import PAPER, scores

LEARNS, GOES_ON, *_ = (claim.judge for claim in PAPER.claims)


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

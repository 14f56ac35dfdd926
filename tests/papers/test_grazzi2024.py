"""Grazzi et al. (2024): what a score is, and of how many nets."""

from study_rows import seeds, table

from memcap.papers import NOT_MEASURED
from memcap.papers.grazzi2024.paper import PAPER


def rows(cell, *nets):
    """Nets of a cell, (accuracy, accuracy on longer sequences) each."""
    outcomes = ({"final": final, "stretched": longer, "solved": final == 1} for final, longer in nets)
    return table(seeds("parity", 16, *outcomes, units=4, cell=cell))


def test_scores_go_from_chance_to_one():
    data = PAPER.table(rows("delta_net", (0.5, 0.75), (1.0, 0.25)))
    assert data.select("trained", "longer", "solved").rows() == [(0.0, 0.5, False), (1.0, -0.5, True)]


def test_three_of_four_nets_must_reach_it():
    good, poor = (1.0, 0.95), (0.6, 0.5)
    most, half = rows("signed_delta_net", *[good] * 3, poor), rows("signed_delta_net", *[good, poor] * 2)
    assert [finding.holds for finding in PAPER.findings(most)[:2]] == [True, True]
    assert [finding.holds for finding in PAPER.findings(half)[:2]] == [False, False]
    assert PAPER.findings(rows("delta_net", good))[0] == NOT_MEASURED

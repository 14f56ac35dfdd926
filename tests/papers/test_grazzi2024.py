"""Grazzi et al. (2024): what a score is."""

from study_rows import seeds, table

from memcap.papers.grazzi2024.paper import scores


def test_scores_go_from_chance_to_one():
    nets = {"final": 0.5, "stretched": 0.75}, {"final": 1.0, "stretched": 0.25, "solved": True}
    data = scores(table(seeds("parity", 16, *nets, units=4, cell="delta_net")))
    assert data.select("trained", "longer", "solved").rows() == [(0.0, 0.5, False), (1.0, -0.5, True)]

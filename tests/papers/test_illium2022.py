"""Illium et al. (2022): how far nets of some cells recall."""

from study_rows import group, table

from memcap.papers.illium2022.paper import PAPER

SIZES = (1, 2, 4, 8)


def findings(reach):
    """Of two nets per kind, number of cells and position; reach: how far so many cells recall."""
    nets = [(cell, n, lag) for cell in ("SimpleCell", "lstm") for n in SIZES for lag in SIZES]
    right = {(cell, n, lag): 0.01 if reach(cell, n, lag) else 0.9 for cell, n, lag in nets}
    groups = [
        group("delay_line", lag, {n: (0, 2)}, knobs={"reals": True}, cell=cell, final=right[cell, n, lag])
        for cell, n, lag in nets
    ]
    return PAPER.findings(table(*groups))


def test_reach_must_follow_the_cells_in_each_kind_to_be_bounded_by_them():
    _, bounded = findings(lambda cell, n, lag: lag <= n - 1)
    assert bounded.ours == "none recalls more; correlations of at least 0.99"
    assert findings(lambda cell, n, lag: lag <= n - 1 and cell == "lstm")[1].holds is False


def test_a_position_that_is_lost_ends_the_reach():
    rises, _ = findings(lambda cell, n, lag: lag <= n and (n, lag) != (8, 2))
    assert rises.ours.startswith("Elman of 1, 2, 4, 8: 1, 2, 4, 1 steps")

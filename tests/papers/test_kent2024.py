"""Kent & Murray (2024): what its judges and its arithmetic rest on."""

import polars as pl
from study_rows import group, table

from memcap.papers.kent2024.paper import PAPER, draw, nets, reach

BEST = PAPER.claims[1].judge


def rows(cell, units, lag, *learns, budget=4000):
    """Nets of a cell, one a seed: the steps that each takes to learn the lag, or None."""
    groups = []
    for seed, steps in enumerate(learns):
        counts = {units: (steps is not None, 1)}
        columns = {"cell": cell, "seed": seed, "budget": budget, "recipe": "own_start", "init": "flax"}
        groups += group("square_wave", lag, counts, steps_to_solve=steps, **columns)
    return table(groups)


def test_a_net_goes_up_to_the_first_lag_not_learnt_and_a_width_by_the_median_over_seeds():
    some = [rows("GRUCell", 4, 5, 300, 300, 300), rows("GRUCell", 4, 20, None, 300, None)]
    some += [rows("GRUCell", 4, 50, 1000, 1000, 2000), rows("GRUCell", 16, 5, None)]
    assert reach(nets(pl.concat(some))) == {4: 5, 16: 0}
    some[1] = rows("GRUCell", 4, 20, None, 300, 900)
    assert reach(nets(pl.concat(some))) == {4: 50, 16: 0}


def test_the_gru_is_compared_at_each_width_at_lags_that_both_cells_have():
    def verdict(gru, lstm, rnn, *more):
        cells = {"GRUCell": gru, "OptimizedLSTMCell": lstm, "SimpleCell": rnn}
        some = [rows(cell, units, lag, steps) for cell, own in cells.items() for units, lag, steps in own]
        return BEST(pl.concat([*some, *more])).holds

    short, long, failed = (4, 5, 300), (4, 20, 600), (4, 20, None)
    assert verdict([short, long], [short, long], [short, failed]) is True
    assert verdict([short, long], [short, long], [short, long]) is False
    assert verdict([short, failed], [short, long], [failed]) is False
    assert verdict([short, long], [short], [failed, (4, 50, 900)]) is True, (
        "a lag of one alone does not count"
    )
    assert verdict([short, long, (16, 5, None)], [short, (16, 5, 300)], [failed]) is False
    fewer_steps = rows("SimpleCell", 4, 20, 600, budget=1000)
    assert verdict([short, long], [short], [failed], fewer_steps) is True
    assert verdict([short], [(16, 5, 300)], [short]) is None


def test_rows_without_nets_of_four_units_are_drawn():
    drawn = draw(rows("GRUCell", 16, 5, None, None))
    drawn.figure.draw_without_rendering()
    assert drawn.data.height == 2

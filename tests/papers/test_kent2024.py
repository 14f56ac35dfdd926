"""Kent & Murray (2024): what is drawn and judged, on rows that nobody trained."""

import polars as pl
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.kent2024.paper import CELLS, PAPER, draw, nets, reach

BEYOND, BEST, FEW, ONE, GROWTH = (claim.judge for claim in PAPER.claims)


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


def test_one_net_beyond_the_longest_lag_is_enough_to_deny_it():
    far = rows("GRUCell", 4, 100, None, None)
    assert BEYOND(far).holds is True
    assert BEYOND(pl.concat([far, rows("OptimizedLSTMCell", 16, 100, None, 2000)])).holds is False
    assert BEYOND(rows("GRUCell", 4, 50, 1000)) == NOT_MEASURED


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


def test_four_units_must_learn_it_and_not_in_fewer_steps():
    enough, quarter = (
        rows("OptimizedLSTMCell", 4, 50, 1300, 2200, 1100, None),
        rows("OptimizedLSTMCell", 4, 50, *[None] * 4, budget=1000),
    )
    assert FEW(pl.concat([enough, quarter])).holds is True
    assert FEW(enough) == NOT_MEASURED
    half = rows("OptimizedLSTMCell", 4, 50, 1300, 2200, None, None)
    assert FEW(pl.concat([half, quarter])).holds is False
    one = rows("OptimizedLSTMCell", 4, 50, 900, None, None, None, budget=1000)
    assert FEW(pl.concat([enough, one])).holds is False


def test_one_net_of_one_unit_or_one_lstm_of_four_is_enough_to_deny_it():
    one = pl.concat([rows("GRUCell", 1, 5, None, None), rows("SimpleCell", 1, 20, None)])
    four = pl.concat([rows("OptimizedLSTMCell", 4, lag, 300, 400) for lag in (5, 20)])
    assert ONE(pl.concat([one, four])).holds is True
    assert ONE(pl.concat([one, four, rows("OptimizedLSTMCell", 4, 100, None)])).holds is True
    assert ONE(pl.concat([one, four, rows("SimpleCell", 1, 5, 3000)])).holds is False
    assert ONE(pl.concat([one, rows("OptimizedLSTMCell", 4, 5, 300, None)])).holds is False
    assert ONE(one) == NOT_MEASURED


def test_steps_must_rise_with_the_lag_in_each_cell():
    def verdict(*of_rnn):
        cells = dict.fromkeys(CELLS, (300, 600, 1200, None)) | {"SimpleCell": of_rnn}
        lags = (5, 20, 50, 100)
        return GROWTH(
            pl.concat(
                rows(cell, 4, lag, taken)
                for cell, steps in cells.items()
                for lag, taken in zip(lags, steps, strict=True)
            )
        ).holds

    assert verdict(300, 600, None, None) is True
    assert verdict(None, 600, 600, 500) is False
    assert GROWTH(rows("GRUCell", 4, 5, 300)) == NOT_MEASURED


def test_each_net_is_a_mark_filled_where_it_learnt_the_lag():
    some = [rows("GRUCell", 4, 5, 300, None), rows("SimpleCell", 16, 20, 900)]
    some.append(rows("GRUCell", 4, 5, None, budget=1000))
    drawn = draw(pl.concat(some))
    assert drawn.data.equals(nets(pl.concat(some)))
    four, sixteen, shares = drawn.figure.axes
    marks = {
        (line.get_label(), line.get_markerfacecolor() == "none"): list(line.get_ydata())
        for line in four.lines
        if len(line.get_xdata()) and line.get_marker() != "None"
    }
    assert marks.pop(("GRU", False)) == [300]
    ((hollow,),) = marks.values()
    assert hollow > 4000
    assert [list(line.get_ydata()) for line in sixteen.lines if line.get_label() == "tanh RNN"] == [[900]]
    by_budget = {line.get_label(): list(line.get_ydata()) for line in shares.lines}
    assert (by_budget["GRU, 4,000 steps"], by_budget["GRU, 1,000 steps"]) == ([0.5], [0.0])


def test_rows_without_nets_of_four_units_are_drawn():
    drawn = draw(rows("GRUCell", 16, 5, None, None))
    drawn.figure.draw_without_rendering()
    assert drawn.data.height == 2

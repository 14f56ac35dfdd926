"""Kent & Murray (2024): how far nets go."""

from study_rows import seeds, table

from memcap import findings

study = findings.load("kent2024")


def nets(units, lag, *learns, cell="GRUCell", budget=4000):
    """Nets of a cell, one a seed: the steps that each takes to learn the lag, or None."""
    outcomes = (
        {"steps_to_solve": steps, "solved": steps is not None} for steps in learns
    )
    return seeds("square_wave", lag, *outcomes, units=units, cell=cell, budget=budget)


def test_a_net_goes_up_to_the_first_lag_not_learnt_and_a_width_by_the_median_over_seeds():
    some = [nets(4, 5, 300, 300, 300), nets(4, 20, None, 300, None)]
    some += [nets(4, 50, 1000, 1000, 2000), nets(16, 5, None)]
    assert study.reach(study.PAPER.table(table(*some))) == {4: 5, 16: 0}
    some[1] = nets(4, 20, None, 300, 900)
    assert study.reach(study.PAPER.table(table(*some))) == {4: 50, 16: 0}


def test_the_gru_is_compared_at_lags_and_widths_that_both_cells_have():
    gru = nets(4, 5, 300), nets(4, 20, 600)
    lstm = (
        nets(4, 5, 300, cell="OptimizedLSTMCell"),
        nets(16, 5, 300, cell="OptimizedLSTMCell"),
    )
    rnn = nets(4, 20, None, cell="SimpleCell"), nets(4, 50, 900, cell="SimpleCell")
    fewer_steps = nets(4, 20, 600, cell="SimpleCell", budget=1000)
    assert study.PAPER.findings(table(*gru, *lstm, *rnn, fewer_steps))[1].holds is True
    assert (
        study.PAPER.findings(table(*gru, *lstm, nets(4, 20, 600, cell="SimpleCell")))[
            1
        ].holds
        is False
    )

"""Hochreiter & Schmidhuber (1997): the paper's own counts, and what is drawn and judged, on rows that nobody
trained."""

import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.hochreiter1997.paper import PAPER, TABLES, Net

ELMAN = {"cell": "SimpleCell"}
CONSTANT = {"init": "forget_bias"}


def rows(counts, steps=(400, 500), lags=(10, 100), elman=0, **columns):
    """Latches of 8 seeds, {units: solved}, at a short and a long lag of so many steps to solve; and Elman
    nets of 2 units, so many of which are."""
    groups = []
    for lag, first in zip(lags, steps, strict=True):
        solved = {units: (n, 8) for units, n in counts.items()}
        shape = {"knobs": {"distractors": lag}, "steps": first}
        groups += group("latch", lag, solved, parameters=9, **shape, **columns)
        if elman is not None:
            groups += group("latch", lag, {2: (elman, 8)}, **shape, **ELMAN)
    return table(groups)


def test_their_nets_have_the_weights_that_their_tables_give():
    assert [line.net.weights for line in TABLES["latch"]] == [364, 664, 1264, 3064, 6064]
    assert {line.net.weights for line in TABLES["adding"]} == {93}
    assert [line.net.weights for line in TABLES["temporal_order"]] == [156]
    assert Net(8, 8, blocks=3, cells=2).weights == 308  # experiment 6b


@pytest.mark.parametrize(("claim", "columns"), [(1, CONSTANT), (2, {})])
def test_growth_is_slow_only_where_there_is_some_and_not_much(claim, columns):
    judge = PAPER.claims[claim].judge
    assert judge(rows({2: 8}, **columns)).holds
    assert judge(rows({2: 8}, steps=(100, 450), **columns)).holds is False, "as lag^0.5 and more"
    assert judge(rows({2: 8}, steps=(400, 400), **columns)).holds is False, "none"
    assert judge(rows({2: 4}, **columns)).holds is False, "half of the seeds are not solved"
    assert judge(rows({2: 8}, lags=(10, 99), **columns)) == NOT_MEASURED

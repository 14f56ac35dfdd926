"""Hochreiter & Schmidhuber (1997): the paper's own counts, and what is drawn and judged, on rows that nobody
trained."""

import numpy as np
import polars as pl
import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.hochreiter1997.paper import PAPER, TABLES, Net, draw, lines


def rows(counts, steps=(400, 500), lags=(10, 100)):
    """Latches of 8 seeds, {units: solved}, at a short and a long lag of so many steps to solve."""
    groups = []
    for lag, first in zip(lags, steps, strict=True):
        solved = {units: (n, 8) for units, n in counts.items()}
        groups += group("latch", lag, solved, knobs={"distractors": lag}, steps=first, parameters=9)
    return table(groups)


def holds(data):
    return [claim.judge(data).holds for claim in PAPER.claims]


def test_their_nets_have_the_weights_that_their_tables_give():
    assert [line.net.weights for line in TABLES["latch"]] == [364, 664, 1264, 3064, 6064]
    assert {line.net.weights for line in TABLES["adding"]} == {93}
    assert [line.net.weights for line in TABLES["temporal_order"]] == [156]
    assert Net(8, 8, blocks=3, cells=2).weights == 308  # experiment 6b


def test_two_units_at_every_lag_and_slow_growth_hold():
    data = rows({1: 4, 2: 5, 3: 8})
    assert holds(data) == [True, True, None, None]
    assert PAPER.claims[0].judge(data).ours == "units: 2 at lag 10, 2 at lag 100"
    assert PAPER.claims[1].judge(data).ours == "27,840 to 34,240 from lag 10 to 100: as lag^0.09"


def test_more_units_at_one_lag_or_growth_with_the_lag_does_not():
    wide = table(rows({2: 8}, lags=(10, 11)).to_dicts(), rows({2: 4, 3: 5}, lags=(100, 101)).to_dicts())
    assert PAPER.claims[0].judge(wide).holds is False
    assert PAPER.claims[1].judge(wide).holds is False, "half of the seeds are not solved at the longest lag"
    assert PAPER.claims[0].judge(rows({1: 4, 2: 4})).holds is False
    assert PAPER.claims[1].judge(rows({2: 8}, steps=(100, 450))).holds is False
    assert PAPER.claims[1].judge(rows({2: 8}, lags=(10, 99))) == NOT_MEASURED


@pytest.mark.parametrize(
    ("claim", "task", "lag", "units"), [(2, "adding", 99, 4), (3, "temporal_order", 90, 2)]
)
def test_the_other_tasks_are_judged_at_the_papers_size(claim, task, lag, units):
    judge = PAPER.claims[claim].judge
    here = f"5 of 8 seeds, median 8,640 sequences; least width {units}"
    assert judge(table(group(task, lag, {units: (5, 8)}))).ours == here
    assert judge(table(group(task, lag, {units: (4, 8)}))).holds is False
    assert judge(table(group(task, lag - 1, {units: (8, 8)}))) == NOT_MEASURED
    assert judge(table(group(task, lag, {units + 1: (8, 8)}))) == NOT_MEASURED


def test_what_is_drawn_are_medians_and_the_tables():
    data = rows({1: 8, 2: 8})
    drawn = draw(data)
    assert drawn.data.equals(lines(data))
    above, below = drawn.figure.axes
    shown = {line.get_label(): line.get_xydata().tolist() for line in above.get_lines()}
    assert shown["2c: one bit, 2 units, ours"] == [[10, 435 * 64], [100, 535 * 64]]
    assert shown["2c: one bit, paper"][:2] == [[50, 30_000], [100, 31_000]]
    assert shown["4: adding, paper"] == [[99, 74_000], [499, 209_000], [999, 853_000]]
    widths = {line.get_label(): line.get_xydata() for line in below.get_lines()}
    np.testing.assert_allclose(widths["2c: one bit"], [[10 / 1.1, 1], [100 / 1.1, 1]])
    assert widths["4: adding"].size == 0
    at_100 = drawn.data.filter((pl.col("task") == "latch") & (pl.col("lag") == 100))
    assert at_100.select("units", "paper_weights", "parameters").rows() == [(1, 664, 9), (2, 664, 9)]

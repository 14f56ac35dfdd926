"""Illium et al. (2022): what its judges and its arithmetic rest on."""

from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.illium2022.paper import PAPER

LAGS, UNITS = (1, 2, 4, 8), (1, 2, 4, 8)


def rows(reach=lambda cell, units: units - 1, cells=("SimpleCell", "lstm"), units=UNITS, knobs=None):
    """Two seeds each; reach: how far so many cells recall."""
    return table(
        *(
            group(
                "delay_line",
                lag,
                {n: (0, 2)},
                knobs=knobs or {"reals": True},
                cell=cell,
                final=0.01 if lag <= reach(cell, n) else 0.9,
            )
            for cell in cells
            for n in units
            for lag in LAGS
        )
    )


def holds(data):
    return [claim.judge(data).holds for claim in PAPER.claims]


def test_reach_must_follow_the_cells_in_each_kind_to_be_bounded_by_them():
    assert PAPER.claims[1].judge(rows()).ours == "none recalls more; correlations of at least 0.99"
    assert holds(rows(lambda cell, units: units - 1 if cell == "lstm" else 0))[1] is False


def test_a_position_that_is_lost_ends_the_reach():
    data = rows(lambda cell, units: units)
    gap = data.filter(~((data["lag"] == 2) & (data["units"] == 8)))
    lost = rows(lambda cell, units: 1, units=(8,)).filter(lag=2)
    assert (
        PAPER.claims[0]
        .judge(table(*[gap.to_dicts(), lost.to_dicts()]))
        .ours.startswith("Elman of 1, 2, 4, 8: 1, 2, 4, 1 steps")
    )


def test_few_rows_say_little():
    assert PAPER.claims[0].judge(rows(units=(2,))) == NOT_MEASURED
    assert holds(rows(knobs={"reals": False, "symbols": 3})) == [None, None]
    assert PAPER.claims[1].judge(rows(units=(8,))) == NOT_MEASURED, "no position tried lies beyond the cells"

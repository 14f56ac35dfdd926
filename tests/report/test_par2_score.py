"""The number that a job returns to a sweeper."""

import polars as pl
import pytest
from study_rows import group, table

from memcap.report.job_end import par2_score, totals
from memcap.store.rows import frame

ROWS = pl.DataFrame(
    {
        "steps_to_solve": [100, 300, None],
        "budget": [300, 300, 1000],
        "evaluation_until": ["solved", "solved", "steady"],
        "steps_to_up_to": [None, None, None],
    }
)


@pytest.mark.parametrize(
    ("rows", "steps"), [(ROWS, 800), (ROWS.head(2), 200), (ROWS.tail(1), 2000)]
)
def test_the_score_is_the_mean_of_steps_and_an_unsolved_member_is_worse_than_any_solved(
    rows, steps
):
    assert par2_score(rows) == steps


def test_a_share_without_members_has_a_score():
    assert par2_score(frame([])) == 0.0


def test_where_every_lag_is_asked_those_count_that_are_right_at_each():
    """Two of three are solved, after 100 and 110 steps, one of them at every lag."""
    rows = table(
        group(
            counts={1: (2, 3)},
            up_to={1: 1},
            steps=100,
            budget=900,
            evaluation_until="up_to",
        )
    )
    assert totals(rows) == "3 members, 2 solved, 1 of them at every lag up to their own"
    assert par2_score(rows) == pytest.approx((100 + 1800 + 1800) / 3)
    assert totals(table(group(counts={1: (2, 3)}))) == "3 members, 2 solved"

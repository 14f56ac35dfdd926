"""The number that a job returns to a sweeper."""

import polars as pl
import pytest

from memcap.report.job_end import par2_score
from memcap.store.rows import frame

ROWS = pl.DataFrame(
    {"solved": [True, True, False], "steps_to_solve": [100, 300, None], "budget": [300, 300, 1000]}
)


@pytest.mark.parametrize(("rows", "steps"), [(ROWS, 800), (ROWS.head(2), 200), (ROWS.tail(1), 2000)])
def test_the_score_is_the_mean_of_steps_and_an_unsolved_member_is_worse_than_any_solved(rows, steps):
    assert par2_score(rows) == steps


def test_a_share_without_members_has_a_score():
    assert par2_score(frame([])) == 0.0

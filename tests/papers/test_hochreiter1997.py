"""Hochreiter & Schmidhuber (1997): what slow growth is."""

import pytest
from study_rows import group, table

from memcap.papers.hochreiter1997.paper import PAPER


@pytest.mark.parametrize(("claim", "columns"), [(1, {"init": "forget_bias"}), (2, {})])
def test_growth_is_slow_only_where_there_is_some_and_not_much(claim, columns):
    def verdict(*steps, solved=8, lags=(10, 100)):
        """Of latches of 8 seeds of 2 units, at a short and a long lag of so many steps to solve."""
        shape = {"parameters": 9, **columns}
        groups = [
            group("latch", lag, {2: (solved, 8)}, knobs={"distractors": lag}, steps=first, **shape)
            for lag, first in zip(lags, steps, strict=True)
        ]
        return PAPER.findings(table(*groups))[claim].holds

    assert verdict(400, 500) is True
    assert verdict(100, 450) is False, "as lag^0.5 and more"
    assert verdict(400, 400) is False, "none"
    assert verdict(400, 500, solved=4) is False, "half of the seeds are not solved"
    assert verdict(400, 500, lags=(10, 99)) is None

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.cycle_navigation import CycleNavigation

BY = (0, 1, -1, 0)


@pytest.mark.parametrize("places", [3, 5, 8])
@few
@given(lag=st.integers(1, 30), extra=st.integers(0, 10), seed=seeds)
def test_a_walker_solves_it(places, lag, extra, seed):
    length = min(lag + 1 + extra, STEPS)
    batch = draw(CycleNavigation(places=places), lag, length, seed=seed)
    for row, due in zip(
        batch.inputs[:length].T.tolist(), batch.targets.tolist(), strict=True
    ):
        place = 0
        for symbol in row:
            place = (place + BY[symbol]) % places
        assert place == due
    assert ((batch.inputs[:length] != 3).sum(0) == lag).all()


@pytest.mark.parametrize(("places", "lag"), [(3, 1), (5, 1), (5, 2), (5, 7), (8, 6)])
def test_chance_by_all_walks(places, lag):
    ends = [sum(walk) % places for walk in itertools.product((0, 1, -1), repeat=lag)]
    facts = CycleNavigation(places=places).facts(lag, lag + 1)
    assert facts.chance == pytest.approx(np.bincount(ends).max() / 3**lag, rel=1e-9)
    assert 2**facts.bits == pytest.approx(len(set(ends)))

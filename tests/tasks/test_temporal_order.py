import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, evenly, few, seeds

from memcap.tasks.temporal_order import TemporalOrder


@pytest.mark.parametrize("relevant", [2, 3])
@few
@given(lag=st.integers(4, 30), extra=st.integers(0, 12), seed=seeds)
def test_the_relevant_symbols_in_order_are_the_class(relevant, lag, extra, seed):
    task = TemporalOrder(relevant=relevant)
    length = min(task.shortest(lag) + extra, STEPS)
    batch = draw(task, lag, length, seed=seed)
    orders = list(itertools.product((0, 1), repeat=relevant))
    for row, answer in zip(batch.inputs[:length].T, batch.targets, strict=True):
        assert tuple(row[row < 2]) == orders[answer]
        assert row[0] == 6
        assert row[-1] == 7
        assert np.flatnonzero(row < 2)[0] >= length - 1 - lag
        assert set(row[1:-1][row[1:-1] >= 2]) <= {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("relevant", "places"),
    [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])],
)
def test_the_places_of_the_paper(relevant, places):
    """Experiments 6a and 6b: t1 in 10..20 and so on, the trigger at step 100."""
    task = TemporalOrder(relevant=relevant)
    assert task.length(90) == 101
    batch = draw(task, 90, steps=101, batch=2048)
    found = np.array([np.flatnonzero(row < 2) for row in batch.inputs.T])
    for place, (first, last) in zip(found.T, places, strict=True):
        assert set(place) == set(range(first, last + 1))


@pytest.mark.parametrize("relevant", [2, 3])
def test_the_smallest_lag_is_the_smallest_at_which_windows_keep_apart(relevant):
    task = TemporalOrder(relevant=relevant)
    opens = {2: (0, 4 / 9), 3: (0, 23 / 90, 56 / 90)}[relevant]

    def apart(lag):
        edges = [(int(o * lag + 1e-9), int(o * lag + 1e-9) + lag // 9) for o in opens]
        return all(
            close < after
            for (_, close), (after, _) in itertools.pairwise([*edges, (lag, lag)])
        )

    assert not apart(task.smallest_lag - 1)
    assert all(apart(lag) for lag in range(task.smallest_lag, 1000))


def test_lengths_and_classes():
    assert [TemporalOrder().length(lag) for lag in (5, 50, 90)] == [7, 56, 101]
    assert [TemporalOrder(relevant=n).facts(50, 56).chance for n in (2, 3)] == [
        1 / 4,
        1 / 8,
    ]
    counts = np.bincount(
        draw(TemporalOrder(relevant=3), 12, batch=8192).targets, minlength=8
    )
    assert evenly(counts, 8)

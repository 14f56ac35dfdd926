import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.pattern import Pattern

LABELS = {(1, 0): 1, (1, 1): 2, (0, 1): 3, (0, 0): 0}


@pytest.mark.parametrize(
    ("classes", "middle"), [*itertools.product((3, 4), ("zeros", "random"))]
)
@few
@given(lag=st.integers(1, 30), extra=st.integers(0, 10), seed=seeds)
def test_the_two_bits_are_the_class(classes, middle, lag, extra, seed):
    task = Pattern(classes=classes, middle=middle)
    length = min(task.shortest(lag) + extra, STEPS)
    batch = draw(task, lag, length, seed=seed)
    ends = batch.inputs[[length - 1 - lag, length - 1]].T
    assert [LABELS[tuple(pair)] for pair in ends] == batch.targets.tolist()
    between = np.delete(batch.inputs[:length], [length - 1 - lag, length - 1], axis=0)
    if middle == "zeros":
        assert not between.any()
    elif between.shape[0] > 3:
        assert 0.25 < between.mean() < 0.75


@pytest.mark.parametrize("classes", [3, 4])
def test_the_listed_patterns_and_no_other(classes):
    batch = draw(Pattern(classes=classes), 3, batch=256)
    listed = {(1, 0, 0, 0): 1, (1, 0, 0, 1): 2, (0, 0, 0, 1): 3}
    if classes == 4:
        listed[0, 0, 0, 0] = 0
    drawn = set(
        zip(
            map(tuple, batch.inputs[:4].T.tolist()), batch.targets.tolist(), strict=True
        )
    )
    assert drawn == set(listed.items())


@pytest.mark.parametrize("classes", [3, 4])
def test_classes_are_drawn_alike(classes):
    counts = np.bincount(
        draw(Pattern(classes=classes), 3, batch=8192).targets, minlength=4
    )
    np.testing.assert_allclose(
        counts / 8192,
        [1 / classes if k or classes == 4 else 0 for k in range(4)],
        atol=0.02,
    )

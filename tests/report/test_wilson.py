"""The interval of a share in an answer's first sentence is SciPy's, and never leaves 0 to 1."""

import pytest
from scipy.stats import binomtest

from memcap.report.answer_words import wilson


@pytest.mark.parametrize(("passed", "runs"), [(0, 8), (1, 1), (7, 8), (28, 29), (73, 86), (86, 86)])
def test_it_is_wilsons(passed, runs):
    interval = binomtest(passed, runs).proportion_ci(method="wilson")
    low, high = wilson(passed, runs)
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert 0 <= low < high <= 1
    assert "-" not in f"{low:.0f}"

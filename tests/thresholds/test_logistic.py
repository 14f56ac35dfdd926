import numpy as np
import pytest
from scipy import special

from memcap.thresholds.logistic import log_logistic, logistic, logit

LOGITS = np.concatenate(
    [-np.geomspace(1e-9, 700, 500), [0.0], np.geomspace(1e-9, 5000, 500)]
)


@pytest.mark.parametrize(
    ("function", "reference"),
    [(logistic, special.expit), (log_logistic, special.log_expit)],
)
def test_the_logistic_function_and_its_logarithm_are_scipys(function, reference):
    np.testing.assert_allclose(function(LOGITS), reference(LOGITS), rtol=1e-14, atol=0)
    assert function([[1.0], [2.0]]).shape == (2, 1)


def test_the_ends_are_reached_without_a_warning():
    assert (logistic(-1e5), logistic(1e5), log_logistic(1e5)) == (0, 1, 0)
    assert log_logistic(-1e5) == -1e5


def test_the_logit_is_scipys():
    shares = np.concatenate(
        [np.geomspace(1e-300, 0.4, 500), 1 - np.geomspace(1e-12, 0.4, 500)]
    )
    np.testing.assert_allclose(logit(shares), special.logit(shares), rtol=1e-13, atol=0)
    assert abs(logit(0.5)) == 0

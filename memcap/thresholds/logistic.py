"""The logistic function, its logarithm and its inverse, without overflow for any float.

SciPy has them, too, but importing its special functions would take a third of the time
in which `memcap answer` starts.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def logistic(z: ArrayLike) -> NDArray[np.float64]:
    """Compute 1 / (1 + exp(-z)), for any shape."""
    z = np.asarray(z, float)
    small = np.exp(-np.abs(z))
    return np.where(z < 0, small, 1) / (1 + small)


def log_logistic(z: ArrayLike) -> NDArray[np.float64]:
    """Compute the logarithm of `logistic`."""
    z = np.asarray(z, float)
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def logit(p: ArrayLike) -> NDArray[np.float64]:
    """Invert `logistic`, for values between 0 and 1."""
    p = np.asarray(p, float)
    return np.log(p) - np.log1p(-p)

"""Window parity: each head answers for its own window, in sequences of any length that is drawn."""

import jax
import numpy as np
import pytest
from breadth import leave

from memcap.tasks.window_parity import WindowParity


@pytest.mark.parametrize(
    ("heads", "lag", "windows"),
    [*leave([(1, 5, [5]), (4, 5, [2, 3, 4, 5])]), (4, 9, [2, 3, 4, 9])],
)
def test_targets_are_the_parities_of_the_last_bits(heads, lag, windows):
    batch = WindowParity(heads=heads).sample(
        jax.random.key(0), lag, 4 * lag + 1, 4 * lag + 3, 64
    )
    bits = np.asarray(batch.inputs)[: 4 * lag + 1, :, 0]
    ones = np.stack([(bits[-window:] == 1).sum(0) for window in windows])
    np.testing.assert_array_equal(
        np.asarray(batch.targets).reshape(heads, 64), 2 * (ones % 2) - 1
    )
    numbers = (bits != 0).sum(0)
    assert set(numbers) <= {*range(lag + 2, 4 * lag + 2)}
    assert len(set(numbers)) > 5
    assert all((bits[-number:, k] != 0).all() for k, number in enumerate(numbers))


def test_at_a_smaller_lag_heads_for_more_bits_are_due_nothing():
    targets = np.asarray(
        WindowParity(heads=4).sample(jax.random.key(0), 3, 13, 13, 64).targets
    )
    assert (abs(targets[:2]) == 1).all()
    assert (targets[2:] == 0).all()
    assert WindowParity(heads=4).facts(3, 13).chance == pytest.approx(
        np.mean(targets**2)
    )

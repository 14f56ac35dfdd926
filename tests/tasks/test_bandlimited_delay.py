"""The band-limited delay: spectrum, power, autocorrelation, and what a window of
it holds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from hypothesis import given
from scipy.signal import get_window
from task_checks import draw, few, seeds

from memcap.tasks.bandlimited_delay import BandlimitedDelay

LONG = 4096
BANDS = [(1, 8), (10, 25), (10, 100), (3, 50)]


def signal(
    task: BandlimitedDelay, lag: int, steps: int = LONG, seed: int = 0, batch: int = 32
) -> np.ndarray:
    """(T, B)."""
    drawn = draw(task, lag, steps, seed=seed, steps=steps, batch=batch)
    return drawn.inputs[..., 0].astype(float)


def power_beyond(x: np.ndarray, cutoff: float) -> float:
    """The share of power above a cut-off, but for the leakage of the window, which is
    below 1e-7 from a few of its bins on."""
    window = get_window("blackmanharris", LONG)[:, None]
    power = abs(np.fft.rfft(x * window, axis=0)) ** 2
    beyond = np.fft.rfftfreq(LONG) > cutoff + 8 / LONG
    assert beyond.any()
    return power[beyond].sum() / power.sum()


@pytest.mark.parametrize(("cycles", "lag"), [BANDS[1], *leave([BANDS[0], *BANDS[2:]])])
@few
@given(seed=seeds)
def test_no_power_is_above_the_cut_off(cycles, lag, seed):
    x = signal(BandlimitedDelay(cycles=cycles), lag, seed=seed, batch=4)
    assert power_beyond(x, cycles / lag) < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize(("cycles", "lag"), [(1, 16), (10, 100), (10, 25), (10, 12)])
def test_its_autocorrelation_is_that_of_band_limited_white_noise(cycles, lag):
    task = BandlimitedDelay(cycles=cycles, rms=0.5)
    x = signal(task, lag, steps=256, batch=8192) / task.rms
    for s in range(lag + 1):
        found = (x[lag] * x[lag - s]).mean()
        right = np.sinc(2 * min(cycles / lag, 0.5) * s)
        assert abs(found - right) < 5 / len(x[0]) ** 0.5


def test_a_phase_does_not_drift():
    """The spectrum of the last of 100,000 steps ends there, too: in float32 a phase would be off by
    thousandths of a turn."""
    x = signal(BandlimitedDelay(), 25, steps=100_000, batch=1)[-LONG:]
    assert power_beyond(x, 10 / 25) < 1e-7


def test_a_number_is_held_for_each_degree_of_freedom_and_the_current_one():
    facts = [BandlimitedDelay().facts(lag, 1000) for lag in (5, 20, 25, 400)]
    assert [each.held for each in facts] == [6, 21, 21, 21]


@pytest.mark.breadth
@pytest.mark.parametrize("batch", [1, 3])
def test_a_small_batch_has_the_same_data_in_each_buffer_and_beside_others(batch):
    """So few cosines that XLA would add them up in another order than more of them; the
    interface's tests have larger ones."""
    lag = 12
    length = 30
    key = jax.random.key(0)

    @partial(jax.jit, static_argnums=0)
    def drawn(steps, lags):
        return jax.vmap(
            lambda lag: BandlimitedDelay().sample(key, lag, length, steps, batch).inputs
        )(lags)

    alone = BandlimitedDelay().sample(key, lag, length, length, batch).inputs
    for steps in (length, 35, 48, 250):
        for lags in ([lag], [lag + 1, lag, lag + 2]):
            np.testing.assert_array_equal(
                drawn(steps, jnp.array(lags))[lags.index(lag), :length], alone
            )


def test_moments_are_nearly_those_of_normal_numbers():
    x = signal(BandlimitedDelay(), 100, batch=256)
    assert abs(x.mean()) < 0.01
    assert (x**4).mean() == pytest.approx(3 - 1.5 / 40, abs=0.05)

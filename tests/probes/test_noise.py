"""A disturbed carry: a random walk in closed form, formats against NumPy's, and
registers that need one bit."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from probe_checks import hand_set, untrained
from scipy.stats import norm

from memcap.probes import fresh_batch, noise, trace
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch

pytestmark = pytest.mark.usefixtures("quick_file")


@pytest.mark.breadth
def test_noise_in_a_latch_is_a_random_walk():
    lag = 8
    data = noise.probe(hand_set(Latch(), lag)).data
    found = {row["size"] or row["what"]: row["score"] for row in data.to_dicts()}
    for size in (0.1, 0.2, 0.3, 1.0):
        # c is +-.8 and has taken lag + 1 draws when the trigger comes; its sign is the answer
        right = norm.cdf(0.8 / size / np.sqrt(lag + 1))
        assert found[size] == pytest.approx(right, abs=0.035)  # 3 sigma of 2,048
    assert found["bfloat16"] == found["float32"] == found["1 bit"] == 1


@pytest.mark.breadth
def test_a_register_of_symbols_needs_one_bit():
    data = noise.probe(hand_set(DelayLine(), 3)).data
    assert data.filter(data["score"] < 0.999)["what"].unique().to_list() == ["noise"]
    assert data.filter(data["what"] == "noise")["score"].min() < 0.6


def test_formats_are_what_they_are_called():
    carry = np.asarray(np.random.default_rng(0).standard_normal((4, 500)), np.float32)
    # compiled, where a conversion there and back would be left out
    rounded = jax.jit(noise.ROUNDED["bfloat16"])(carry, 0, ())
    there_and_back = carry.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(rounded, there_and_back)
    np.testing.assert_array_equal(noise.ROUNDED["float32"](carry, 0, ()), carry)
    two = {"a": jnp.asarray([[-3.0, 0.4, 0.6, 9.0]]), "count": jnp.asarray([[7]])}
    least = {"a": jnp.zeros(4), "count": jnp.zeros(1, int)}
    most = {"a": jnp.ones(4), "count": jnp.ones(1, int)}
    out = noise.to_levels(two, 0, ((np.float32(2), least, most), None))
    np.testing.assert_array_equal(out["a"], [[0, 0, 1, 1]])
    assert out["count"].tolist() == [[7]]  # a whole number has no level between


@pytest.mark.breadth
def test_noise_has_its_size_in_every_number_of_a_complex_carry():
    net = untrained(DelayLine(), 2, "LRU", units=200)
    carry = net.initialize_carry(100)
    noisy = np.asarray(noise.add_noise(carry, 0, (np.float32(0.2), jax.random.key(0))))
    assert np.iscomplexobj(noisy)
    for part in (noisy.real, noisy.imag):
        assert part.std() == pytest.approx(0.2, rel=0.03)
    assert abs(np.corrcoef(noisy.real.ravel(), noisy.imag.ravel())[0, 1]) < 0.03
    least, most = noise.ranges(net)
    states = trace(net, fresh_batch(net, 256)).carries
    assert least.shape == (200,)
    assert np.all(least.real == states.real.min((0, 1)))
    assert np.all(most.imag == states.imag.max((0, 1)))

"""The gate: it stops everyone who does not train the same net, with one line."""

import numpy as np
import pytest
from benchmark_checks import LAST, Local, batches, build, weights

from benchmarks import gate
from benchmarks.peers.linen import Linen


class WrongGradient(Linen):
    """One number of one gradient is a little off."""

    def loss_and_gradients(self, batch):
        loss, gradients = super().loss_and_gradients(batch)
        off = np.eye(1, 4 * self.shape.units, dtype=np.float32)[0] * 1e-4
        gradients["cell"]["bias"] = gradients["cell"]["bias"] + off
        return loss, gradients


@pytest.mark.breadth
def test_a_wrong_gradient_is_caught():
    ours = Local(build("memcap", LAST))
    workers = {"memcap": ours, "linen": Local(WrongGradient(LAST, 0.01, 1.0, 0))}
    with pytest.raises(
        gate.GateError, match=r"^linen: gradient of cell/bias is \d.*nothing was timed$"
    ):
        gate.check_gradients(workers, ours, weights(LAST), batches(LAST, 2))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_numbers_that_are_none_and_arrays_of_another_shape_are_caught(broken):
    one, other, turned = ((1.0, weights(LAST)) for _ in range(3))
    other[1]["readout"]["bias"][0] = broken
    turned[1]["cell"]["kernel"] = turned[1]["cell"]["kernel"].T
    found = {"readout/bias": other, "loss": (broken, one[1]), "cell/kernel": turned}
    for told, values in found.items():
        with pytest.raises(gate.GateError, match=told):
            gate.agree("it", values, one, 5e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("lr", "clip"), [(0.011, 0.05), (0.01, 1e-7)])
def test_another_rate_or_clip_is_caught(lr, clip):
    """The same ones pass: tests/benchmarks/test_tiny.py runs the whole gate."""
    workers = {
        "memcap": Local(build("memcap", LAST, clip=0.05)),
        "linen": Local(Linen(LAST, lr, clip, 0)),
    }
    for worker in workers.values():
        worker.call("load", batches(LAST, 16))
    with pytest.raises(gate.GateError, match=r"^linen: after 16 steps"):
        gate.check_training(workers, weights(LAST), 16)


def test_distance_is_relative_and_in_double_precision():
    apart = gate.distance([3.0, 4.0 + 5e-13], [3.0, 4.0])
    assert apart == pytest.approx(1e-13, rel=1e-2)
    assert gate.flat(gate.double(weights(LAST))).dtype == np.float64


def test_a_gradient_that_is_wrong_as_a_whole_is_caught():
    def all_of(rate, kernel):
        cell = {"rate": np.array([rate]), "kernel": np.full(4, kernel)}
        return gate.joined((1.0, {"cell": cell}))

    right = all_of(1e-4, 1.0)
    apart = gate.agree("it", all_of(1.1e-4, 1.0), right, gate.SINGLE)
    assert apart == pytest.approx(5e-6, rel=0.01)
    with pytest.raises(gate.GateError, match="gradient of all/weights"):
        gate.agree("it", all_of(1e-4, 1 + 1e-5), right, gate.SINGLE)

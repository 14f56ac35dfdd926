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


def test_a_gradient_that_is_wrong_as_a_whole_is_caught():
    def all_of(rate, kernel):
        cell = {"rate": np.array([rate]), "kernel": np.full(4, kernel)}
        return gate.joined((1.0, {"cell": cell}))

    right = all_of(1e-4, 1.0)
    apart = gate.agree("it", all_of(1.1e-4, 1.0), right, gate.SINGLE)
    assert apart == pytest.approx(5e-6, rel=0.01)
    with pytest.raises(gate.GateError, match="gradient of all/weights"):
        gate.agree("it", all_of(1e-4, 1 + 1e-5), right, gate.SINGLE)

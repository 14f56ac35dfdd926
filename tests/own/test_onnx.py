"""The model of ONNX that a net is written to."""

import sys

import numpy as np
import pytest

from memcap.knobs import UserError
from memcap.own.fitted import FittedNet
from memcap.own.onnx import save


@pytest.fixture
def net():
    """A net of 4 units that nobody trained: 3 numbers a step, 2 values."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 16), "recurrent": (4, 16), "bias": (16,)}
    cell = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    readout = {"kernel": rng.normal(size=(4, 2)), "bias": rng.normal(size=2)}
    weights = {"cell": cell, "readout": readout}
    return FittedNet(weights, symbols=False, every=True, classes=())


def test_it_answers_as_the_net_does_whatever_comes_after_a_sequence(net, tmp_path):
    reference = pytest.importorskip("onnx.reference", reason="needs memcap[onnx]")
    save(net, tmp_path / "net.onnx")
    inputs = np.random.default_rng(1).normal(size=(5, 7, 3)).astype(np.float32)
    model = reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    (outputs,) = model.run(None, {"inputs": inputs})
    for sequence, theirs, length in zip(inputs, outputs, range(3, 8), strict=True):
        (ours,) = net.outputs([sequence[:length]])
        np.testing.assert_allclose(theirs[:length], ours, atol=1e-5)


def test_without_the_package_it_says_what_to_install(net, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'memcap\[onnx\]'"):
        save(net, tmp_path / "net.onnx")

"""Every contestant against memcap: layouts, loss, gradients, training, predictions."""

from functools import cache

import numpy as np
import pytest
from benchmark_checks import EVERY, LAST, batches, build, weights

from benchmarks import gate
from benchmarks.peers import CONTESTANTS
from memcap.models.export import export
from memcap.models.model import Model

# Keras reads its own variables in a way that NumPy no longer likes.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

STEPS = 32
everyone = pytest.mark.parametrize("name", CONTESTANTS)
both = pytest.mark.parametrize("shape", [LAST, EVERY], ids=["last", "every"])


@cache
def peer(name, shape):
    """A contestant that clips every gradient: nobody's training would show a clip that never bites."""
    return build(name, shape, clip=0.05)


@pytest.mark.slow
@everyone
@both
def test_layouts_round_trip(name, shape):
    one, wanted = peer(name, shape), weights(shape)
    one.set_weights(wanted)
    found = one.weights()
    assert {part: set(arrays) for part, arrays in found.items()} == {
        part: set(arrays) for part, arrays in wanted.items()
    }
    for part, arrays in wanted.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[part][key], array)


@pytest.mark.slow
@everyone
@both
def test_loss_gradients_and_scores_are_memcaps(name, shape):
    one, ours, batch = peer(name, shape), peer("memcap", shape), batches(shape, 2)
    for each in (one, ours):
        each.set_weights(weights(shape))
    gate.agree(name, one.loss_and_gradients(batch), ours.loss_and_gradients(batch), 5e-6)
    np.testing.assert_array_equal(gate.flat(one.weights()), gate.flat(weights(shape)))
    np.testing.assert_allclose(one.scores(batch.inputs[0]), ours.scores(batch.inputs[0]), atol=1e-5)


@pytest.mark.slow
@everyone
@both
def test_training_is_memcaps(name, shape):
    """Through the same batches twice, from a fresh optimizer however often it has trained before."""
    ends = []
    for each in (peer(name, shape), peer("memcap", shape)):
        each.load(batches(shape, STEPS // 2))
        each.run(16)
        each.set_weights(weights(shape))
        each.run(STEPS)
        ends.append(gate.flat(each.weights()))
    way = np.linalg.norm(ends[1] - gate.flat(weights(shape)))
    assert way > 0.3
    assert np.linalg.norm(ends[0] - ends[1]) < 2e-3 * way


def test_memcaps_loss_is_the_mean_over_due_answers():
    """By hand, from the scores: everyone else is held against this."""
    for shape in (LAST, EVERY):
        one, batch = peer("memcap", shape), batches(shape, 1)
        one.set_weights(weights(shape))
        scores = one.scores(batch.inputs[0]).astype(np.float64)
        losses = (
            np.log(np.exp(scores).sum(-1))
            - np.take_along_axis(scores, batch.targets[0][..., None], -1)[..., 0]
        )
        due = np.ones_like(losses, bool) if batch.mask is None else batch.mask[0]
        assert one.loss_and_gradients(batch)[0] == pytest.approx(losses[due].mean(), rel=1e-6)


def test_torch_has_the_arrays_that_memcap_exports():
    one = peer("torch", LAST)
    one.set_weights(weights(LAST))
    exported = export(Model(units=LAST.units), weights(LAST), "torch")
    for prefix, module in (("lstm", one.lstm), ("readout", one.readout)):
        for name, tensor in module.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), exported[f"{prefix}.{name}"])


def test_keras_has_the_arrays_that_memcap_exports():
    one = peer("keras", LAST)
    one.set_weights(weights(LAST))
    exported = export(Model(units=LAST.units), weights(LAST), "keras")
    for found, wanted in zip(one.model.get_weights(), exported.values(), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["linen", "nnx", "equinox", "torch", "keras", "memcap"])
def test_the_seed_decides_the_start(name):
    one, same, other = (gate.flat(build(name, LAST, seed=seed).weights()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01

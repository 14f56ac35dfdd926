"""Every contestant against memcap: layouts, loss, gradients, training."""

import pkgutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from benchmark_checks import EVERY, LAST, Local, batches, build, weights

from benchmarks import gate
from benchmarks.cells import MATRIX_CELLS
from benchmarks.peers import CONTESTANTS, MATRIX
from benchmarks.workloads import Workload
from memcap.config.member import task_of

# Keras reads its own variables in a way that NumPy no longer likes.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

STEPS = 32
everyone = pytest.mark.parametrize("name", CONTESTANTS)
both = pytest.mark.parametrize("shape", [LAST, EVERY], ids=["last", "every"])


@cache
def peer(name, shape):
    """A contestant that clips every gradient: nobody's training would show a clip that
    never bites."""
    return build(name, shape, clip=0.05)


@pytest.mark.slow
@everyone
@both
def test_loss_and_gradients_are_memcaps(name, shape):
    one = peer(name, shape)
    ours = peer("memcap", shape)
    batch = batches(shape, 2)
    for each in (one, ours):
        each.set_weights(weights(shape))
    gate.agree(
        name, one.loss_and_gradients(batch), ours.loss_and_gradients(batch), 5e-6
    )
    np.testing.assert_array_equal(gate.flat(one.weights()), gate.flat(weights(shape)))


@pytest.mark.slow
@everyone
@both
def test_training_is_memcaps(name, shape):
    """Through the same batches twice, from a fresh optimizer however often it has
    trained before."""
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


@pytest.mark.breadth
@both
def test_memcaps_loss_is_the_mean_over_due_answers(shape):
    """By hand, from the scores: everyone else is held against this."""
    one = peer("memcap", shape)
    batch = batches(shape, 1)
    one.set_weights(weights(shape))
    network = one.architecture.build(one.architecture.unflatten(one.lane.params))
    scores = network(batch.inputs[0], return_sequences=shape.every)
    scores = np.moveaxis(np.asarray(scores, np.float64), 0, -1)
    right = np.take_along_axis(scores, batch.targets[0][..., None], -1)[..., 0]
    losses = np.log(np.exp(scores).sum(-1)) - right
    due = slice(None) if batch.mask is None else batch.mask[0]
    loss, _ = one.loss_and_gradients(batch)
    assert loss == pytest.approx(losses[due].mean(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("cell", MATRIX_CELLS)
def test_peers_of_matrix_cells_compute_and_train_what_memcap_does(cell):
    shape = replace(EVERY, cell=cell)
    task = task_of("delay_line", [])
    sizes = (2, shape.steps, shape.batch, (shape.units,))
    start = Workload("", "", task, *sizes, cell).start(shape.units)
    drawn = batches(shape, 16)
    workers = {}
    for name in [name for name, peer in MATRIX.items() if not peer.missing]:
        target = pkgutil.resolve_name(MATRIX[name].target)
        workers[name] = Local(target(shape, 0.01, 0.05, 0))
    workers["memcap"].call("set_weights", start)
    reference = workers["memcap"].call("loss_and_gradients", drawn)
    for name, worker in workers.items():
        worker.call("set_weights", start)
        gate.agree(name, worker.call("loss_and_gradients", drawn), reference, 2e-5)
        worker.call("load", drawn)
    apart, _ = gate.check_training(workers, start, 16)
    assert max(apart.values()) < 2e-3

"""Every contestant against memcap: layouts, loss, gradients, training."""

from dataclasses import replace

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

WORKLOAD = "", "", task_of("delay_line", [])
# shapes, contestants, and the most relative difference of a loss or a gradient
NETS = [(shape, CONTESTANTS, 5e-6) for shape in (LAST, EVERY)]
NETS += [(replace(EVERY, cell=cell), MATRIX, 2e-5) for cell in MATRIX_CELLS]


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "table", "limit"), NETS)
def test_everyone_computes_and_trains_what_memcap_does(shape, table, limit):
    """Twice, from a fresh optimizer however often one has trained before; with a clip
    that bites, as no training would show another."""
    sizes = (2, shape.steps, shape.batch, (shape.units,), shape.cell)
    lstm = table is CONTESTANTS
    start = weights(shape) if lstm else Workload(*WORKLOAD, *sizes).start(shape.units)
    drawn = batches(shape, 16)
    names = [name for name, peer in table.items() if not peer.missing]
    workers = {name: Local(build(name, shape, clip=0.05, of=table)) for name in names}
    for worker in workers.values():
        worker.call("load", drawn)
        worker.call("set_weights", start)
    reference = workers["memcap"].call("loss_and_gradients", drawn)
    for name, worker in workers.items():
        gate.agree(name, worker.call("loss_and_gradients", drawn), reference, limit)
        same = gate.flat(worker.call("weights")), gate.flat(start)
        np.testing.assert_array_equal(*same)
    for _ in range(2):
        apart, _ = gate.check_training(workers, start, 32)
        assert max(apart.values()) < 2e-3


@pytest.mark.breadth
@pytest.mark.parametrize("shape", [LAST, EVERY], ids=["last", "every"])
def test_memcaps_loss_is_the_mean_over_due_answers(shape):
    """By hand, from the scores: everyone else is held against this."""
    one = build("memcap", shape)
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

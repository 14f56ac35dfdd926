"""The benchmark of cells whose state is a matrix: peers compute what memcap does, it runs, and its page has
the ratios."""

import pkgutil
from dataclasses import replace

import numpy as np
import pytest
from benchmark_checks import EVERY, Local, batches
from same_process import Here

from benchmarks import gate, matrix, runner, step
from benchmarks.matrix import Row
from benchmarks.peers import MATRIX
from benchmarks.protocol import TINY, Timing
from benchmarks.workloads import Workload
from memcap.config import task_of


def contestants(cell):
    """Those that are installed, which clip every gradient, and weights."""
    shape = replace(EVERY, cell=cell)
    workload = Workload("", "", task_of("delay_line", []), 2, shape.steps, shape.batch, (shape.units,), cell)
    names = [name for name, contestant in MATRIX.items() if not contestant.missing]
    workers = {name: Local(pkgutil.resolve_name(MATRIX[name].target)(shape, 0.01, 0.05, 0)) for name in names}
    return workers, workload.start(shape.units), batches(shape, 16)


@pytest.mark.slow
@pytest.mark.parametrize("cell", matrix.CELLS)
def test_peers_compute_and_train_what_memcap_does(cell):
    workers, start, drawn = contestants(cell)
    titles = {name: MATRIX[name].title for name in workers}
    ours = workers["memcap"]
    ours.call("set_weights", start)
    reference = ours.call("loss_and_gradients", drawn)
    for name, worker in workers.items():
        worker.call("set_weights", start)
        gate.agree(titles[name], worker.call("loss_and_gradients", drawn), reference, 2e-5)
        worker.call("load", drawn)
    apart, _ = gate.check_training(workers, titles, start, 16)
    assert max(apart.values()) < 2e-3


def test_a_gradient_that_is_wrong_as_a_whole_is_caught():
    loss, gradients = 1.0, {"cell": {"rate": np.array([1e-4]), "kernel": np.ones(4)}}
    near = {"cell": {"rate": np.array([1.1e-4]), "kernel": np.ones(4)}}
    far = {"cell": {"rate": np.array([1e-4]), "kernel": np.ones(4) * (1 + 1e-5)}}
    right = gate.joined((loss, gradients))
    assert gate.agree("it", gate.joined((loss, near)), right, gate.SINGLE) == pytest.approx(5e-6, rel=0.01)
    with pytest.raises(gate.GateError, match="gradient of all/weights"):
        gate.agree("it", gate.joined((loss, far)), right, gate.SINGLE)


@pytest.mark.slow
def test_tiny_runs(monkeypatch, capsys):
    """Without PyTorch, which is compared in float64: one process has either."""
    monkeypatch.setattr(step, "Worker", Here)
    monkeypatch.delitem(matrix.MATRIX, "torch")
    runner.main(["matrix", "--tiny"])
    assert "| mamba2 | 2 | 1 |" in capsys.readouterr().out


def test_the_page_has_times_and_ratios(monkeypatch):
    monkeypatch.setattr(matrix.report, "page", lambda title, facts, notes, body: "\n".join([*notes, *body]))
    seconds = {"memcap": (3e-3, 2e-3), "scan": (1e-3, 4e-3)}
    rows = [
        Row("mamba2", 8, 20, name, Timing((1.0, 1.0), cpu, 5), 1e-7, 1e-6) for name, cpu in seconds.items()
    ]
    page = matrix.page(rows, TINY, {})
    assert "| mamba2 | 8 | 20 | 2000 | 1000 (0.50) |" in page
    assert "within 1.0e-07 of plain JAX" in page

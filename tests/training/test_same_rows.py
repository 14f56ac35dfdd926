"""A study has the same rows and weights to the bit: with two workers or three, killed
and resumed, and whatever the process has done before.

GGT and SOAP take eigenvectors from SciPy's BLAS. XLA sums the squares of a gradient of
67,000 numbers, which is clipped here, by all of its threads.
"""

import contextlib
import signal

import pytest
from command import python
from numpy.testing import assert_array_equal
from polars.testing import assert_frame_equal
from threadpoolctl import threadpool_limits
from training_checks import Remembers, vector

import memcap
from memcap import store
from memcap.config.member import Engine
from memcap.training.engine import train
from memcap.training.queue import Queue
from memcap.training.workers import WorkerProcess

USUAL = {"task": "delay_line", "lag": 8, "recipe": "curriculum", "sequences": 64}
NET = {"optimizer": "ggt", "units": 9, "budget": 200}
WIDE = {"optimizer": "adam", "units": 128, "budget": 20, "clip": 0.001, "batch": 8}
PASSING = ["compile_seconds", "run_seconds", "population", "finished", "git_commit"]
SCRIPT = """
{before}
import memcap
from memcap.config.member import Engine
from pathlib import Path

def train(workers, **net):
    found = memcap.members(**{usual}, **net, seed=[0])
    engine = Engine(workers=workers)
    memcap.train(found, Path("study"), engine=engine, progress=False)

train({workers}, **{wide})  # by worker 0
train({workers}, **{{**{net}, "units": [9, 10], "optimizer": ["ggt", "soap"]}})
"""
KILL = """
import os, signal
from pathlib import Path
from memcap.studies import writer

writer.SECONDS_BETWEEN_WRITES = -1.0
put, rows = os.replace, []

def replace(*names):
    rows.extend(name for name in names[1:] if Path(name).parent.name == "rows")
    if len(rows) == 3:  # two are in place
        os.kill(os.getpid(), signal.SIGKILL)
    put(*names)

os.replace = replace
"""


def trained(folder, before="", workers=2, status=0):
    """Train the study in a process of its own; return its rows and its weights."""
    script = SCRIPT.format(
        before=before, usual=USUAL, net=NET, wide=WIDE, workers=workers
    )
    # without the flags that tests have set, and processes that they start inherit
    done = python(folder, "-c", script, XLA_FLAGS="")
    assert done.returncode == status, done.stderr
    rows = store.read(folder / "study").sort("key")
    weights = [
        store.weights_of(folder / "study", row) for row in rows.iter_rows(named=True)
    ]
    return rows.drop(PASSING), weights


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The study with two workers."""
    return trained(tmp_path_factory.mktemp("reference"))


def assert_same(one, other):
    """Compare rows and weights to the bit."""
    assert_frame_equal(one[0], other[0], check_exact=True)
    for weights, others in zip(one[1], other[1], strict=True):
        for name in ("cell", "readout"):
            for key, array in weights[name].items():
                assert_array_equal(array, others[name][key], strict=True)


def test_three_workers(tmp_path, reference):
    rows, _ = reference
    assert rows.height == 5
    assert rows["steps"].max() == NET["budget"]
    assert_same(trained(tmp_path, workers=3), reference)


def test_a_process_in_which_jax_was_in_use(tmp_path, reference):
    assert_same(trained(tmp_path, "import jax.numpy as jnp; jnp.ones(1)"), reference)


def test_a_study_that_was_killed_and_resumed_where_scipy_was_imported(
    tmp_path, reference
):
    rows, _ = trained(tmp_path, KILL, status=-signal.SIGKILL)
    assert 0 < rows.height < 5
    assert_same(trained(tmp_path, "import scipy.linalg"), reference)


def test_the_number_of_threads_of_scipys_library():
    net = memcap.members(**USUAL, **NET, seed=[0])
    ends = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            (end,) = train(net, Engine(workers=1))
            ends.append(vector(end))
    assert_array_equal(*ends)


def test_worker_0_has_as_many_threads_as_the_others(reference):
    (wide,) = memcap.members(**USUAL, **WIDE, seed=[0])
    listener = Remembers()
    with contextlib.closing(WorkerProcess()) as child:
        child.serve(Queue([wide], Engine(workers=2), 2, listener), 1)
    rows, weights = reference
    place = rows["key"].to_list().index(wide.key)
    ours = wide.architecture.flatten(weights[place])
    assert_array_equal(vector(listener.results[0]), ours)

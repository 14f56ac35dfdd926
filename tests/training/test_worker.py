"""Workers in processes of their own: same results, and a dead one's members are taken over."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from training_checks import Remembers, assert_same, member

from memcap.config import Engine
from memcap.training import worker
from memcap.training.engine import train
from memcap.training.population import work
from memcap.training.queue import Place, Queue

TWO = Engine("map", workers=2)
LONG = [member("latch", 3, seed=seed, model={"units": u}, recipe={"lr": 1e-9, "budget": 60}) for u in (1, 2) for seed in (0, 1)]


@pytest.fixture
def started(monkeypatch):
    """Every worker's process that is started."""
    processes, start = [], worker.start

    def remembered():
        processes.append(start())
        return processes[-1]

    monkeypatch.setattr(worker, "start", remembered)
    return processes


@pytest.fixture
def child():
    """A worker's process, alone at a queue of two widths."""
    process = worker.start()
    yield process, Remembers()
    process.kill()
    process.wait()
    worker.close(process)


def test_a_process_trains_as_this_one_does(child):
    process, listener = child
    queue = Queue(LONG, TWO, 1, listener)
    worker.serve(process, Place(queue, 0))
    assert process.wait(30) == 0
    assert len(listener.results) == 4
    for ours in train(LONG, replace(TWO, workers=1)):
        assert_same(ours, queue.found[ours.member])
    assert {m: [step for step, _ in points] for m, points in listener.points.items()} == {m: [*range(1, 61)] for m in LONG}


def test_a_killed_worker_is_noticed_and_loses_nothing(child):
    process, listener = child

    class Kills(Remembers):
        def curve(self, chunk):
            process.kill()

    queue = Queue(LONG, TWO, 2, Kills())
    with pytest.raises(worker.DiedError):
        worker.serve(process, Place(queue, 1))
    assert queue.lost(1) == 1
    queue.listener = listener
    work(Place(queue, 0))
    assert sorted(m.key for m in queue.found) == sorted(m.key for m in LONG)
    assert len(listener.results) == 4


def test_others_train_what_a_dead_worker_had(started):
    """Killed as the first member ends, whoever had that."""

    class Kills(Remembers):
        killed = False

        def ended(self, population, ended):
            super().ended(population, ended)
            if started and not self.killed and len(self.results) == 1:
                Kills.killed = True
                os.kill(started[0].pid, signal.SIGKILL)

    listener = Kills()
    results = train(LONG, TWO, listener)
    assert [e.member for e in results] == LONG
    assert len(listener.results) == 4
    assert started[0].wait(10) == -signal.SIGKILL


def test_an_error_in_a_worker_ends_the_job_with_its_traceback(child):
    process, _ = child
    lost = member()
    object.__setattr__(lost.recipe, "init", "no such start")
    with pytest.raises(RuntimeError, match=r"(?s)a worker failed.*Traceback.*no such start"):
        worker.serve(process, Place(Queue([lost], TWO), 0))


SCRIPT = """
from memcap import backend
backend.prepare()
from memcap.config import Engine, resolve, task_defaults
from memcap.training.engine import train
print("once", flush=True)
values = {"task": task_defaults("latch") | {"lag": 1}, "model": {"units": 1}}
values |= {"recipe": {"name": "hold", "budget": 20}, "evaluation": {"every": 10, "sequences": 16}}
print(len(train([resolve(values | {"seed": seed}) for seed in (0, 1)], Engine(workers=2))))
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "once\n2\n", done.stderr

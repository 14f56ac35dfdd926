"""Workers in processes of their own: same results, and a dead one is noticed."""

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_checks import Remembers, assert_same, member, unchecked, vector

from memcap.config import Engine
from memcap.training.engine import train
from memcap.training.line import DiedError
from memcap.training.queue import LocalClient, Queue
from memcap.training.workers import Worker

TWO = Engine("map", workers=2)
PATHS = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, PATHS))}
LONG = [
    member("latch", 3, seed=seed, model={"units": u}, recipe={"lr": 1e-9, "budget": 60})
    for u in (1, 2)
    for seed in (0, 1)
]


@pytest.fixture
def child():
    """A worker's process, alone at a queue of two widths."""
    started = Worker()
    yield started, Remembers()
    started.close()


class Client(LocalClient):
    """Lets something happen to a worker that asks for members: it waits for the answer, so it has sent all
    and is at rest."""

    def __init__(self, queue, number, happens):
        super().__init__(queue, number)
        self.happens = happens

    def take(self, program, most):
        found = super().take(program, most)
        self.happens(found)
        return found


def killed(process):
    process.kill()
    process.wait()


def test_a_process_trains_as_this_one_does(child):
    started, listener = child
    queue = Queue(LONG, TWO, 1, listener)
    started.serve(LocalClient(queue, 0))
    assert started.process.wait(30) == 0
    assert len(listener.results) == 4
    for ours in train(LONG, replace(TWO, workers=1)):
        assert_same(ours, queue.found[ours.member])
    assert {m: [step for step, _ in points] for m, points in listener.points.items()} == {
        m: [*range(1, 61)] for m in LONG
    }


def test_a_killed_worker_is_noticed_and_loses_nothing(child):
    started, listener = child
    queue = Queue(LONG, TWO, 2, listener)
    with pytest.raises(DiedError):
        started.serve(Client(queue, 1, lambda found: killed(started.process)))
    blamed, failed = queue.lost(1, started.epitaph())
    assert (len(blamed), failed) == (1, [])
    with contextlib.closing(Worker()) as successor:
        successor.serve(LocalClient(queue, 1))
    assert sorted(m.key for m in queue.found) == sorted(m.key for m in LONG)
    assert len(listener.results) == 4


class Keeps(Remembers):
    """Keeps the states of members, too."""

    keeps = 0.0

    def __init__(self):
        super().__init__()
        self.states = {}

    def keep(self, checkpoints):
        self.states |= {state.key: state for state in checkpoints}

    def kept(self, members):
        return {m.key: self.states[m.key] for m in members if m.key in self.states}


def test_a_successor_goes_on_where_the_dead_worker_was(child):
    started, listener = child[0], Keeps()
    long = member("latch", 3, recipe={"lr": 1e-6, "budget": 20_000})
    queue, begun = Queue([long], TWO, 2, listener), []

    class Killed(LocalClient):
        def keep(self, checkpoints):
            super().keep(checkpoints)
            killed(started.process)

    class Successor(LocalClient):
        def kept(self, members):
            begun.append(super().kept(members)[long.key].lane["before"])
            listener.points.clear()
            return super().kept(members)

    with pytest.raises(DiedError):
        started.serve(Killed(queue, 1))
    queue.lost(1, "died")
    with contextlib.closing(Worker()) as successor:
        successor.serve(Successor(queue, 1))
    assert begun[0] >= 10
    assert [step for step, _ in listener.points[long]] == [*range(begun[0] + 1, 20_001)]
    (whole,) = train([long], replace(TWO, workers=1))
    np.testing.assert_array_equal(vector(whole), vector(queue.found[long]))


def test_a_listeners_broken_pipe_is_no_dead_worker(child):
    started, _ = child

    class Broken(Remembers):
        def curve(self, chunk):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        started.serve(LocalClient(Queue(LONG, TWO, 1, Broken()), 0))


def test_a_worker_ends_with_the_process_that_started_it():
    orphan = (
        "import os, sys; from memcap.training.workers import Worker; print(Worker().process.pid,"
        " flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", orphan], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    pid, end = int(done.stdout), time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_an_error_in_a_worker_ends_the_job_with_its_traceback(child):
    started, _ = child
    lost = unchecked(member(), init="no such start")
    with pytest.raises(RuntimeError, match=r"(?s)a worker failed.*Traceback.*no such start"):
        started.serve(LocalClient(Queue([lost], TWO), 0))


def test_what_a_worker_prints_is_passed_on_and_breaks_nothing(tmp_path, monkeypatch, capfd):
    """From the first moment on: as a `sitecustomize` would, and past Python."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os; print('a greeting', flush=True); os.write(1, b'past Python\\n')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    listener = Remembers()
    with contextlib.closing(Worker()) as started:
        started.serve(LocalClient(Queue(LONG[:1], TWO, 1, listener), 0))
        started.process.wait(30)
    assert len(listener.results) == 1
    assert capfd.readouterr().err == "a greeting\npast Python\n"


SCRIPT = """
from memcap import jax_setup
jax_setup.prepare()
from memcap.config import Engine, resolve, task_defaults
from memcap.training.engine import train
print("once", flush=True)
values = {"task": task_defaults("latch") | {"lag": 1}, "model": {"units": 1}}
values |= {"recipe": {"name": "hold", "budget": 20}, "evaluation": {"every": 10, "sequences": 16}}
print(len(train([resolve(values | {"seed": seed}) for seed in (0, 1)], Engine(workers=2))))
"""

OWN_TASK = """
from memcap import Engine, Evaluation, Member, Model, Recipe
from memcap.tasks import Latch
from memcap.training.engine import train
print("once", flush=True)

class Mine(Latch):
    pass

def made(seed):
    return Member(Mine(), 1, None, Model(units=1), Recipe("hold", budget=20), Evaluation(10, 16), seed)

print([ended.member.task.name for ended in train([made(0), made(1)], Engine(workers=2))])
"""


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    (tmp_path / "random.py").write_text(
        "raise ImportError"
    )  # a name of the standard library, in the user's own folder
    command = [sys.executable, "-P", str(script)]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "once\n2\n", done.stderr


def test_a_task_of_the_users_own_script_trains(tmp_path):
    """No other process could import it, so this one trains all members by itself."""
    script = tmp_path / "script.py"
    script.write_text(OWN_TASK)
    done = subprocess.run(
        [sys.executable, str(script)], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "once\n['__main__:Mine', '__main__:Mine']\n", done.stderr

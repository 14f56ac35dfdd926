"""Workers in processes of their own: same results; one that dies, hangs or never starts
is replaced, its members wait again, and who kills two has failed."""

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import python
from training_checks import Remembers, assert_same, member, unchecked, vector

from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.training import workers
from memcap.training.engine import WorkerPool, train
from memcap.training.queue import Queue
from memcap.training.workers import PeerDiedError, WorkerProcess

TWO = Engine(loop="while", workers=2)
FOUR = [
    member(seed=seed, units=units, lr=1e-9, budget=60)
    for units in (1, 2)
    for seed in (0, 1)
]


@pytest.fixture
def child():
    """A worker's process, alone at a queue."""
    with contextlib.closing(WorkerProcess()) as started:
        yield started


def killed(process):
    process.kill()
    process.wait()


class KillsAtCheckpoint(Remembers):
    """Kill the worker that hands in the first states of members, and hand them to its
    successor."""

    checkpoint_after = 0.0

    def __init__(self, process):
        super().__init__()
        self.process = process
        self.states = {}
        self.steps = []  # at which members went on

    def save_checkpoints(self, checkpoints):
        self.states |= {state.key: state for state in checkpoints}
        self.process.kill()

    def load_checkpoints(self, members):
        self.points.clear()
        states = {m.key: self.states[m.key] for m in members if m.key in self.states}
        self.steps += [state.host_state["steps"] for state in states.values()]
        return states


@pytest.mark.breadth
def test_a_successor_goes_on_where_the_dead_worker_was(child):
    listener = KillsAtCheckpoint(child.process)
    long = member(lr=1e-6, budget=6000)
    queue = Queue([long], TWO, 2, listener)
    with pytest.raises(PeerDiedError):
        child.serve(queue, 1)
    queue.worker_died(1, "died")
    with contextlib.closing(WorkerProcess()) as successor:
        successor.serve(queue, 1)
    (step,) = listener.steps
    assert step >= 10
    assert [k for k, _ in listener.points[long]] == [*range(step + 1, 6001)]
    (whole,) = train([long], replace(TWO, workers=1))
    np.testing.assert_array_equal(vector(whole), vector(queue.results[long]))


@pytest.mark.breadth
def test_a_listeners_broken_pipe_is_no_dead_worker(child):
    class Broken(Remembers):
        def add_curve(self, chunk):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        child.serve(Queue(FOUR, TWO, 1, Broken()), 0)


def test_a_worker_can_say_that_it_lives_before_it_imports_jax(tmp_path):
    alone = "import sys; from memcap.training import workers; assert 'jax' not in sys.modules"
    done = python(tmp_path, "-c", alone)
    assert done.returncode == 0, done.stderr


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
    orphan = (
        "import os, sys; from memcap.training.workers import WorkerProcess;"
        " print(WorkerProcess().process.pid,"
        " flush=True); os._exit(0)"
    )
    done = python(tmp_path, "-c", orphan)
    pid = int(done.stdout)
    end = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_an_error_in_a_worker_ends_the_job_with_its_traceback(child):
    lost = unchecked(member(), init="no such start")
    said = r"(?s)a worker failed.*Traceback.*no such start"
    with pytest.raises(RuntimeError, match=said):
        child.serve(Queue([lost], TWO), 0)


@pytest.mark.breadth
def test_what_a_worker_prints_is_passed_on_and_breaks_nothing(
    tmp_path, monkeypatch, capfd
):
    """From the first moment on: as a `sitecustomize` would, and past Python."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os; print('a greeting', flush=True); os.write(1, b'past Python\\n')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    listener = Remembers()
    with contextlib.closing(WorkerProcess()) as started:
        started.serve(Queue(FOUR[:1], TWO, 1, listener), 0)
        assert started.process.wait(30) == 0
    assert len(listener.results) == 1
    assert capfd.readouterr().err == "a greeting\npast Python\n"


# Workers that are replaced


@pytest.fixture
def first_taken(monkeypatch):
    """Do something to worker 1 when it has first taken a member and waits for the
    answer. This process takes none before that."""
    processes = []
    happened = threading.Event()
    take = Queue.take_members
    start = WorkerProcess.__init__

    def started(self):
        start(self)
        processes.append(self)

    def install(event):
        def take_members(self, number, program, most):
            if number == 0:
                assert happened.wait(60)
            members = take(self, number, program, most)
            if number and members and not happened.is_set():
                event(processes[0].process)
                happened.set()
            return members

        monkeypatch.setattr(WorkerProcess, "__init__", started)
        monkeypatch.setattr(Queue, "take_members", take_members)
        return processes

    return install


def test_a_dead_worker_is_replaced_and_its_members_are_trained(first_taken, capfd):
    processes = first_taken(killed)
    listener = Remembers()
    results = train(FOUR, TWO, listener)
    assert [e.member for e in results] == FOUR
    assert len(listener.results) == 4
    assert len(processes) == 2
    assert (
        "died (status -9); restarted; 1 member queued again\n" in capfd.readouterr().err
    )
    for ours in train(FOUR, replace(TWO, workers=1)):
        assert_same(ours, results[FOUR.index(ours.member)])


@pytest.mark.breadth
def test_a_stopped_worker_is_noticed_killed_and_replaced(
    first_taken, monkeypatch, capfd
):
    monkeypatch.setattr(workers, "HEARTBEAT_TIMEOUT", 5.0)
    first_taken(lambda process: os.kill(process.pid, signal.SIGSTOP))
    results = train(FOUR, TWO)
    assert [e.status for e in results] == ["unsolved"] * 4
    assert (
        "said nothing for 5 s and was killed; restarted; 1 member queued again"
        in capfd.readouterr().err
    )


def test_a_job_that_was_stopped_itself_kills_nobody(monkeypatch):
    """After Ctrl-Z and fg nobody was heard for long, as nobody listened."""
    clock = [100.0]
    silences = []

    class Silent:
        last_message = 100.0

        def kill_if_hung(self):
            silences.append(clock[0] - self.last_message)

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    pool = WorkerPool(Queue([], TWO, 2))
    pool.processes[1] = Silent()
    for later in (1, 1, 1000, 1):
        clock[0] += later
        pool.kill_hung()
    assert silences == [1, 2, 0, 1]


@pytest.mark.breadth
def test_a_worker_sends_heartbeats_while_its_program_runs(monkeypatch):
    long = member(units=9, lr=1e-9, budget=20_000, every=20_000)
    names = []
    receive = WorkerProcess._receive

    def recorded(self):
        call = receive(self)
        names.append(call and call[0])
        return call

    monkeypatch.setattr(workers, "HEARTBEATS", 30 * workers.HEARTBEAT_TIMEOUT)
    monkeypatch.setattr(WorkerProcess, "_receive", recorded)
    WorkerPool(Queue([long], TWO, 2)).serve(1)
    during = names[names.index("take_members") : names.index("add_curve")]
    assert during.count("heartbeat") >= 5


@pytest.mark.breadth
def test_a_member_that_kills_two_workers_has_failed_and_the_rest_goes_on(
    monkeypatch, capfd
):
    """Lanes that it shared the first time are acquitted: suspects are trained alone."""
    members = [replace(FOUR[0], seed=seed) for seed in range(4)]
    culprit = members[1]
    seeds = []
    take = Queue.take_members
    queue = Queue(members, replace(TWO, lanes=4), 2)
    # of which it is the only one that comes: no share is left to another
    queue.workers = 1
    pool = WorkerPool(queue)

    def take_members(self, number, program, most):
        taken = take(self, number, program, most)
        if taken:
            seeds.append([m.seed for m in taken])
        if culprit in taken:
            killed(pool.processes[1].process)
        return taken

    monkeypatch.setattr(Queue, "take_members", take_members)
    pool.serve(1)
    assert seeds[0] == [0, 1, 2, 3]
    assert sorted(seeds[1:]) == [[0], [1], [2], [3]]
    statuses = [queue.results[one].status for one in members]
    assert statuses == ["unsolved", "failed", "unsolved", "unsolved"]
    failed = queue.results[culprit]
    said = "two workers ended while they trained it; the second died (status -9)"
    assert failed.reason.startswith(said)
    assert (failed.solved, failed.steps) == (None, 0)
    assert np.isnan(failed.score)
    assert f"{culprit.key}: recorded as failed" in capfd.readouterr().err


def test_workers_that_cannot_start_end_the_job_in_one_line(monkeypatch, capfd):
    monkeypatch.setattr(workers, "MAIN", "import no_such_library")
    with pytest.raises(UserError) as caught:
        WorkerPool(Queue(FOUR, TWO, 2)).serve(1)
    line = str(caught.value)
    assert "\n" not in line
    said = "3 workers in a row ended before they had a member; the last died (status 1), its last"
    assert line.startswith(said)
    assert "No module named 'no_such_library'" in line
    assert capfd.readouterr().err == ""


# Scripts of users


SCRIPT = """
import memcap
print("once", flush=True)
values = {"units": 1, "seed": 2, "budget": 20, "every": 10, "sequences": 16}
rows = memcap.train(memcap.members("latch", lag=1, **values), engine=memcap.Engine(workers=2))
print(len(rows))
"""


@pytest.mark.breadth
def test_a_script_without_a_main_guard_runs_once(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    # a name of the standard library, in the user's own folder
    (tmp_path / "random.py").write_text("raise ImportError")
    done = python(tmp_path, "-P", "script.py")
    assert done.stdout == "once\n2\n", done.stderr

"""Worker processes that die, hang, or never start: each is replaced, its members wait again, and who kills
two has failed."""

import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from training_checks import Remembers, assert_same, member

from memcap.config import Engine
from memcap.knobs import UserError
from memcap.training import workers
from memcap.training.crew import Crew
from memcap.training.engine import train
from memcap.training.queue import Queue
from memcap.training.workers import Worker

TWO = Engine("map", workers=2)
FOUR = [
    member("latch", 3, seed=seed, model={"units": u}, recipe={"lr": 1e-9, "budget": 60})
    for u in (1, 2)
    for seed in (0, 1)
]


@pytest.fixture
def first_taken(monkeypatch):
    """Do something to worker 1 when it has first taken a member and waits for the answer. This process takes
    none before that."""
    workers, happened = [], threading.Event()
    take, start = Queue.take, Worker.__init__

    def started(self):
        start(self)
        workers.append(self)

    def install(event):
        def taken(self, number, program, most):
            if number == 0:
                assert happened.wait(60)
            found = take(self, number, program, most)
            if number and found and not happened.is_set():
                event(workers[0].process)
                happened.set()
            return found

        monkeypatch.setattr(Worker, "__init__", started)
        monkeypatch.setattr(Queue, "take", taken)
        return workers

    return install


def killed(process):
    process.kill()
    process.wait()


def test_a_dead_worker_is_replaced_and_its_members_are_trained(first_taken, capfd):
    workers = first_taken(killed)
    listener = Remembers()
    results = train(FOUR, TWO, listener)
    assert [e.member for e in results] == FOUR
    assert len(listener.results) == 4
    assert len(workers) == 2
    assert (
        "died (status -9); another takes its place and trains what it had, 1 member\n"
        in capfd.readouterr().err
    )
    for ours in train(FOUR, replace(TWO, workers=1)):
        assert_same(ours, results[FOUR.index(ours.member)])


def test_a_stopped_worker_is_noticed_killed_and_replaced(first_taken, monkeypatch, capfd):
    monkeypatch.setattr(workers, "SILENCE", 5.0)
    first_taken(lambda process: os.kill(process.pid, signal.SIGSTOP))
    results = train(FOUR, TWO)
    assert [e.status for e in results] == ["unsolved"] * 4
    assert "said nothing for 5 s and was killed; another takes its place" in capfd.readouterr().err


def test_a_job_that_was_stopped_itself_kills_nobody(monkeypatch):
    """After Ctrl-Z and fg nobody was heard for long, as nobody listened."""
    clock, looked = [100.0], []

    class Silent:
        heard = 100.0

        def look(self):
            looked.append(clock[0] - self.heard)

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    crew = Crew(Queue([], TWO, 2))
    crew.workers[1] = Silent()
    for later in (1, 1, 1000, 1):
        clock[0] += later
        crew.look()
    assert looked == [1, 2, 0, 1]


def test_a_worker_beats_while_its_program_runs():
    long = member(
        "latch", 3, model={"units": 9}, recipe={"lr": 1e-9, "budget": 20_000}, evaluation={"every": 20_000}
    )
    calls, heard = [], Worker._heard

    def counted(self):
        calls.append(heard(self))
        return calls[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "BEATS", 30 * workers.SILENCE)
        patch.setattr(Worker, "_heard", counted)
        Crew(Queue([long], TWO, 2)).serve(1)
    names = [call[0] for call in calls if call]
    assert names[names.index("take") : names.index("curve")].count("beat") >= 5


def test_a_member_that_kills_two_workers_has_failed_and_the_rest_goes_on(monkeypatch, capfd):
    """Lanes that it shared the first time are acquitted: suspects are trained alone."""
    culprit, asked = FOUR[1], []
    take = Queue.take
    listener = Remembers()
    queue = Queue(
        FOUR[:2] + [replace(FOUR[0], seed=seed) for seed in (2, 3)], replace(TWO, lanes=4), 2, listener
    )
    queue.workers = 1  # of which it is the only one that comes: no share is left to another
    crew = Crew(queue)

    def taken(self, number, program, most):
        found = take(self, number, program, most)
        if found:
            asked.append([m.seed for m in found])
        if culprit in found:
            killed(crew.workers[1].process)
        return found

    monkeypatch.setattr(Queue, "take", taken)
    crew.serve(1)
    assert asked[0] == [0, 1, 2, 3]
    assert sorted(asked[1:]) == [[0], [1], [2], [3]]
    assert {m.seed: result.status for m, result in queue.found.items()} == {
        0: "unsolved",
        1: "failed",
        2: "unsolved",
        3: "unsolved",
    }
    failed = queue.found[culprit]
    assert failed.reason.startswith("two workers ended while they trained it; the second died (status -9)")
    assert (failed.status, failed.solved, failed.steps, np.isnan(failed.score)) == ("failed", None, 0, True)
    assert len(listener.results) == 4
    assert f"{culprit.key}: recorded as failed" in capfd.readouterr().err


def test_workers_that_cannot_start_end_the_job_in_one_line(monkeypatch, capfd):
    monkeypatch.setattr(workers, "MAIN", "import no_such_library")
    with pytest.raises(UserError) as caught:
        Crew(Queue(FOUR, TWO, 2)).serve(1)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(
        "3 workers in a row ended before they had a member; the last died (status 1), its last line: "
    )
    assert "No module named 'no_such_library'" in line
    assert capfd.readouterr().err == ""

"""Processes and turns. Nothing here depends on how fast anything is."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.process import ProgramError, last_core, run
from benchmarks.protocol import Plan, interleaved, slice_steps
from benchmarks.worker import Seconds, Worker, WorkerError


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with Worker("benchmark_checks:Target", last_core()) as one:
        one.call("build", 40)
        yield one


def test_a_worker_answers_though_its_library_prints_and_survives_a_failure(worker):
    assert worker.call("add", 2) == 42
    assert worker.timed("add", 2).wall > 0
    with pytest.raises(WorkerError, match="ValueError: no such thing"):
        worker.call("fail")
    worker.call("build", 50)
    assert worker.call("add", 2) == 52
    if hasattr(os, "sched_setaffinity"):  # this system can pin
        assert worker.call("cores") == [last_core()]
    with pytest.raises(WorkerError, match="exit code 3"):
        worker.call("die")


class Clock:
    """A worker that takes a set time a step, and writes down whose turn it was."""

    def __init__(self, name, seconds, turns):
        self.name = name
        self.seconds = seconds
        self.turns = turns

    def timed(self, method, steps):
        assert method == "run"
        self.turns.append((self.name, steps))
        return Seconds(steps * self.seconds, steps * self.seconds / 4)


@pytest.mark.parametrize(
    ("seconds", "stride", "steps"),
    [(0.01, 1, 25), (0.01, 16, 32), (2.0, 1, 1), (2.0, 16, 16)],
)
def test_a_slice_is_whole_strides_of_about_the_length_asked_for(seconds, stride, steps):
    assert slice_steps(Clock("a", seconds, []), stride, 0.25) == steps


def test_turns_go_round_and_warmups_do_not_count():
    turns = []
    workers = {"fast": Clock("fast", 0.001, turns), "slow": Clock("slow", 0.01, turns)}
    plan = Plan(seconds=0.1, rounds=3, warmups=2, batches=8)
    timings = interleaved(workers, {"fast": 1, "slow": 4}, plan)
    assert turns[-10:] == [("fast", 100), ("slow", 8)] * 5
    assert [len(timings[name].samples) for name in ("fast", "slow")] == [3, 3]
    assert timings["slow"].median == pytest.approx(0.01)
    assert timings["slow"].busy == pytest.approx(0.25)


def test_a_program_is_timed_and_has_its_settings_and_one_that_fails_is_told():
    code = "import sys; print('last words', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ProgramError, match=r"(?s)exit code 3.*last words"):
        run([sys.executable, "-c", code], None, {})
    before = dict(os.environ)
    code = "import os; print(os.environ['WORD'])"
    ran = run([sys.executable, "-c", code], last_core(), {"WORD": "yes"})
    assert ran.output == "yes\n"
    assert min(ran.wall, ran.cpu) > 0
    assert dict(os.environ) == before

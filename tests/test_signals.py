"""Signals end a command soon, whatever its chunks last; what has ended is saved, and one line says how to go
on."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memcap import cli, signals
from memcap.signals import Interrupted
from memcap.studies import store

# Three members that end, then one whose first chunk would last for many minutes; rows wait for hours to be
# written.
COMMAND = """
import sys, time
from memcap import cli
from memcap.studies import writer
from memcap.studies.writer import StudyWriter

writer.SECONDS_BETWEEN_WRITES = 1e5
finish, flush = StudyWriter.finish, StudyWriter.flush

def said(self, population, results):
    finish(self, population, results)
    print("ended", flush=True)

def hangs(self):
    print("flushing", flush=True)
    time.sleep(600)

StudyWriter.finish = said
if sys.argv[1] == "hangs":
    StudyWriter.flush = hangs
cli.main(sys.argv[2:])
"""
STUDY = ["task=latch", "task.lag=3", "model.units=9", "recipe=hold", "engine.lanes=1"]
STUDY += ["evaluation.every=30000000", "evaluation.sequences=64"]
AXES = "axes={recipe.budget: [20, 21, 22, 30000000]}"
PATHS = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, PATHS))}


@pytest.fixture(autouse=True)
def heeded():
    """No signal is ignored here, nor in the processes that the tests start, though nohup or a shell may have
    told pytest to."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def started():
    """Start the command, and go on once three of its members have ended."""
    processes = []

    def start(folder, *arguments, flush="works"):
        processes.append(begun(folder, *arguments, flush=flush))
        reach_the_long_chunk(processes[-1])
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def begun(folder, *arguments, flush):
    command = [sys.executable, "-c", COMMAND, flush, *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def reach_the_long_chunk(process):
    ended = 0
    for line in process.stdout:
        ended += line == "ended\n"
        if ended == 3:
            break
    assert ended == 3, process.stderr.read()
    time.sleep(1)  # the long chunk has begun, or soon will


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (signal.SIGINT, [AXES, "engine.workers=1"]),
        (signal.SIGTERM, [AXES, "engine.workers=2"]),
        (signal.SIGHUP, ["-m", "recipe.budget=20,21,22,30000000", "engine.workers=1"]),
        (signal.SIGINT, [AXES, "engine.workers=1", "tracking=wandb", "tracking.wandb=offline"]),
    ],
)
def test_a_signal_ends_a_job_within_its_chunk_and_keeps_what_has_ended(started, tmp_path, number, arguments):
    words = ["train", *arguments, *STUDY]
    process = started(tmp_path, *words)
    began = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    seconds = time.monotonic() - began
    print(f"{number.name}: {seconds:.2f} s")
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == (
        f"memcap: interrupted ({number.name}); 3 members saved. Resume with: {shlex.join(['memcap', *words])}"
    )
    assert "Traceback" not in said
    assert sorted(store.read(tmp_path / "outputs")["budget"]) == [20, 21, 22]
    assert seconds < 20  # about 1 where nothing else runs


def test_a_second_signal_ends_it_at_once(started, tmp_path):
    process = started(tmp_path, "train", *STUDY, AXES, "engine.workers=1", flush="hangs")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "flushing\n"
    time.sleep(2 * signals.ONE_SIGNAL)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143


def test_half_trained_members_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(os, "_exit", sys.exit)  # how it ends where a worker's thread lives
    with pytest.raises(SystemExit):
        cli._interrupted(Interrupted(signal.SIGTERM, 1, 2), ["train", "study=s"])
    line = (
        "memcap: interrupted (SIGTERM); 1 member saved, 2 half-trained. Resume with: memcap train study=s\n"
    )
    assert capsys.readouterr().err == line


def test_signals_that_come_together_are_one(monkeypatch):
    """`timeout` sends two, and the second must not keep the first from writing what has ended."""
    ends = []
    monkeypatch.setattr(os, "_exit", ends.append)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with signals.raise_on_signal():
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        assert ends == []
        monkeypatch.setattr(signals, "ONE_SIGNAL", 0.0)
        signal.raise_signal(signal.SIGHUP)
        assert ends == [129]
    assert (caught.value.status, caught.value.rows_saved) == (143, None)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_nohup_is_obeyed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raise_on_signal():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

"""Signals end a command soon, whatever its chunks last; what has ended is saved, and
one line says how to go on."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from breadth import leave
from command import ROOT, memcap, python

from memcap import cli, store
from memcap.runtime import signals
from memcap.runtime.signals import Interrupted

# Three members that end, then one whose first chunk would last for many minutes; rows
# wait for hours to be written.
COMMAND = """
import sys, time
from memcap import cli
from memcap.studies import writer
from memcap.studies.writer import StudyWriter

writer.SECONDS_BETWEEN_WRITES = 1e5
finish = StudyWriter.finish

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


@pytest.fixture(autouse=True)
def heeded():
    """No signal is ignored here, nor in the processes that the tests start, though
    nohup or a shell may have told pytest to."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {
        number: signal.signal(number, handler) for number, handler in usual.items()
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def started():
    """Start the command, and go on once three of its members have ended."""
    processes = []

    def start(folder, *arguments, flush="works"):
        processes.append(begun(folder, COMMAND, flush, *arguments))
        reach_the_long_chunk(processes[-1])
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def begun(folder, script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
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
        *leave([(signal.SIGTERM, [AXES, "engine.workers=2"])]),
        *leave(
            [
                (
                    signal.SIGHUP,
                    ["-m", "recipe.budget=20,21,22,30000000", "engine.workers=1"],
                )
            ]
        ),
        (
            signal.SIGINT,
            [AXES, "engine.workers=1", "tracking=wandb", "tracking.wandb=offline"],
        ),
    ],
)
def test_a_signal_ends_a_job_within_its_chunk_and_keeps_what_has_ended(
    started, tmp_path, number, arguments
):
    words = ["train", *arguments, *STUDY]
    process = started(tmp_path, *words)
    began = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    seconds = time.monotonic() - began
    print(f"{number.name}: {seconds:.2f} s")
    assert process.returncode == 128 + number
    assert (
        said.splitlines()[-1]
        == f"memcap: interrupted ({number.name}); 3 members saved. Resume with:"
        f" {shlex.join(['memcap', *words])}"
    )
    assert "Traceback" not in said
    assert sorted(store.read(tmp_path / "outputs")["budget"]) == [20, 21, 22]
    assert seconds < 20  # about 1 where nothing else runs


@pytest.mark.breadth
def test_a_second_signal_ends_it_at_once(started, tmp_path):
    process = started(
        tmp_path, "train", *STUDY, AXES, "engine.workers=1", flush="hangs"
    )
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "flushing\n"
    time.sleep(2 * signals.ONE_SIGNAL)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143


@pytest.mark.parametrize(
    ("arguments", "rows_saved", "line"),
    [
        (["collect", "outputs/a b"], None, "interrupted (SIGTERM)"),
        (["reproduce", "x", "--rows"], None, "interrupted (SIGTERM)"),
        (
            ["reproduce", "x"],
            3,
            "interrupted (SIGTERM); 3 members saved. Resume with: memcap reproduce x",
        ),
        (
            ["mirror", "x"],
            None,
            "interrupted (SIGTERM); what was not sent yet is sent by: memcap mirror x",
        ),
        (
            ["train"],
            None,
            "interrupted (SIGTERM); finished members saved. Resume with: memcap train",
        ),
    ],
)
def test_one_line_says_how_to_go_on(arguments, rows_saved, line):
    assert cli._interruption(Interrupted(signal.SIGTERM, rows_saved), arguments) == line


@pytest.fixture
def exits(monkeypatch):
    """The statuses with which the thread that hears signals would have ended this process."""
    statuses = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    return statuses


def until(condition, seconds=20.0):
    """Wait, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_where_nothing_is_unsaved_it_ends_the_process(exits, capsys):
    with signals.watching(lambda interrupted: f"bye, {interrupted}"):
        signal.raise_signal(signal.SIGINT)
        until(lambda: exits)
    assert exits == [130]
    assert capsys.readouterr().err == "memcap: bye, interrupted (SIGINT)\n"


def test_what_does_not_look_is_saved_and_ended(exits, capsys, monkeypatch):
    monkeypatch.setattr(signals, "PATIENCE", 0.5)

    def save(interrupted):
        interrupted.rows_saved = 7

    def fail(interrupted):
        raise OSError("disk full")

    began = time.monotonic()
    with (
        signals.watching(lambda interrupted: f"{interrupted.rows_saved} saved"),
        signals.saving(save),
        signals.saving(fail),
    ):
        signal.raise_signal(signal.SIGTERM)
        until(lambda: exits)
    assert exits == [143]
    assert time.monotonic() - began >= 0.5
    assert capsys.readouterr().err == "memcap: not saved: disk full\nmemcap: 7 saved\n"


def test_what_is_finished_first_is_not_cut_off(exits, monkeypatch):
    """As a file that is being written, by a thread of its own."""
    monkeypatch.setattr(signals, "PATIENCE", 1.0)
    with signals.watching():
        with signals.saving():
            signal.raise_signal(signal.SIGTERM)
            until(signals.pending)
            time.sleep(0.2)
            assert exits == []
        until(lambda: exits)
    assert exits == [143]


def test_signals_that_come_together_are_one(exits):
    """`timeout` sends two, and the second must not keep the first from writing what has ended."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with signals.watching(), signals.saving():
        signal.raise_signal(signal.SIGTERM)
        until(signals.pending)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(Interrupted):
            signals.look()
        time.sleep(2 * signals.ONE_SIGNAL)
        assert exits == []
        signal.raise_signal(signal.SIGHUP)  # and this is a second one
        until(lambda: exits)
    assert exits == [129]
    assert [
        signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)
    ] == before


def test_without_a_command_nothing_is_changed():
    before = signal.getsignal(signal.SIGINT)
    with signals.saving():
        assert signal.getsignal(signal.SIGINT) is before
        signals.look()
        assert not signals.pending()


FORKS = """
import os, signal
from memcap.runtime import signals
reader, writer = os.pipe()
with signals.watching():
    child = os.fork()
    if not child:
        os.write(writer, b"!")
        while True:
            signal.pause()
    os.read(reader, 1)
    os.kill(child, signal.SIGTERM)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), signals.pending())
"""


def test_a_fork_ends_as_it_would_without(tmp_path):
    done = python(tmp_path, "-c", FORKS)
    assert done.stdout == f"{int(signal.SIGTERM)} False\n"


def test_nohup_is_obeyed(exits):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.watching():
            signal.raise_signal(signal.SIGHUP)
            time.sleep(0.1)
            assert not signals.pending()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert exits == []


ANNOUNCES = """
from memcap.runtime import signals

class Announces(signals.Watch):
    def __init__(self, line):
        super().__init__(line)
        print("hears", flush=True)

signals.Watch = Announces
from memcap.__main__ import main
main()
print("done", flush=True)
"""
ENDLESS = [
    "evaluation.every=20",
    "evaluation.sequences=64",
    "recipe.budget=100000",
    "engine.workers=2",
]
AT_RANDOM = {
    "run": [
        "train",
        "task=copy",
        "task.lag=5",
        "model.units=1",
        "axes={seed: 30}",
        *ENDLESS,
    ],
    "search": [
        "train",
        "task=copy",
        "axes={task.lag: [3, 4], model.units: 1..8}",
        "design=bisect",
        *ENDLESS,
    ],
    "multirun": [
        "train",
        "-m",
        "task=latch,copy",
        "task.lag=range(3,40)",
        "model.units=1,2,3",
        *ENDLESS,
    ],
    "collect": ["collect", "outputs"],
    "mirror": ["mirror", "outputs", "--wandb", "offline", "--runs", "member"],
    "reproduce": ["reproduce", "collins2017", "--rows", "-o", "drawn"],
}


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    """A folder with eight rows, and what trains them."""
    folder = tmp_path_factory.mktemp("signals")
    axes = "axes={model.units: [1, 2], seed: 4}"
    budget = "recipe.budget=20"
    done = memcap(
        folder, "train", "task=latch", "task.lag=3", axes, budget, "engine.workers=1"
    )
    assert done.status == 0, done.err
    return folder


# Seconds after which the signal comes: as its libraries are imported, and as it works.
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 2.5])
@pytest.mark.parametrize("name", AT_RANDOM)
def test_no_signal_is_lost(small_study, tmp_path, name, seconds):
    shutil.copytree(small_study / "outputs", tmp_path / "outputs")
    number = (signal.SIGTERM, signal.SIGINT)[
        (list(AT_RANDOM).index(name) + (seconds > 1)) % 2
    ]
    with begun(tmp_path, ANNOUNCES, *AT_RANDOM[name]) as process:
        try:
            assert process.stdout.readline() == "hears\n"
            time.sleep(seconds)
            ended = process.poll() is not None
            began = time.monotonic()
            process.send_signal(number)
            out, said = process.communicate(timeout=60)
            seconds_to_end = time.monotonic() - began
            print(f"{name}: {seconds_to_end:.2f} s")
        finally:
            process.kill()
    assert not list(tmp_path.glob("outputs/rows/.*"))
    rows = store.read(tmp_path / "outputs", strict=True)
    assert rows.height >= 8
    if process.returncode == 0 and out.endswith(
        "done\n"
    ):  # it was done, or about to be
        assert name in ("collect", "mirror", "reproduce")
        assert ended or seconds_to_end < 1
        return
    if (
        process.returncode == -number
    ):  # nobody listens any more where Python itself ends
        assert out.endswith("done\n"), said
        return
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert f"memcap: interrupted ({number.name})" in said.splitlines()[-1]
    if count := re.search(r"; (\d+) members? saved", said):
        assert int(count[1]) == rows.height - 8


def test_the_command_listens_before_it_imports_anything_that_takes_long(tmp_path):
    """Without `site`, which may import them, too."""
    script = (
        "import _signal, sys; real = _signal.signal\n"
        "def seen(*arguments):\n"
        "    print(sorted({'enum', 're', 'typing'} & sys.modules.keys())); real(*arguments)\n"
        "_signal.signal = seen; import memcap.__main__"
    )
    done = python(tmp_path, "-S", "-c", script)
    assert (done.stdout.splitlines()[:1], done.stderr) == (["[]"], "")


def test_a_signal_before_the_command_begins_ends_without_a_traceback(tmp_path):
    """While its own imports run: the handler of Python would raise in one of them."""
    script = "import memcap.__main__, os, signal; os.kill(os.getpid(), signal.SIGINT)"
    done = python(tmp_path, "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")

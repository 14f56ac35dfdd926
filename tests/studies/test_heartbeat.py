"""What a job says of itself: written while it trains, kept when it is killed, read by anybody."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from beat_files import MEMBER, first, put

from memcap.signals import Interrupted
from memcap.studies import heartbeat as module
from memcap.studies.heartbeat import SILENCE, beating, beats, keys_of

ROOT = Path(__file__).parents[2]


def same(beat):
    return beat


def test_it_is_written_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.01)
    steps = iter(range(10**9))
    before = time.time()
    with beating(
        tmp_path, first(), ["b", "a"], lambda beat: replace(beat, done=next(steps), longest=(MEMBER,))
    ):
        ((token, early),) = beats(tmp_path).items()
        deadline = time.monotonic() + 10
        while beats(tmp_path)[token].done < early.done + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        late = beats(tmp_path)[token]
        assert late.done >= early.done + 3
        assert before <= early.heard <= late.heard <= time.time()
        assert late.alive
        assert late.longest == (MEMBER,)
        assert (late.pid, late.folder, late.command) == (os.getpid(), os.getcwd(), "memcap train study=name")
        assert keys_of(tmp_path, token) == {"a", "b"}
    last = beats(tmp_path)[token]
    assert (last.ended, last.alive) == ("done", False)
    assert {p.suffix for p in (tmp_path / "jobs").iterdir()} == {".json", ".keys"}


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (Interrupted(signal.SIGTERM), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("a\nb"), "ValueError: a"),
    ],
)
def test_how_it_ended_is_kept_and_the_error_passed_on(tmp_path, error, ended):
    with pytest.raises(type(error)), beating(tmp_path, first(), ["a"], same):
        raise error
    (beat,) = beats(tmp_path).values()
    assert (beat.ended, beat.alive) == (ended, False)


def test_without_a_folder_or_members_nothing_is_written(tmp_path):
    with beating(tmp_path, first(), [], same), beating(None, first(), ["a"], same):
        assert not list(tmp_path.iterdir())


def test_where_it_cannot_be_written_training_goes_on(tmp_path):
    (tmp_path / "jobs").write_text("in the way")
    with beating(tmp_path, first(), ["a"], same):
        pass
    assert (tmp_path / "jobs").read_text() == "in the way"


def test_a_job_that_was_killed_is_gone(tmp_path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom memcap.studies.heartbeat import Beat, beating\n"
        "with beating(Path('.'), Beat.first('n', 'memcap train', False), ['a'], lambda beat: beat):\n"
        "    print('ready', flush=True); time.sleep(60)\n"
        "    raise SystemExit\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == b"ready\n"
        (beat,) = beats(tmp_path).values()
        assert (beat.pid, beat.alive) == (job.pid, True)
        job.kill()
    (beat,) = beats(tmp_path).values()
    assert (beat.ended, beat.exists, beat.alive) == (None, False, False)


def test_a_job_is_alive_while_it_is_heard_of(monkeypatch):
    now = time.time()
    assert first(heard=now - SILENCE + 5).alive
    assert not first(heard=now - SILENCE - 1).alive
    assert not first(ended="done").alive
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not first(pid=gone.pid).alive
    assert first(pid=gone.pid, host="another").alive  # whose processes cannot be seen from here
    assert not first(host="another", heard=now - SILENCE - 1).alive


def test_the_next_job_deletes_what_is_done_or_what_it_makes_up_for(tmp_path):
    old = time.time() - 1000
    put(tmp_path, "done", first(ended="done"), ["x"])
    put(tmp_path, "same", first(ended="interrupted"), ["a", "b"])
    put(tmp_path, "silent", first(heard=old), ["a"])
    put(tmp_path, "alive", first(), ["a"])
    put(tmp_path, "other", first(heard=old), ["a", "y"])
    with beating(tmp_path, first(), ["a", "b", "c"], same):
        left = beats(tmp_path)
        assert len(left) == 3
        assert left.keys() > {"alive", "other"}
        assert {p.stem for p in (tmp_path / "jobs").glob("*.keys")} == left.keys()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"longest": [{"key": 1}]}', '{"longest": 3}'])
def test_what_is_no_such_file_is_passed_over(tmp_path, text):
    put(tmp_path, "good", first(), ["a"])
    (tmp_path / "jobs" / "bad.json").write_text(text)
    (tmp_path / "jobs" / "binary.json").write_bytes(b"\xff\xfe")
    assert beats(tmp_path).keys() == {"good"}
    assert keys_of(tmp_path, "bad") == frozenset()

"""What a job says of its progress, on a terminal and where there is none."""

import io
import sys
import time

import pytest
from rich.console import Console

from memcap.store.heartbeat import JobProgress
from memcap.store.shards import Study
from memcap.studies import run
from memcap.studies.run import ProgressBar


def test_a_log_file_gets_a_line_now_and_then(clock, capsys):
    job = JobProgress(4, before=2, solved_before=1)
    bar = ProgressBar(job)
    clock.now = -1  # compiling
    bar.last_line = -31
    bar.print_line()
    ends = (
        (10, "solved", True),
        (40, "diverged", False),
        (60, "unsolved", False),
        (80, "diverged", True),
    )  # the last one trained on
    for seconds, status, solved in ends:
        clock.now = seconds
        job.ended("", status, solved)
        bar.print_line()
    clock.now = 200  # nobody has ended since
    bar.print_line()
    assert capsys.readouterr().err.splitlines() == [
        "training 2/6 members, compiling, and the first steps: 0 seconds",
        "training 4/6 members, 2 solved, 1 diverged",
        "training 6/6 members, 3 solved, 2 diverged",
    ]


def test_in_a_log_file_it_comes_by_itself(monkeypatch):
    monkeypatch.setattr(run, "SECONDS_BETWEEN_LINES", 0.0)
    # not capsys, which loses what a thread writes while it is read
    monkeypatch.setattr(sys, "stderr", lines := io.StringIO())
    job = JobProgress(2)
    with ProgressBar(job):
        job.ended("", "solved", True)
        end = time.monotonic() + 60
        while "training 1/2 members, 1 solved\n" not in lines.getvalue():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_what_is_still_to_come_may_change(clock, capsys):
    job = JobProgress(3, Study(design="bisect"))
    bar = ProgressBar(job)
    job.expect(9)
    job.frontier = ["latch, units: 1 to 2 at lag 4"]
    clock.now = 40
    for _ in range(3):
        job.ended("", "solved", True)
    bar.print_line()
    assert capsys.readouterr().err.splitlines() == [
        "training 3/9 members at most, 3 solved, at most about 80 seconds left",
        "latch, units: 1 to 2 at lag 4",
    ]


def test_quiet_is_quiet(clock, capsys):
    for job, quiet in ((JobProgress(1), True), (JobProgress(0, before=3), False)):
        with ProgressBar(job, quiet) as bar:
            clock.now += 100
            job.ended("", "solved", True)
            bar.print_line()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_member_that_trains_long_is_shown_on_a_terminal_alone(
    monkeypatch, clock, terminal
):
    file = io.StringIO()
    monkeypatch.setattr(
        run,
        "Console",
        lambda **_: Console(
            file=file, width=100, force_terminal=terminal, color_system=None
        ),
    )
    job = JobProgress(4)
    shown = ProgressBar(job)
    for _ in range(3):
        job.ended("", "solved", True)
    for step, now in ((100, 40), (200, 45), (300, 60)):
        clock.now = now
        job.chunk("a", "latch-L3-u1-s0", 1000, step - 100, step, 0.5)
    shown.console.print(shown.picture())
    text = file.getvalue()
    words = " ".join(text.split())
    assert "3/4 members, 3 solved, about 13 seconds left" in words
    assert ("latch-L3-u1-s0: step 300 of 1,000, loss 0.5" in text) == terminal

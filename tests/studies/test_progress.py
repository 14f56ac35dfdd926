"""What a job says of its progress, on a terminal and where there is none."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from study_checks import small_job

from memcap.studies import progress
from memcap.studies.axes import members
from memcap.training.engine import Chunk


def test_a_log_file_gets_a_line_now_and_then(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    shown = progress.Progress(members=6, done=2)
    ends = (
        (10, "solved", 300),
        (40, "diverged", None),
        (60, "unsolved", None),
        (80, "diverged", 100),
    )  # the last one trained on
    for seconds, status, solved in ends:
        clock.now = seconds
        shown.ended(SimpleNamespace(member=SimpleNamespace(key=""), status=status, solved=solved))
    assert capsys.readouterr().err.splitlines() == [
        "training 4/6 members, 1 solved, 1 diverged, about 40 seconds left",
        "training 6/6 members, 2 solved, 2 diverged, about 0 seconds left",
    ]


def test_what_is_still_to_come_may_change(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    shown = progress.Progress(members=3, done=0)
    shown.expect(7)
    clock.now = 40
    shown.ended(SimpleNamespace(member=SimpleNamespace(key=""), status="solved", solved=300))
    assert capsys.readouterr().err.splitlines() == ["training 1/7 members, 1 solved, at most 4 minutes left"]


def member_at(step, clock, now, shown, member):
    """Let a member get to a step."""
    clock.now = now
    shown.curve(Chunk(member, step - 100, np.full(100, 0.5, np.float32), 0.5, None))


@pytest.mark.parametrize("terminal", [True, False])
def test_a_member_that_trains_long_is_shown_on_a_terminal_alone(monkeypatch, capsys, terminal):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    (member,) = members(small_job(recipe__budget=1000))
    file = io.StringIO()
    monkeypatch.setattr(
        progress,
        "Console",
        lambda **_: Console(file=file, width=100, force_terminal=terminal, color_system=None),
    )
    shown = progress.Progress(members=1, done=0)
    said = []
    for step, now in ((100, 40), (200, 45), (300, 60)):
        with shown.bar.console.capture() as captured:
            shown.bar.console.print(*shown.bar.get_renderables())
        said.append(captured.get())
        member_at(step, clock, now, shown, member)
    shown.bar.console.print(*shown.bar.get_renderables())
    assert "0/1 members, compiling, and the first steps" in said[0]
    assert "0/1 members, 0 solved" in said[1]
    assert not any("step" in text for text in said[1:])  # it has not trained for long
    text = file.getvalue()
    assert "about 2.33 minutes left" in text
    assert ("latch-L3-u1-s0: step 300 of 1,000, loss 0.5, at most 70 seconds left" in text) == terminal
    assert capsys.readouterr().err == ""

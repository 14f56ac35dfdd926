"""What a job says of its progress where there is no terminal."""

from types import SimpleNamespace

from memcap.studies import progress


def test_a_log_file_gets_a_line_now_and_then(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    shown = progress.Progress(members=6, done=2)
    for seconds, status in ((10, "solved"), (40, "diverged"), (60, "unsolved"), (80, "solved")):
        clock.now = seconds
        shown.ended(SimpleNamespace(status=status))
    assert capsys.readouterr().err.splitlines() == [
        "training 4/6 members, 1 solved, 1 diverged, about 40 s left",
        "training 6/6 members, 2 solved, 1 diverged, about 0 s left",
    ]

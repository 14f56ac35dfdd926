"""What a job says of its progress where there is no terminal."""

from types import SimpleNamespace

from memcap.studies import progress


def test_a_log_file_gets_a_line_now_and_then(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    shown = progress.Progress(members=6, done=2)
    ends = ((10, "solved", 300), (40, "diverged", None), (60, "unsolved", None), (80, "diverged", 100))  # the last one trained on
    for seconds, status, solved in ends:
        clock.now = seconds
        shown.ended(SimpleNamespace(status=status, solved=solved))
    assert capsys.readouterr().err.splitlines() == [
        "training 4/6 members, 1 solved, 1 diverged, about 40 s left",
        "training 6/6 members, 2 solved, 2 diverged, about 0 s left",
    ]


def test_what_is_still_to_come_may_change(monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    shown = progress.Progress(members=3, done=0)
    shown.expect(7)
    clock.now = 40
    shown.ended(SimpleNamespace(status="solved", solved=300))
    assert capsys.readouterr().err.splitlines() == ["training 1/7 members, 1 solved, at most 240 s left"]

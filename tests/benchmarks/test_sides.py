"""The benchmark of lanes side by side: it runs, and says whether its claim is held."""

import pytest
from same_process import Here

from benchmarks import runner, sides
from benchmarks.lanes import Timed

FACTS = {"warning": None, "absent": ""}


def test_tiny_runs(monkeypatch, capsys):
    monkeypatch.setattr(sides, "Worker", Here)
    runner.main(["sides", "--tiny"])
    out = capsys.readouterr().out
    assert out.count("\n| ") == 2 + len(sides.TINY.lags)


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(1.4, "; held here (1.40)"), (1.6, "; NOT held here (1.60)")]
)
def test_the_claim_is_about_the_longest_lag(monkeypatch, seconds, verdict):
    monkeypatch.setattr(sides.report, "page", lambda title, facts, notes, body: "\n".join(body))
    plan = sides.SidesPlan(lags=(1, 50))
    found = {1: (Timed((1.0,), 0.0), Timed((9.0,), 0.0)), 50: (Timed((1.0,), 0.0), Timed((seconds,), 0.0))}
    assert verdict in sides.page(found, plan, FACTS)

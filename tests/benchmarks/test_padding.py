"""The benchmark of widths that share a program: it runs, and its page says what the model takes for
granted."""

import pytest
from same_process import Here

from benchmarks import padding, runner
from benchmarks.padding import PaddingPlan, Step, Study
from benchmarks.peers import CONTESTANTS

FACTS = {"warning": None, "absent": ""}


@pytest.mark.slow
@pytest.mark.skipif(bool(CONTESTANTS["native"].missing), reason="no C compiler")
def test_tiny_runs(monkeypatch, capsys):
    monkeypatch.setattr(padding, "Worker", Here)
    runner.main(["padding", "--tiny"])
    out = capsys.readouterr().out
    assert "| as the model decides | empty | 1 |" in out
    assert "| a program a width | empty | 2 |" in out


def test_the_page_says_what_a_weight_costs(monkeypatch):
    monkeypatch.setattr(padding.report, "page", lambda title, facts, notes, body: "\n".join(body))
    steps = [Step(4, 4, 200, 40e-6, 1.0), Step(4, 16, 1200, 42e-6, 1.1), Step(4, 64, 20_200, 100e-6, 1.3)]
    page = padding.page(steps, [Study("a program a width", "full", 21, 33.3)], PaddingPlan(), FACTS)
    assert "| 4 | 16 | 42 | 5% | 2.0 | 1.10 |" in page
    assert "| 4 | 64 | 100 | 150% | 3.0 | 1.30 |" in page
    assert (
        "Medians: 2.5 ns a weight, 1.1 s a program; the model says 3 ns a weight and 1.0 s a program." in page
    )
    assert "| a program a width | full | 21 | 33.3 |" in page

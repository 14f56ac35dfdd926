"""The benchmark of cells in C: it runs, and its page says how many times faster each is."""

import pytest
from same_process import Here

from benchmarks import cells, runner
from benchmarks.cells import CellsPlan, Step
from benchmarks.peers import CONTESTANTS


@pytest.mark.slow
@pytest.mark.skipif(bool(CONTESTANTS["native"].missing), reason="no C compiler")
def test_tiny_runs(monkeypatch, capsys):
    monkeypatch.setattr(cells, "Worker", Here)
    runner.main(["cells", "--tiny"])
    assert "| GRUCell | 2 | 1 |" in capsys.readouterr().out


def test_the_page_says_how_many_times_faster(monkeypatch):
    monkeypatch.setattr(cells.report, "page", lambda title, facts, notes, body: "\n".join(body))
    plan = CellsPlan(cells=("GRUCell",), units=(8,), lags=(20,))
    steps = [Step("GRUCell", 8, 20, "native", 130e-6), Step("GRUCell", 8, 20, "while", 650e-6)]
    assert "| GRUCell | 8 | 20 | 650 | 130 | 5.0 |" in cells.page(steps, plan, {})

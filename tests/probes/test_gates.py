"""The picture's numbers: gates of hand-set nets, and the cell's equations between what is drawn."""

import numpy as np
import pytest
from breadth import leave
from probe_checks import hand_set, untrained

from memcap.models.constructed import KEEP
from memcap.probes import gates
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch

pytestmark = pytest.mark.usefixtures("quick_file")


def test_a_latch_opens_its_gate_once():
    found = gates.quantities(hand_set(Latch(), 4))
    assert KEEP[0] < 0
    is_first = np.arange(6) == 0
    np.testing.assert_allclose(found["input gate i"][:, 0], is_first, atol=1e-6)
    np.testing.assert_allclose(found["forget gate f"][:, 0], ~is_first, atol=1e-6)
    np.testing.assert_allclose(np.abs(found["cell c"][:, 0]), 0.8, atol=1e-6)


NAMES = ("input gate i", "forget gate f", "candidate g", "cell c")


def assert_next_cell(maps, end=""):
    """That gates, candidate and cell obey the LSTM's equation."""
    i, f, g, c = (maps[name + end] for name in NAMES)
    np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "readout"), [("lstm", "lstm"), *leave([("OptimizedLSTMCell", "dense")])]
)
def test_what_is_drawn_makes_the_next_state(cell, readout):
    net = untrained(DelayLine(symbols=3), 2, cell, units=4, readout=readout)
    found = gates.quantities(net)
    assert_next_cell(found)
    shown = found["output gate o"] * np.tanh(found["cell c"])
    np.testing.assert_allclose(found["hidden state h"], shown, atol=1e-5)


def test_each_layer_s_gates_make_its_next_state():
    found = gates.probe(untrained(DelayLine(symbols=3), 2, units=4, layers=2))
    values = found.data.filter(found.data["what"] != "input").group_by("what")
    maps = {name: rows["value"].to_numpy().reshape(-1, 4) for (name,), rows in values}
    assert len(maps) == 12
    for end in (", layer 1", ", layer 2"):
        assert_next_cell(maps, end)
    shares = dict(found.table.select("what", "near_an_end").iter_rows())
    assert shares["forget gate f, layer 2"] is not None
    assert shares["cell c, layer 2"] is None


@pytest.mark.breadth
def test_of_other_cells_the_hidden_state_alone_is_drawn():
    found = gates.probe(untrained(DelayLine(), 2, "LRU", units=3))
    assert found.table["what"].to_list() == ["hidden state h"]
    assert "only an LSTM's are known" in found.notes[0]
    assert found.data.filter(found.data["what"] == "hidden state h").height == 14 * 6

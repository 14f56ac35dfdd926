"""The picture's numbers: gates of hand-set nets, and the cell's equations between what is drawn."""

import numpy as np
import pytest
from breadth import leave
from probe_checks import hand_set, untrained

from memcap.models.constructed import KEEP
from memcap.probes import gates
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch
from memcap.trained import Trained

pytestmark = pytest.mark.usefixtures("quick_file")


def test_a_latch_opens_its_gate_once():
    found = gates.quantities(hand_set(Latch(), 4))
    assert KEEP[0] < 0
    np.testing.assert_allclose(
        found["input gate i"][:, 0], [1, 0, 0, 0, 0, 0], atol=1e-6
    )
    np.testing.assert_allclose(
        found["forget gate f"][:, 0], [0, 1, 1, 1, 1, 1], atol=1e-6
    )
    np.testing.assert_allclose(np.abs(found["cell c"][:, 0]), 0.8, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "readout"), [("lstm", "lstm"), *leave([("OptimizedLSTMCell", "dense")])]
)
def test_what_is_drawn_makes_the_next_state(cell, readout):
    found = gates.quantities(
        untrained(DelayLine(symbols=3), 2, cell, units=4, readout=readout)
    )
    i, f, o, g, c, h = (
        found[name]
        for name in [*gates.GATES.values(), "candidate g", "cell c", "hidden state h"]
    )
    np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-5)
    np.testing.assert_allclose(h, o * np.tanh(c), atol=1e-5)


def test_a_learned_carry_is_what_the_first_step_sees():
    net = untrained(DelayLine(symbols=3), 2, units=4, initial_carry="learned")
    start = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    own = {"initial_carry": {"cell": {"part_0": start[0], "part_1": start[1]}}}
    found = gates.quantities(Trained(net.member, net.weights | own))
    i, f, g, c = (
        found[name][0]
        for name in ("input gate i", "forget gate f", "candidate g", "cell c")
    )
    np.testing.assert_allclose(c, f * start[0] + i * g, atol=1e-5)


def test_each_layer_s_gates_make_its_next_state():
    found = gates.probe(untrained(DelayLine(symbols=3), 2, units=4, layers=2))
    maps = {
        name: values["value"].to_numpy().reshape(-1, 4)
        for (name,), values in found.data.filter(
            found.data["what"] != "input"
        ).group_by("what")
    }
    assert len(maps) == 12
    for end in (", layer 1", ", layer 2"):
        i, f, g, c = (
            maps[name + end]
            for name in ("input gate i", "forget gate f", "candidate g", "cell c")
        )
        np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-5)
    shares = dict(found.table.select("what", "near_an_end").iter_rows())
    assert shares["forget gate f, layer 2"] is not None
    assert shares["cell c, layer 2"] is None


@pytest.mark.breadth
def test_of_other_cells_the_hidden_state_alone_is_drawn():
    found = gates.probe(untrained(DelayLine(), 2, "LRU", units=3))
    assert found.table["what"].to_list() == ["hidden state h"]
    assert "only an LSTM's are known" in found.notes[0]
    assert found.data.filter(found.data["what"] == "hidden state h").height == 14 * 6

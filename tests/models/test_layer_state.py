"""The state of layers of other libraries, against what their papers' equations carry."""

import importlib
import json

import numpy as np
import pytest
from command import memcap
from flax import nnx

from memcap.knobs import UserError
from memcap.models.layer_state import build_layer, layer_state

FEATURES = 3
HEADS = 2
KEYS = 4
VALUES = 6


def gated_delta_net(xp, x, state):
    """S_t = a_t S_{t-1} (I - b_t k_t k_t^T) + b_t v_t k_t^T (Yang et al., 2025)."""
    if state is None:
        state = xp.zeros((len(x), HEADS, VALUES, KEYS))
    k = 1.0 * xp.ones((len(x), HEADS, KEYS)) / KEYS**0.5
    v = xp.ones((len(x), HEADS, VALUES)) * x.sum()
    read = xp.einsum("bhvk,bhk->bhv", state, k)
    change = xp.einsum("bhv,bhk->bhvk", 0.5 * v - 0.45 * read, k)
    return read, 0.9 * state + change


def mlstm(xp, x, state):
    """C_t = f C + i v k^T; n_t = f n + i k; m_t = max(log f + m, log i) (Beck et al., 2024)."""
    if state is None:
        state = {
            "C": xp.zeros((len(x), HEADS, VALUES, KEYS)),
            "n": xp.zeros((len(x), HEADS, KEYS)),
            "m": xp.zeros((len(x), HEADS)),
        }
    k = xp.ones((len(x), HEADS, KEYS)) * x.sum()
    v = xp.ones((len(x), HEADS, VALUES))
    m = xp.maximum(state["m"] - 0.1, xp.ones((len(x), HEADS)))
    new = {
        "C": 0.9 * state["C"] + xp.einsum("bhv,bhk->bhvk", v, k),
        "n": 0.9 * state["n"] + k,
        "m": m,
    }
    return xp.einsum("bhvk,bhk->bhv", new["C"], k), new


def layer_of(library, step):
    """A layer of this step, which is a module if the library is PyTorch."""
    xp = pytest.importorskip(library)

    def forward(self, inputs, state=None):
        outputs = []
        for t in range(inputs.shape[1]):
            output, state = step(xp, inputs[:, t], state)
            outputs.append(output)
        return xp.stack(outputs, 1), state

    if library == "numpy":
        return type("Layer", (), {"__call__": forward})()
    return type("Layer", (xp.nn.Module,), {"forward": forward})()


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("step", "numbers"),
    [
        (gated_delta_net, {"state": HEADS * VALUES * KEYS}),
        (mlstm, {"C": HEADS * VALUES * KEYS, "m": HEADS, "n": HEADS * KEYS}),
    ],
)
def test_matrix_layers_have_the_state_of_their_equations(library, step, numbers):
    found = layer_state(layer_of(library, step), 2, FEATURES)
    assert found.numbers == found.longer == numbers
    assert found.stated is None
    size = {"numpy": 8, "torch": 4}[library]  # their default floats
    assert found.bytes == {name: size * n for name, n in numbers.items()}


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("torch.nn:LSTM", ("h", "c")),
        ("torch.nn:GRU", ("h",)),
        ("flax.nnx:LSTMCell", ("c", "h")),
        ("flax.nnx:OptimizedLSTMCell", ("c", "h")),
        ("flax.nnx:GRUCell", ("h",)),
    ],
)
def test_the_libraries_own_layers_are_built_from_their_class(name, arrays):
    module, _, attribute = name.partition(":")
    if module == "torch.nn":
        pytest.importorskip("torch")
    layer = getattr(importlib.import_module(module), attribute)
    found = layer_state(build_layer(layer, FEATURES, 5), 2, FEATURES)
    assert found.numbers == found.longer == dict.fromkeys(arrays, 5)
    assert found.bytes == dict.fromkeys(arrays, 20)


def test_an_rnn_of_flax_has_the_state_of_its_cell():
    rnn = nnx.RNN(nnx.GRUCell(FEATURES, 5, rngs=nnx.Rngs(0)))
    assert layer_state(rnn, 2, FEATURES).numbers == {"h": 5}


MODULE = """import numpy as np

class Fast:
    def __init__(self, features, units):
        self.units = units

    def state_size(self, sequence_length=2048):
        return self.units

    def __call__(self, inputs, state=None):
        return inputs, (np.zeros((len(inputs), self.units, 2), np.float32), np.zeros(3))

def cache(inputs, state=None):
    state = inputs if state is None else np.concatenate([state, inputs], 1)
    return state, state

class Narrow:
    def __init__(self, features):
        pass

def plain(inputs):
    return inputs

def words(inputs, state=None):
    return inputs, {"kind": "none"}
"""


def test_the_command_prints_what_is_counted_and_what_the_layer_states(tmp_path):
    (tmp_path / "my_state_layers.py").write_text(MODULE)
    done = memcap(tmp_path, "inspect", "my_state_layers:Fast", "--units", "4")
    assert done.err == ""
    assert "  0                 8 numbers, 32 bytes\n" in done.out
    assert "  1                 0 numbers, 0 bytes\n" in done.out  # not per sequence
    assert "  its state_size    4\n" in done.out
    grows = memcap(tmp_path, "inspect", "my_state_layers:cache", "--json")
    found = json.loads(grows.out)
    assert (found["numbers"], found["longer"]) == ({"state": 6}, {"state": 12})
    assert "it grows with" in memcap(tmp_path, "inspect", "my_state_layers:cache").out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Narrow", "net: Narrow(3, 5), in place of an object, raises TypeError"),
        ("plain", "net: gave ndarray; it must give a pair, its outputs and its state"),
        (
            "words",
            "net: its state holds str; it must be arrays in tuples, lists or dicts",
        ),
    ],
)
def test_what_is_no_layer_is_refused_in_one_line(tmp_path, name, line):
    (tmp_path / "my_no_layers.py").write_text(MODULE)
    done = memcap(tmp_path, "inspect", f"my_no_layers:{name}")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"memcap: {line}")
    assert done.err.count("\n") == 1


def test_a_layer_that_fails_is_named_with_its_line():
    def broken(inputs, state=None):
        raise RuntimeError("no kernel")

    with pytest.raises(
        UserError, match=r"net: given inputs \(2, 2, 3\), it raises RuntimeError"
    ):
        layer_state(broken, 2, FEATURES)


def test_numbers_do_not_depend_on_the_axis_of_the_batch():
    def first_axis(inputs, state=None):
        return inputs, np.zeros((4, len(inputs), 5))

    assert layer_state(first_axis, 2, FEATURES).numbers == {"state": 20}

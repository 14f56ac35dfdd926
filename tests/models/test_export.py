"""The equations below are written from Keras's and PyTorch's documentation, and share
no code with memcap."""

import ast
import inspect
import textwrap
from functools import cache

import flax
import jax
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from lstm_reference import keras_lstm, sigmoid
from study_checks import refusal

from memcap.cells import Init
from memcap.models.architecture import Architecture
from memcap.models.constructed import constructed
from memcap.models.export import LAYOUTS, export
from memcap.models.model import Model
from memcap.tasks.delay_line import DelayLine

pytestmark = pytest.mark.usefixtures("quick_file")

F = 3
U = 5
OUT = 2
B = 4
T = 9


def torch_lstm(x, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.LSTM(batch_first=True): x (B, T, F); weight_ih is (W_ii | W_if | W_ig |
    W_io), stacked by rows."""
    (w_ii, w_if, w_ig, w_io), (w_hi, w_hf, w_hg, w_ho) = (
        np.split(weight_ih, 4),
        np.split(weight_hh, 4),
    )
    (b_ii, b_if, b_ig, b_io), (b_hi, b_hf, b_hg, b_ho) = (
        np.split(bias_ih, 4),
        np.split(bias_hh, 4),
    )
    h = c = np.zeros((x.shape[0], weight_hh.shape[1]))
    outputs = []
    for t in range(x.shape[1]):
        i = sigmoid(x[:, t] @ w_ii.T + b_ii + h @ w_hi.T + b_hi)
        f = sigmoid(x[:, t] @ w_if.T + b_if + h @ w_hf.T + b_hf)
        g = np.tanh(x[:, t] @ w_ig.T + b_ig + h @ w_hg.T + b_hg)
        o = sigmoid(x[:, t] @ w_io.T + b_io + h @ w_ho.T + b_ho)
        c = f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


@cache
def drawn(cell, readout, layers=1):
    """A random network with no zero weight: model, weights, and its outputs (B, T, O)
    for random inputs (B, T, F)."""
    model = Model(cell, U, readout, layers)
    architecture = Architecture(model, F, OUT)
    rng = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda leaf: leaf + rng.normal(0, 0.3, leaf.shape).astype(np.float32),
        architecture.init(Init(forget=1.0), [0]),
    )
    inputs = rng.normal(size=(B, T, F)).astype(np.float32)
    predictions = jax.jit(architecture.build(weights))(np.swapaxes(inputs, 0, 1))
    return model, weights, inputs, np.transpose(predictions, (2, 1, 0))


def shapes(arrays):
    return {name: array.shape for name, array in arrays.items()}


@pytest.mark.parametrize("cell", ["lstm", "OptimizedLSTMCell"])
def test_torch_names_and_shapes(cell):
    model, weights, *_ = drawn(cell, "dense")
    arrays = export(model, weights, "torch")
    assert shapes(arrays) == {
        "lstm.weight_ih_l0": (4 * U, F),
        "lstm.weight_hh_l0": (4 * U, U),
        "lstm.bias_ih_l0": (4 * U,),
        "lstm.bias_hh_l0": (4 * U,),
        "readout.weight": (OUT, U),
        "readout.bias": (OUT,),
    }
    assert all(
        array.dtype == np.float32 and array.flags.c_contiguous
        for array in arrays.values()
    )


@pytest.mark.parametrize("layers", [*leave([1]), 3])
@pytest.mark.parametrize("cell", ["lstm", "OptimizedLSTMCell"])
@pytest.mark.parametrize("readout", [*leave(["dense"]), "lstm"])
def test_keras_s_and_torch_s_equations_predict_the_same(cell, readout, layers):
    model, weights, inputs, predictions = drawn(cell, readout, layers)
    keras, torch = (export(model, weights, layout) for layout in ("keras", "torch"))
    names = [
        f"lstm{end}" for end in ("", "_1", "_2", "_3")[: layers + (readout == "lstm")]
    ]
    kinds = ("kernel", "recurrent_kernel", "bias")
    tops = ["dense/kernel", "dense/bias"]
    assert list(keras) == [
        f"{name}/{kind}" for name in names for kind in kinds
    ] + tops * (readout == "dense")
    hidden = inputs
    for name in names:
        hidden = keras_lstm(hidden, *(keras[f"{name}/{kind}"] for kind in kinds))
    if readout == "dense":
        hidden = hidden @ keras["dense/kernel"] + keras["dense/bias"]
    np.testing.assert_allclose(hidden, predictions, atol=1e-6, rtol=0)

    hidden = inputs
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for place in range(layers):  # nn.LSTM(F, U, num_layers=layers)
        hidden = torch_lstm(hidden, *(torch[f"lstm.{kind}_l{place}"] for kind in kinds))
    if readout == "dense":
        hidden = hidden @ torch["readout.weight"].T + torch["readout.bias"]
    else:
        hidden = torch_lstm(hidden, *(torch[f"readout.{kind}_l0"] for kind in kinds))
    np.testing.assert_allclose(hidden, predictions, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("cell", "loaded", "readout"),
    [("lstm", "OptimizedLSTMCell", "lstm"), *leave([("GRUCell", "GRUCell", "dense")])],
)
def test_flax_cells_load_it_as_documented(cell, loaded, readout):
    model, weights, inputs, predictions = drawn(cell, readout)
    rngs = nnx.Rngs(0)
    top = (
        nnx.Linear(U, OUT, rngs=rngs)
        if readout == "dense"
        else nnx.OptimizedLSTMCell(U, OUT, rngs=rngs)
    )
    net = nnx.Dict(cell=getattr(nnx, loaded)(F, U, rngs=rngs), readout=top)
    arrays = export(model, weights, "flax")
    ours = {
        ".".join(map(str, path))
        for path, _ in nnx.to_flat_state(nnx.state(net, nnx.Param))
    }
    assert set(arrays) == ours
    nnx.update(net, flax.traverse_util.unflatten_dict(arrays, sep="."))
    hidden = nnx.RNN(net.cell)(inputs)
    outputs = (
        net.readout(hidden) if readout == "dense" else nnx.RNN(net.readout)(hidden)
    )
    np.testing.assert_allclose(outputs, predictions, atol=1e-6, rtol=0)


def test_constructed_delay_line_survives_the_way_through_a_file(tmp_path):
    lag = 5
    bits = np.random.default_rng(0).integers(0, 2, (16, 40))
    np.savez(
        tmp_path / "weights.npz", **export(*constructed(DelayLine(), lag), "keras")
    )
    with np.load(tmp_path / "weights.npz") as file:
        # in the order of set_weights
        kernel, recurrent, bias, top, top_bias = file.values()
    outputs = keras_lstm(np.eye(2)[bits], kernel, recurrent, bias) @ top + top_bias
    assert np.array_equal(outputs.argmax(-1)[:, lag:], bits[:, :-lag])


@pytest.mark.parametrize("layout", ["keras", "torch"])
@pytest.mark.parametrize("cell", ["GRUCell", "LSTMCell"])
def test_other_cells_only_go_to_flax(layout, cell):
    model = Model(cell, U)
    weights = {"cell": {}, "readout": {}}  # refused by name, before any array is read
    text = refusal(lambda: export(model, weights, layout))
    assert (
        f"model.cell={cell}: layout {layout} takes OptimizedLSTMCell and lstm only"
        in text
    )


def test_unknown_layout():
    text = refusal(lambda: export(Model("lstm", U), {}, "onnx"))
    assert "layout=onnx: no such layout; one of keras, torch, flax" in text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_code_that_loads_a_layout_can_be_copied(layout):
    code = [
        line
        for line in inspect.getdoc(LAYOUTS[layout]).splitlines()
        if line.startswith("    ")
    ]
    assert len(ast.parse(textwrap.dedent("\n".join(code))).body) >= 4

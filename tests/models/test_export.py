"""The equations below are written from Keras's and PyTorch's documentation, and share
no code with memcap."""

from functools import cache

import flax
import jax
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from lstm_reference import keras_lstm, sigmoid
from model_checks import OUT, F, U, architecture, random_like, reals
from study_checks import refusal

from memcap.cells import Init
from memcap.models.export import export
from memcap.models.model import Model

pytestmark = pytest.mark.usefixtures("quick_file")


def torch_lstm(x, weight_ih, weight_hh, bias_ih, bias_hh):
    """torch.nn.LSTM(batch_first=True): x (B, T, F); weight_ih is (W_ii | W_if | W_ig |
    W_io), stacked by rows."""
    w_ii, w_if, w_ig, w_io = np.split(weight_ih, 4)
    w_hi, w_hf, w_hg, w_ho = np.split(weight_hh, 4)
    b_ii, b_if, b_ig, b_io = np.split(bias_ih, 4)
    b_hi, b_hf, b_hg, b_ho = np.split(bias_hh, 4)
    h = c = np.zeros((len(x), weight_hh.shape[1]))
    outputs = []
    for x_t in np.swapaxes(x, 0, 1):
        i = sigmoid(x_t @ w_ii.T + b_ii + h @ w_hi.T + b_hi)
        f = sigmoid(x_t @ w_if.T + b_if + h @ w_hf.T + b_hf)
        g = np.tanh(x_t @ w_ig.T + b_ig + h @ w_hg.T + b_hg)
        o = sigmoid(x_t @ w_io.T + b_io + h @ w_ho.T + b_ho)
        c = f * c + i * g
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


@cache
def drawn(cell, readout, layers=1):
    """A random network with no zero weight: model, weights, and its outputs (B, T, O)
    for random inputs (B, T, F)."""
    net = architecture(cell, readout, layers)
    start = net.init(Init(forget=1.0), [0])
    weights = jax.tree.map(np.add, start, random_like(start))
    inputs = reals()
    predictions = jax.jit(net.build(weights))(inputs)
    return (
        net.model,
        weights,
        np.swapaxes(inputs, 0, 1),
        np.transpose(predictions, (2, 1, 0)),
    )


@pytest.mark.parametrize("layers", [*leave([1]), 3])
@pytest.mark.parametrize("cell", ["lstm", "OptimizedLSTMCell"])
@pytest.mark.parametrize("readout", [*leave(["dense"]), "lstm"])
def test_keras_s_and_torch_s_equations_predict_the_same(cell, readout, layers):
    model, weights, inputs, predictions = drawn(cell, readout, layers)
    keras, torch = (export(model, weights, layout) for layout in ("keras", "torch"))
    names = ["lstm", "lstm_1", "lstm_2", "lstm_3"][: layers + (readout == "lstm")]
    kinds = ("kernel", "recurrent_kernel", "bias")
    arrays = [f"{name}/{kind}" for name in names for kind in kinds]
    arrays += ["dense/kernel", "dense/bias"] * (readout == "dense")
    assert list(keras) == arrays
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
    kind = nnx.Linear if readout == "dense" else nnx.OptimizedLSTMCell
    top = kind(U, OUT, rngs=rngs)
    net = nnx.Dict(cell=getattr(nnx, loaded)(F, U, rngs=rngs), readout=top)
    arrays = export(model, weights, "flax")
    paths = [path for path, _ in nnx.to_flat_state(nnx.state(net, nnx.Param))]
    assert set(arrays) == {".".join(map(str, path)) for path in paths}
    nnx.update(net, flax.traverse_util.unflatten_dict(arrays, sep="."))
    hidden = nnx.RNN(net.cell)(inputs)
    outputs = top(hidden) if readout == "dense" else nnx.RNN(top)(hidden)
    np.testing.assert_allclose(outputs, predictions, atol=1e-6, rtol=0)


REFUSED = [
    (
        {"cell": "LSTMCell"},
        "keras",
        "model.cell=LSTMCell: layout keras takes OptimizedLSTMCell and lstm only",
    ),
    ({"cell": "LSTMCell"}, "torch", "layout torch takes OptimizedLSTMCell and lstm"),
    ({}, "onnx", "layout=onnx: no such layout; one of keras, torch, flax"),
]


@pytest.mark.parametrize(("knobs", "layout", "said"), REFUSED)
def test_what_a_layout_cannot_hold_is_refused_before_any_array_is_read(
    knobs, layout, said
):
    assert said in refusal(lambda: export(Model(**knobs), {}, layout))

"""The net that `memcap fit` found as a model of ONNX, for onnxruntime and others."""

from pathlib import Path

import numpy as np

from memcap.knobs import UserError
from memcap.own.fitted import FittedNet

# an LSTM of ONNX takes (T, B, F) and gives (T, 1, B, U): of one direction
GRAPH = """<ir_version: 10, opset_import: ["" : 17]>
net (float[B, T, F] inputs) => (float[B, T, O] outputs) {{
    steps = Transpose <perm = [1, 0, 2]> (inputs)
    states = LSTM <hidden_size = {units}> (steps, kernel, recurrent, bias)
    direction = Constant <value_ints = [1]> ()
    hidden = Squeeze (states, direction)
    sequences = Transpose <perm = [1, 0, 2]> (hidden)
    products = MatMul (sequences, readout)
    outputs = Add (products, end)
}}"""
GATES = [0, 3, 1, 2]  # places of ONNX's i, o, f, c among PyTorch's i, f, c, o


def save(net: FittedNet, path: str | Path) -> None:
    """Write a model that takes `inputs` (B, T, F) float32, numbers or one-hot symbols,
    and gives `outputs` (B, T, O) float32, logits or values after every step.

    Raises:
        UserError: the package onnx is not installed.
    """
    try:
        from onnx import numpy_helper, parser, save_model
    except ModuleNotFoundError as error:
        raise UserError(f"{path}: needs onnx; pip install 'memcap[onnx]'") from error
    kernel, recurrent, bias, of_state, readout, end = net.arrays("torch").values()
    rows = np.arange(len(bias)).reshape(4, -1)[GATES].ravel()
    arrays = {
        "kernel": kernel[rows][None],
        "recurrent": recurrent[rows][None],
        "bias": np.concatenate([bias[rows], of_state])[None],
        "readout": readout.T,
        "end": end,
    }
    model = parser.parse_model(GRAPH.format(units=len(bias) // 4))
    for name, array in arrays.items():
        tensor = numpy_helper.from_array(array.astype(np.float32), name)
        model.graph.initializer.append(tensor)
    save_model(model, path)

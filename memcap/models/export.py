"""Export of a network's weights to Keras, PyTorch or Flax."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from memcap.cells import cell_class, cell_classes
from memcap.cells.lstm import LSTM
from memcap.knobs import Acts, UserError, unknown_knob
from memcap.models.model import Model, Params, cell_names

Arrays = dict[str, np.ndarray]
# The knobs that a layout has, or refuses in words of its own, act on these.
SERVES: tuple[Acts, ...] = ("layers",)


def export(model: Model, weights: Params, layout: str) -> Arrays:
    """Return the weights as a flat dict of float32 arrays, in a library's order.

    `layout` is "keras", "torch" or "flax": those functions list the arrays, and show
    how to load them, with numbers or one-hot symbols (B, T, F) as input.

    Raises:
        UserError: no such layout; or, except for "flax", a cell that is not the
            library's LSTM.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout={layout}: no such layout; one of {', '.join(LAYOUTS)}")
    if knob := unknown_knob(SERVES, model=model):
        raise UserError(f"{knob}: no layout has such nets; memcap.load runs them")
    return LAYOUTS[layout](model, weights)


def keras(model: Model, weights: Params) -> Arrays:
    """Return arrays for `keras.layers.LSTM`, and `Dense` or a second `LSTM`.

    lstm/kernel (F, 4U) with gates i, f, c, o, lstm/recurrent_kernel (U, 4U), lstm/bias
    (4U,), lstm_1/kernel and so on for further layers, each of which `net` needs;
    dense/kernel (U, O), dense/bias (O,). To load, by order and not by name:

        arrays = np.load("weights.npz")
        lstm = keras.layers.LSTM(U, return_sequences=True)
        net = keras.Sequential([keras.Input((None, F)), lstm, keras.layers.Dense(O)])
        net.set_weights(list(arrays.values()))
    """
    names = ("kernel", "recurrent_kernel", "bias")
    lstms = _lstms(model, weights, "keras")
    if model.readout == "lstm":
        lstms.append(LSTM.arrays(weights["readout"]))
    arrays: Arrays = {}
    for number, lstm in enumerate(lstms):
        prefix = f"lstm_{number}" if number else "lstm"
        arrays |= {f"{prefix}/{name}": a for name, a in zip(names, lstm, strict=True)}
    if model.readout == "lstm":
        return arrays
    return arrays | {
        f"dense/{name}": weights["readout"][name] for name in ("kernel", "bias")
    }


def torch(model: Model, weights: Params) -> Arrays:
    """Return arrays for `torch.nn.LSTM`, and `Linear` or a second `LSTM`.

    lstm.weight_ih_l0 (4U, F) with gates i, f, g, o, lstm.weight_hh_l0 (4U, U),
    lstm.bias_ih_l0 (4U,), and zeros for lstm.bias_hh_l0 (4U,), which PyTorch adds;
    lstm.weight_ih_l1 and so on for further layers (`num_layers`); readout.weight (O,
    U), readout.bias (O,), or readout.weight_ih_l0 and so on. To load:

        arrays = np.load("weights.npz")
        lstm = nn.LSTM(F, U, batch_first=True)
        net = nn.ModuleDict({"lstm": lstm, "readout": nn.Linear(U, O)})
        net.load_state_dict({k: torch.from_numpy(array) for k, array in arrays.items()})
        outputs = net["readout"](net["lstm"](inputs)[0])
    """
    arrays = _torch_lstm("lstm", _lstms(model, weights, "torch"))
    if model.readout == "lstm":
        return arrays | _torch_lstm("readout", [LSTM.arrays(weights["readout"])])
    kernel = weights["readout"]["kernel"]
    bias = weights["readout"]["bias"]
    return arrays | {
        "readout.weight": np.ascontiguousarray(kernel.T),
        "readout.bias": bias,
    }


def flax(model: Model, weights: Params) -> Arrays:
    """Return arrays for `nnx.OptimizedLSTMCell`, or another cell of Flax by its own
    names, and `nnx.Linear` or an LSTM cell.

    cell.dense_i.kernel (F, 4U) with gates i, f, g, o, cell.dense_h.kernel (U, 4U),
    cell.dense_h.bias (4U,); cell_2.dense_i.kernel (U, 4U) and so on for further layers;
    readout.kernel (U, O), readout.bias (O,), or readout.dense_i.kernel and so on. To
    load:

        arrays = np.load("weights.npz")
        rngs = nnx.Rngs(0)
        cell = nnx.OptimizedLSTMCell(F, U, rngs=rngs)
        net = nnx.Dict(cell=cell, readout=nnx.Linear(U, O, rngs=rngs))
        nnx.update(net, flax.traverse_util.unflatten_dict(dict(arrays), sep="."))
        outputs = net.readout(nnx.RNN(net.cell)(inputs))
    """
    is_lstm = cell_class(model.cell) is LSTM
    readout = weights["readout"]
    arrays = {}
    for name in cell_names(model):
        cell = weights[name]
        arrays |= _flax_lstm(name, *LSTM.arrays(cell)) if is_lstm else _flat(name, cell)
    if model.readout == "lstm":
        return arrays | _flax_lstm("readout", *LSTM.arrays(readout))
    return arrays | _flat("readout", readout)


LAYOUTS = {"keras": keras, "torch": torch, "flax": flax}


def read_model(net: Any) -> tuple[str, Arrays]:
    """Return a model's library, a name of `LAYOUTS`, and its arrays, or both empty."""
    if isinstance(net, nnx.Module):
        return "flax", _flat("net", nnx.to_pure_dict(nnx.state(net, nnx.Param)))
    if hasattr(net, "get_weights"):
        return "keras", {str(k): array for k, array in enumerate(net.get_weights())}
    if hasattr(net, "state_dict"):
        return "torch", {name: leaf.cpu() for name, leaf in net.state_dict().items()}
    return "", {}


def lstm_weights(arrays: Arrays) -> Params:
    """Invert `export` for an LSTM of one layer with a dense read-out.

    Raises:
        ValueError: there are more arrays, or fewer.
    """
    names = list(arrays)
    if any("dense_i" in name for name in names):  # Flax's name, in a cell
        names.sort(key=lambda k: ("dense_i" not in k, "dense_h" not in k, "bias" in k))
    values = [np.asarray(arrays[name]) for name in names]
    if len(values) == 6:  # PyTorch's are transposed, with a second bias
        kernel, recurrent, bias, second, *readout = (array.T for array in values)
        values = [kernel, recurrent, bias + second, *readout]
    if len(values) != 5:
        raise ValueError(
            f"{len(values)} arrays: an LSTM of one layer with a dense read-out has 5, or 6"
            " in PyTorch, as `memcap export` writes them"
        )
    kernel, recurrent, bias, readout, end = values
    return {
        "cell": {"kernel": kernel, "recurrent": recurrent, "bias": bias},
        "readout": {"kernel": readout, "bias": end},
    }


def _lstms(model: Model, weights: Params, layout: str) -> list[tuple[np.ndarray, ...]]:
    cell = cell_class(model.cell)
    if not cell.is_lstm:
        names = " and ".join(
            name for name, each in cell_classes().items() if each.is_lstm
        )
        raise UserError(
            f"model.cell={model.cell}: layout {layout} takes {names} only; flax takes any cell"
        )
    return [cell.arrays(weights[name]) for name in cell_names(model)]


def _torch_lstm(prefix: str, layers: Sequence[tuple[np.ndarray, ...]]) -> Arrays:
    arrays: Arrays = {}
    for place, (kernel, recurrent, bias) in enumerate(layers):
        arrays |= {
            f"{prefix}.weight_ih_l{place}": np.ascontiguousarray(kernel.T),
            f"{prefix}.weight_hh_l{place}": np.ascontiguousarray(recurrent.T),
            f"{prefix}.bias_ih_l{place}": bias,
            f"{prefix}.bias_hh_l{place}": np.zeros_like(bias),
        }
    return arrays


def _flax_lstm(
    prefix: str, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
) -> Arrays:
    return {
        f"{prefix}.dense_i.kernel": kernel,
        f"{prefix}.dense_h.kernel": recurrent,
        f"{prefix}.dense_h.bias": bias,
    }


def _flat(prefix: str, tree: Any) -> Arrays:
    leaves = jax.tree.leaves_with_path({prefix: tree})
    join = partial(jax.tree_util.keystr, simple=True, separator=".")
    return {join(path): leaf for path, leaf in leaves}

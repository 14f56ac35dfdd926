"""The state that another library's layer hands on, counted by running the layer."""

import math
import sys
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx

from memcap.knobs import UserError
from memcap.runtime.plugins import calling

SEQUENCES = (2, 3)  # of two batches: what one more sequence adds is the state of one
# of the arrays of a state of Flax or PyTorch, by their number
FLAX = {1: ("h",), 2: ("c", "h")}
TORCH = {1: ("h",), 2: ("h", "c")}


@dataclass(frozen=True)
class LayerState:
    """The state of one sequence, by the name of each array."""

    numbers: dict[str, int]  # after some steps
    longer: dict[str, int]  # and after twice as many
    bytes: dict[str, int]  # after some steps
    stated: int | None  # numbers, as the layer's own `state_size` says


def build_layer(layer: Any, features: int, units: int) -> Any:
    """Return an object as it is, or CLASS(features, units), with `rngs` for Flax. Raise
    UserError if the class does not take these."""
    if not isinstance(layer, type):
        return layer
    rngs = {"rngs": nnx.Rngs(0)} if issubclass(layer, nnx.Module) else {}
    call = f"{layer.__name__}({features}, {units})"
    with calling(f"net: {call}, in place of an object,", layer.__module__):
        return layer(features, units, **rngs)


def layer_state(layer: Any, timesteps: int, features: int) -> LayerState:
    """Count the state of one sequence, by two runs of the layer on each of two batches.

    Args:
        layer: an RNN or a cell of Flax (NNX), or what takes inputs (B, T, F), then also
            a state, and returns outputs and state (arrays in tuples, lists or dicts);
            PyTorch's get tensors.
        timesteps: of each run, T; the second one starts from the first one's state.
        features: numbers in an input, F.

    Raises:
        UserError: the layer fails, or returns something else.
    """
    runs = []
    for sequences in SEQUENCES:
        shape = (sequences, timesteps, features)
        inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        state = None
        for _ in range(2):
            _, state = call_layer(layer, inputs, state)
            runs.append(arrays_of(layer, state))
    few, few_longer, more, more_longer = (
        {name: math.prod(array.shape) for name, array in run.items()} for run in runs
    )
    numbers = {name: more[name] - few[name] for name in few}
    first, *_ = runs
    return LayerState(
        numbers,
        {name: more_longer[name] - few_longer[name] for name in few_longer},
        {name: n * first[name].dtype.itemsize for name, n in numbers.items()},
        _stated(layer),
    )


def call_layer(layer: Any, inputs: np.ndarray, state: Any = None) -> tuple[Any, Any]:
    """Return outputs (B, T, O) and the state after them, from `state` or the layer's
    own first one. Raise UserError as `layer_state` does."""
    with calling(f"net: given inputs {inputs.shape}, it", type(layer).__module__):
        if hasattr(layer, "state_dict"):
            with sys.modules["torch"].no_grad():
                return _call_torch(layer, inputs, state)
        if isinstance(layer, nnx.RNN):
            state, outputs = layer(inputs, initial_carry=state, return_carry=True)
            return outputs, state
        if not isinstance(layer, nnx.RNNCellBase):
            return _call(layer, inputs, state)
        if state is None:
            sequences, _, features = inputs.shape
            state = layer.initialize_carry((sequences, features), nnx.Rngs(0))
        outputs = []
        for step in np.moveaxis(inputs, 1, 0):
            state, output = layer(state, step)
            outputs.append(output)
        return np.stack(outputs, 1), state


def _call_torch(layer: Any, inputs: np.ndarray, state: Any) -> tuple[Any, Any]:
    steps_first = getattr(layer, "batch_first", None) is False
    tensor = sys.modules["torch"].from_numpy(inputs)
    outputs, state = _call(
        layer, tensor.swapaxes(0, 1) if steps_first else tensor, state
    )
    return outputs.swapaxes(0, 1) if steps_first else outputs, state


def _call(layer: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
    given = layer(inputs) if state is None else layer(inputs, state)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise UserError(
            f"net: gave {type(given).__name__}; it must give a pair, its outputs and its"
            " state, as nn.LSTM does"
        )
    return given[0], given[1]


def arrays_of(layer: Any, state: Any) -> dict[str, Any]:
    """Return the arrays of a state by name; raise UserError if it has anything else."""
    leaves, _ = jax.tree.flatten_with_path(state)
    for _, leaf in leaves:
        if not hasattr(leaf, "shape"):
            raise UserError(
                f"net: its state holds {type(leaf).__name__}; it must be arrays in tuples, lists"
                " or dicts"
            )
    given = {}
    if isinstance(layer, (nnx.RNN, nnx.RNNCellBase)):
        given = FLAX
    elif hasattr(layer, "proj_size"):  # an RNN of PyTorch
        given = TORCH
    paths = (
        jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves
    )
    names = given.get(len(leaves), [path or "state" for path in paths])
    return {name: leaf for name, (_, leaf) in zip(names, leaves, strict=True)}


def _stated(layer: Any) -> int | None:
    stated = getattr(layer, "state_size", None)
    if callable(stated):
        with calling("net: its state_size", type(layer).__module__):
            stated = stated()
    return stated

"""The network: input -> recurrent cell -> read-out, as a Flax NNX module.

NNX rather than linen: its cells are plain objects that can be built, read and stepped without an `apply`, and `nnx.split` gives
the pure function over a pytree of parameters that the training engine needs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.knobs import UserError, check, knob
from memcap.models.initializers import GATES, Init, draw_cell, glorot
from memcap.models.lstm import LSTM
from memcap.models.scan import cell_scan

READOUTS = ("dense", "lstm")


@dataclass(frozen=True)
class Model:
    """What is trained: a cell of some width, and how it is read out."""

    cell: str = knob("lstm", "lstm, or the name of a Flax NNX cell such as GRUCell, SimpleCell, OptimizedLSTMCell")
    units: int = knob(8, "hidden width U", at_least=1, at_most=4096)
    readout: str = knob("dense", "a dense layer, or an LSTM of as many units as outputs", choices=READOUTS)

    def __post_init__(self):
        check(self, "model")
        cell_class(self.cell)


def cell_class(name: str) -> type[nnx.RNNCellBase]:
    """The recurrent cell of this name: our LSTM for "lstm", or any RNN cell of `flax.nnx`."""
    if name == "lstm":
        return LSTM
    cell = getattr(nnx, name, None)
    if not (isinstance(cell, type) and issubclass(cell, nnx.RNNCellBase) and cell is not nnx.RNNCellBase):
        known = sorted(n for n, c in vars(nnx).items() if isinstance(c, type) and issubclass(c, nnx.RNNCellBase))
        known.remove("RNNCellBase")
        raise UserError(f"model.cell={name}: no such cell; one of lstm, {', '.join(known)}")
    return cell


class Network(nnx.Module):
    """Input -> cell -> read-out.

    Args:
        model: cell, units and read-out.
        features: numbers F that enter at a step; symbols enter as one-hot vectors of that size.
        outputs: width O of the read-out.
        rngs: keys for Flax's own initialisers.
    """

    def __init__(self, model: Model, features: int, outputs: int, *, rngs: nnx.Rngs):
        self.features, self.outputs = features, outputs
        make: Any = cell_class(model.cell)  # every cell takes these arguments; their common base class says nothing of it
        self.cell: nnx.RNNCellBase = make(features, model.units, rngs=rngs)
        self.readout: LSTM | nnx.Linear
        if model.readout == "lstm":
            self.readout = LSTM(model.units, outputs, rngs=rngs)
        else:
            self.readout = nnx.Linear(model.units, outputs, rngs=rngs)

    def carry(self, batch: int) -> Any:
        """The zero state of a batch of B sequences, as the cell lays it out; with an LSTM read-out, (cell's, read-out's)."""
        keys = nnx.Rngs(0)
        cell = self.cell.initialize_carry((batch, self.features), keys)
        if isinstance(self.readout, LSTM):
            return cell, self.readout.initialize_carry((batch, self.outputs), keys)
        return cell

    def step(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One time step of a stream: inputs (B,) symbols or (B, F) reals -> carry, outputs (B, O)."""
        if inputs.ndim == 1:
            inputs = jax.nn.one_hot(inputs, self.features)
        if isinstance(self.readout, LSTM):
            cell, hidden = self.cell(carry[0], inputs)
            top, outputs = self.readout(carry[1], hidden)
            return (cell, top), outputs
        carry, hidden = self.cell(carry, inputs)
        return carry, self.readout(hidden)

    def __call__(
        self,
        inputs: jax.Array,
        length: jax.Array | int | None = None,
        carry: Any = None,
        boundary: jax.Array | None = None,
        *,
        every: bool = True,
        reset: bool = False,
    ) -> tuple[Any, jax.Array]:
        """Run whole sequences.

        Args:
            inputs: (T, B) int symbols or (T, B, F) floats.
            length: how many of the T steps count (default all); may be traced.
            carry: state to start from (default zero).
            boundary: (T,) bool, true at the first step of a window: the carry enters with its gradient stopped.
            every: read out at every step, or at the last one only.
            reset: set the carry to zero at each boundary.

        Returns:
            The carry after `length` steps, and the outputs, outputs first: (O, T, B) or (O, B). Outputs lead so that a
            softmax over few classes reduces along a long contiguous batch.
        """
        steps, batch = inputs.shape[:2]
        length = jnp.asarray(steps if length is None else length)
        carry = self.carry(batch) if carry is None else carry
        flows = None if boundary is None else jnp.where(boundary, 0.0, 1.0)
        stacked = isinstance(self.readout, LSTM)
        if every and not stacked and boundary is None and isinstance(self.cell, LSTM):
            kernel, bias = self.readout.kernel[...], cast(nnx.Param, self.readout.bias)[...]
            carry, outputs = self.cell.scan(carry, inputs, length, every=True, readout=kernel)
            return carry, jnp.swapaxes(outputs + bias[:, None], 0, 1)
        cell_carry, top = carry if stacked else (carry, None)
        cell_carry, hidden = self._hidden(cell_carry, inputs, length, flows, every or stacked, reset)
        if stacked:
            top, outputs = self.readout.scan(top, jnp.swapaxes(hidden, 1, 2), length, flows, every=every, reset=reset)
            return (cell_carry, top), jnp.swapaxes(outputs, 0, 1) if every else top[1].T
        kernel, bias = self.readout.kernel[...], cast(nnx.Param, self.readout.bias)[...]
        if every:
            outputs = kernel.T @ jnp.swapaxes(hidden, 0, 1).reshape(hidden.shape[1], -1)
            return cell_carry, (outputs + bias[:, None]).reshape(self.outputs, steps, batch)
        return cell_carry, kernel.T @ hidden + bias[:, None]

    def hidden(self, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """The cell alone, from zero over all of inputs (T, B) or (T, B, F): its carry, and hidden states (T, U, B)."""
        carry = self.cell.initialize_carry((inputs.shape[1], self.features), nnx.Rngs(0))
        return self._hidden(carry, inputs, jnp.asarray(inputs.shape[0]), None, True, False)

    def _hidden(self, carry, inputs, length, flows, every, reset):
        """Carry, and hidden states (T, U, B), or the last one (U, B)."""
        if isinstance(self.cell, LSTM):
            carry, hidden = self.cell.scan(carry, inputs, length, flows, every=every, reset=reset)
            return carry, hidden if every else carry[1].T
        if inputs.ndim == 2:
            inputs = jax.nn.one_hot(inputs, self.features)
        graph, weights = nnx.split(self.cell)
        carry, hidden = cell_scan(_step_of(graph), reset, weights, carry, inputs, length, flows)
        hidden = jnp.swapaxes(hidden, 1, 2)
        return carry, hidden if every else hidden[length - 1]


@cache
def _step_of(graph: nnx.GraphDef) -> Callable:
    """One pure function a cell's structure, so that a trace is shared by all who run it."""
    return lambda weights, carry, x: nnx.merge(graph, weights)(carry, x)


@dataclass(frozen=True)
class Architecture:
    """A network's structure, apart from its weights.

    Args:
        model: cell, units and read-out.
        features: F.
        outputs: O.
    """

    model: Model
    features: int
    outputs: int

    def _split(self, key: Any = 0) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(Network(self.model, self.features, self.outputs, rngs=nnx.Rngs(key)))

    @property
    def _abstract(self) -> tuple[nnx.GraphDef, nnx.State]:
        return nnx.split(nnx.eval_shape(lambda: Network(self.model, self.features, self.outputs, rngs=nnx.Rngs(0))))

    def abstract_weights(self) -> dict[str, Any]:
        """The nested dict of weights as shapes and dtypes."""
        return _shapes(self)

    def init(self, init: Init | None, entropy: list[int]) -> dict[str, Any]:
        """Draw the weights: a nested dict of float32 NumPy arrays.

        Args:
            init: gate biases and gains; None leaves the cell to Flax's own initialiser.
            entropy: non-negative integers that seed the draw.

        Raises:
            UserError: `init` is given for a cell whose gates memcap doesn't know.
        """
        rng = np.random.default_rng(entropy)
        name = type_name(self.model.cell)
        if init is None and self.model.cell != "lstm":
            seed = int(rng.integers(2**31))
            weights = jax.tree.map(np.asarray, nnx.to_pure_dict(_flax_init(self)(seed)))
        elif name in GATES:
            weights = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), self.abstract_weights())
            gates = GATES[name]
            for path, value in draw_cell(rng, gates, init or Init(), self.features, self.model.units).items():
                _assign(weights["cell"], path, value)
        else:
            raise UserError(
                f"model.cell={self.model.cell}: its gates are not known here, so only recipe.init=flax (the cell's own"
                f" initialiser) can start it; cells with named presets: lstm, {', '.join(sorted(set(GATES) - {'LSTM'}))}"
            )
        if self.model.readout == "lstm":
            top = draw_cell(rng, GATES["LSTM"], Init(forget=1.0), self.model.units, self.outputs)
            for path, value in top.items():
                _assign(weights["readout"], path, value)
        else:
            weights["readout"]["kernel"] = glorot(rng, self.model.units, self.outputs).astype(np.float32)
            weights["readout"]["bias"] = np.zeros(self.outputs, np.float32)
        return weights

    def build(self, weights: dict[str, Any]) -> Network:
        """The module that holds these weights."""
        graph, state = self._abstract
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state)

    def carry_numbers(self) -> int:
        """Numbers that one sequence's state holds, counted from the carry itself."""
        return _carry_numbers(self)

    def numbers_per_unit(self) -> int:
        """Carry numbers that each further unit of the cell brings: 2 for an LSTM (h and c), 1 for a GRU."""
        one, two = (replace(self, model=replace(self.model, units=units)).carry_numbers() for units in (1, 2))
        return two - one

    def parameters(self) -> int:
        """Number P of trained weights."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.abstract_weights()))

    def flatten(self, weights: dict[str, Any]) -> np.ndarray:
        """The weights as one (P,) vector."""
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(weights)])

    def unflatten(self, vector: Any) -> dict[str, Any]:
        """The nested dict of weights from a (P,) vector, NumPy's or JAX's."""
        leaves, tree = jax.tree.flatten(self.abstract_weights())
        ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])
        parts = [vector[end - math.prod(leaf.shape) : end].reshape(leaf.shape) for leaf, end in zip(leaves, ends, strict=True)]
        return jax.tree.unflatten(tree, parts)


def type_name(cell: str) -> str:
    """Class name of a cell, under which its gates are known."""
    return cell_class(cell).__name__


def _assign(tree: dict[str, Any], path: tuple[str, ...], value: np.ndarray) -> None:
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value.astype(np.float32)


@cache
def _shapes(architecture: Architecture) -> dict[str, Any]:
    return nnx.to_pure_dict(architecture._abstract[1])


@cache
def _carry_numbers(architecture: Architecture) -> int:
    network = architecture.model, architecture.features, architecture.outputs
    shapes = nnx.eval_shape(lambda: Network(*network, rngs=nnx.Rngs(0)).carry(1))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@cache
def _flax_init(architecture: Architecture) -> Callable[[int], nnx.State]:
    return jax.jit(lambda seed: architecture._split(jax.random.key(seed))[1])

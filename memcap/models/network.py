"""The network: input -> layers of a recurrent cell -> read-out, as a Flax NNX module.

Layers are run over time one after another: the loop (memcap/loops/) takes the first one through the whole
sequence, and its hidden states are the inputs of the next. That is the same as all layers at each step, as no
layer sees those above it; so any loop serves any number of layers, and a window that cuts a carry cuts each
layer's.

NNX rather than linen: its cells are plain objects that can be built, read and stepped without an `apply`, and
`nnx.split` gives the pure function over a pytree of parameters that the training engine needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap import loops
from memcap.cells import Cell, Init, cell_class, cell_classes
from memcap.cells.gates import glorot
from memcap.cells.lstm import LSTM
from memcap.knobs import UserError
from memcap.loops import Answers, Pass, Readout, Sums, outputs_first
from memcap.models.initial_carry import InitialCarry
from memcap.models.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class Network(nnx.Module):
    """Input -> layers of a cell -> read-out.

    Attributes:
        cell: the first layer; further ones are cell_2, cell_3, ... (`cells` has all of them).
        initial_carry: an `InitialCarry` of each layer, and of an LSTM read-out, by name; None: not learned.

    Args:
        model: cell, units, layers and read-out.
        features: numbers F that enter at a step; symbols enter as one-hot vectors of that size.
        outputs: width O of the read-out.
        rngs: keys for Flax's own initialisers.
    """

    cell: Cell
    initial_carry: nnx.Dict | None

    def __init__(self, model: Model, features: int, outputs: int, *, rngs: nnx.Rngs):
        self.features, self.outputs = features, outputs
        make = cast(Callable[..., Cell], cell_class(model.cell))
        self.names, hidden = cell_names(model), features
        for name in self.names:
            cell = make(hidden, model.units, rngs=rngs)
            setattr(self, name, cell)
            hidden = model.units * cell.hidden_per_unit
        self.readout: LSTM | nnx.Linear
        if model.readout == "lstm":
            self.readout = LSTM(hidden, outputs, rngs=rngs)
        else:
            self.readout = nnx.Linear(hidden, outputs, rngs=rngs)
        if model.initial_carry == "learned":
            own = self._own_carries(1)
            self.initial_carry = nnx.Dict({name: InitialCarry(each) for name, each in own.items()})
        else:
            self.initial_carry = None

    @property
    def cells(self) -> list[Cell]:
        """The layers, from the inputs up."""
        return [getattr(self, name) for name in self.names]

    def carry(self, batch: int) -> Any:
        """The state before the first step of B sequences: as the cell lays it out; of several layers a tuple,
        from the inputs up; with an LSTM read-out, (the layers', read-out's)."""
        carries = self._first_carries(batch)
        cells = joined([carries[name] for name in self.names])
        return (cells, carries["readout"]) if isinstance(self.readout, LSTM) else cells

    def step(
        self, carry: Any, inputs: Int[Array, " B"] | Float[Array, "B F"]
    ) -> tuple[Any, Float[Array, "B O"]]:
        """One time step of a stream: symbols or reals -> carry, outputs."""
        carry, _, outputs = self.open_step(carry, inputs)
        return carry, outputs

    def open_step(
        self, carry: Any, inputs: Int[Array, " B"] | Float[Array, "B F"]
    ) -> tuple[Any, Float[Array, "B H"], Float[Array, "B O"]]:
        """As `step`, with the hidden state that the last layer shows to the read-out: carry, hidden,
        outputs."""
        if isinstance(self.readout, LSTM):
            cells, hidden = self.cells_step(carry[0], inputs)
            top, outputs = self.readout(carry[1], hidden)
            return (cells, top), hidden, outputs
        carry, hidden = self.cells_step(carry, inputs)
        return carry, hidden, self.readout(hidden)

    def cells_step(
        self, carry: Any, inputs: Int[Array, " B"] | Float[Array, "B F"]
    ) -> tuple[Any, Float[Array, "B H"]]:
        """One time step of the layers without the read-out: their carry, and the last one's hidden state."""
        hidden = jax.nn.one_hot(inputs, self.features) if inputs.ndim == 1 else inputs
        carries = []
        for cell, before in zip(self.cells, self.by_layer(carry), strict=True):
            after, hidden = cell(before, hidden)
            carries.append(after)
        return joined(carries), hidden

    def by_layer(self, carry: Any) -> Sequence[Any]:
        """The carry of each layer, of the layers' carry: the inverse of `joined`."""
        return (carry,) if len(self.names) == 1 else carry

    def __call__(
        self,
        inputs: Int[Array, "T B"] | Float[Array, "T B F"],
        *,
        initial_carry: Any = None,
        seq_lengths: Int[Array, ""] | int | None = None,
        return_carry: bool = False,
        return_sequences: bool = True,
        loop: str = "while",
    ) -> Any:
        """Run whole sequences; arguments are called as in `flax.nnx.RNN`, and time comes first.

        Args:
            inputs: symbols or floats.
            initial_carry: state to start from (default `carry`).
            seq_lengths: how many of the T steps count (default all), of every sequence; may be traced.
            return_carry: return the carry after the last step that counts, too.
            return_sequences: read out at every step, or at the last one only.
            loop: name of the loop over time (memcap/loops/).

        Returns:
            The outputs, (O, T, B) or (O, B); with `return_carry` (carry, outputs).
        """
        length = jnp.asarray(inputs.shape[0] if seq_lengths is None else seq_lengths)
        over = Pass(inputs, length, return_sequences=return_sequences)
        carry, outputs = self.run(over, loop, initial_carry)
        return (carry, outputs) if return_carry else outputs

    def run(
        self, over: Pass, loop: str = "while", initial_carry: Any = None
    ) -> tuple[Any, Float[Array, "O *T B"]]:
        """Run a pass: the carry after its last step, and the outputs, (O, T, B) or (O, B).

        Args:
            over: the pass, without a read-out.
            loop: name of the loop over time (memcap/loops/).
            initial_carry: state to start from (default `carry`).
        """
        below, top = self._up_to_the_top(over, loop, initial_carry)
        carry, outputs = top.loop(top.cell, top.carry, top.over)
        carry = (joined(below), carry) if isinstance(self.readout, LSTM) else joined([*below, carry])
        return carry, outputs_first(outputs)

    def score(self, over: Pass, answers: Answers, loop: str) -> Sums:
        """Run a pass as `run` does, and score it: the sums over the answers that are due."""
        _, top = self._up_to_the_top(over, loop, None)
        return top.loop.score(top.cell, top.carry, top.over, answers)

    def _up_to_the_top(self, over: Pass, loop: str, initial_carry: Any) -> tuple[list[Any], _Top]:
        """Run all layers below the one that is read out: their carries, and the pass that remains."""
        carry = self.carry(over.inputs.shape[1]) if initial_carry is None else initial_carry
        if over.window_starts is not None and self.initial_carry is not None:
            # A window that begins with the sequence would cut the gradient of what it begins with.
            over = replace(over, window_starts=over.window_starts.at[0].set(False))
        windows = over.window_starts is not None
        run = self._loop(self.cell, loop, windows)
        if isinstance(self.readout, LSTM):
            below, hidden = _run_layers(run, self.cells, over, self.by_layer(carry[0]))
            over = replace(over, inputs=hidden, num_units=None)
            return below, _Top(self._loop(self.readout, loop, windows), self.readout, carry[1], over)
        kernel, bias = self.readout.kernel[...], cast(nnx.Param, self.readout.bias)[...]
        (*cells, last), carries = self.cells, self.by_layer(carry)
        below, hidden = _run_layers(run, cells, over, carries[:-1])
        over = replace(over, inputs=hidden, readout=Readout(kernel, bias))
        return below, _Top(run, last, carries[-1], over)

    def hidden(self, inputs: Int[Array, "T B"] | Float[Array, "T B F"]) -> tuple[Any, Float[Array, "T H B"]]:
        """The layers alone over all of the inputs: their carry, and hidden states of the last."""
        steps, batch = inputs.shape[:2]
        first = self._first_carries(batch)
        carries = [first[name] for name in self.names]
        run = self._loop(self.cell, "while", False)
        after, hidden = _run_layers(run, self.cells, Pass(inputs, jnp.asarray(steps)), carries)
        return joined(after), jnp.swapaxes(hidden, 1, 2)

    def _first_carries(self, batch: int) -> dict[str, Any]:
        """The carry before the first step of each layer, and of an LSTM read-out, by name."""
        own = self._own_carries(batch)
        if self.initial_carry is None:
            return own
        return {name: self.initial_carry[name](each) for name, each in own.items()}

    def _own_carries(self, batch: int) -> dict[str, Any]:
        """The same, as the cells have them."""
        keys, cells = nnx.Rngs(0), dict(zip(self.names, self.cells, strict=True))
        if isinstance(self.readout, LSTM):
            cells["readout"] = self.readout
        return {name: cell.initialize_carry((batch, cell.in_features), keys) for name, cell in cells.items()}

    @staticmethod
    def _loop(cell: Cell, name: str, windows: bool) -> loops.Loop:
        return loops.resolve(name, loops.Request(type(cell), jax.default_backend(), windows))


class _Top(NamedTuple):
    """The pass that is left for the cell that is read out."""

    loop: loops.Loop
    cell: Cell
    carry: Any
    over: Pass


def cell_names(model: Model) -> tuple[str, ...]:
    """Of the layers, from the inputs up, in a network and in its weights: cell, cell_2, ..."""
    return "cell", *(f"cell_{layer}" for layer in range(2, model.layers + 1))


def joined(carries: Sequence[Any]) -> Any:
    """The layers' carry: of one layer its own, of several a tuple of theirs."""
    return carries[0] if len(carries) == 1 else tuple(carries)


def _run_layers(
    run: loops.Loop, cells: Sequence[Cell], over: Pass, carries: Sequence[Any]
) -> tuple[list[Any], jax.Array]:
    """Run layers over time: the carry of each after the last step, and the hidden states of the last one,
    (T, B, H); of no layers the inputs."""
    last, over = [], replace(over, return_sequences=True)
    for cell, carry in zip(cells, carries, strict=True):
        after, hidden = run(cell, carry, over)
        last.append(after)
        over = replace(over, inputs=jnp.swapaxes(hidden, 1, 2))
    return last, over.inputs


@dataclass(frozen=True)
class Architecture:
    """A network's structure, apart from its weights.

    Args:
        model: cell, units, layers and read-out.
        features: F.
        outputs: O.
    """

    model: Model
    features: int
    outputs: int

    def network(self, key: Any = 0) -> Network:
        """A network with Flax's own start."""
        return Network(self.model, self.features, self.outputs, rngs=nnx.Rngs(key))

    def abstract_weights(self) -> dict[str, Any]:
        """The nested dict of weights as shapes and dtypes."""
        return _shapes(self)

    def init(self, init: Init | None, entropy: list[int]) -> dict[str, Any]:
        """Draw the weights: a nested dict of NumPy arrays, each of its parameter's dtype.

        Args:
            init: gate biases and gains; None leaves the cell to its own initialiser.
            entropy: non-negative integers that seed the draw.

        Raises:
            UserError: `init` is given for a cell whose gates memcap doesn't know.
        """
        rng = np.random.default_rng(entropy)
        cell = cell_class(self.model.cell)
        if init is None and cell.has_own_init:
            seed = int(rng.integers(2**31))
            weights = jax.tree.map(np.asarray, nnx.to_pure_dict(_own_init(self)(seed)))
        elif cell.gates is not None:
            weights = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), self.abstract_weights())
            features = self.features
            for name in cell_names(self.model):  # every layer starts alike
                for path, value in cell.draw(rng, init or Init(), features, self.model.units).items():
                    _assign(weights[name], path, value)
                features = self.model.hidden
        else:
            names = ", ".join(name for name, each in cell_classes().items() if each.gates is not None)
            raise UserError(
                f"model.cell={self.model.cell}: its gates are not known here, so only recipe.init=flax (the"
                " cell's own"
                f" initialiser) can start it; cells with named presets: {names}"
            )
        if self.model.readout == "lstm":
            for path, value in LSTM.draw(rng, Init(forget=1.0), self.model.hidden, self.outputs).items():
                _assign(weights["readout"], path, value)
        else:
            weights["readout"]["kernel"] = glorot(rng, self.model.hidden, self.outputs).astype(np.float32)
            weights["readout"]["bias"] = np.zeros(self.outputs, np.float32)
        if self.model.initial_carry == "learned":
            weights["initial_carry"] = jax.tree.map(np.asarray, _own_carry(self)())
        return weights

    def build(self, weights: dict[str, Any]) -> Network:
        """The module that holds these weights."""
        graph, state = nnx.split(nnx.eval_shape(self.network))
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state)

    def at_width(self, units: int) -> Architecture:
        """The same with another number of units."""
        return replace(self, model=replace(self.model, units=units))

    def resized(self, weights: dict[str, Any], units: int) -> dict[str, Any]:
        """Weights of this architecture for one with other units: padded with units that say zero and never
        learn, or cropped.

        Args:
            weights: nested dict of NumPy arrays.
            units: new width; the cell must be one that `can_pad`.
        """
        result = jax.tree.map(
            lambda leaf: np.zeros(leaf.shape, leaf.dtype), self.at_width(units).abstract_weights()
        )
        for name in cell_names(self.model):
            for path, value in cell_class(self.model.cell).resized(weights[name], units).items():
                _fit(result[name], path, value)
        for name, leaf in weights["readout"].items():
            _fit(result["readout"], (name,), leaf)
        for name, parts in weights.get("initial_carry", {}).items():
            for part, leaf in parts.items():
                _fit(result["initial_carry"], (name, part), leaf)
        return result

    def carry_numbers(self) -> int:
        """Real numbers that one sequence's state holds, counted from the carry itself; a complex number is
        two."""
        return sum(_reals(leaf) for leaf in _carry(self))

    def parameters(self) -> int:
        """Number P of trained real numbers; a complex weight is two."""
        return sum(_reals(leaf) for leaf in jax.tree.leaves(self.abstract_weights()))

    def flatten(self, weights: dict[str, Any]) -> np.ndarray:
        """The weights as one (P,) vector; of a complex array first all real parts, then all imaginary
        parts."""
        return np.concatenate([_parts(np.asarray(leaf)) for leaf in jax.tree.leaves(weights)])

    def matrices(self) -> np.ndarray:
        """(P,) float32 beside `flatten`: 1 at the weights of matrices, 0 at those of vectors, as biases,
        and at a learned initial carry, which is no weight."""

        def mark(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
            weighs = len(leaf.shape) > 1 and path[0].key != "initial_carry"
            return np.full(_reals(leaf), weighs, np.float32)

        return np.concatenate(jax.tree.leaves(jax.tree.map_with_path(mark, self.abstract_weights())))

    def unflatten(self, vector: Any) -> dict[str, Any]:
        """The nested dict of weights from a (P,) vector, NumPy's or JAX's, each leaf in its own dtype."""
        leaves, tree = jax.tree.flatten(self.abstract_weights())
        ends = np.cumsum([_reals(leaf) for leaf in leaves])
        parts = [
            _whole(vector[end - _reals(leaf) : end], leaf) for leaf, end in zip(leaves, ends, strict=True)
        ]
        return jax.tree.unflatten(tree, parts)


def _assign(tree: dict[str, Any], path: tuple[str, ...], value: np.ndarray) -> None:
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value.astype(tree[path[-1]].dtype)


def _fit(tree: Any, path: tuple[str, ...], value: np.ndarray) -> None:
    """Put an array in the place of zeros that may have more or fewer rows: a kernel has one for each hidden
    number of the layer below, a carry one for each unit."""
    for key in path:
        tree = tree[key]
    rows = min(len(tree), len(value))
    tree[:rows] = value[:rows]


def _is_complex(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.complexfloating)


def _reals(leaf: Any) -> int:
    return math.prod(leaf.shape) * (2 if _is_complex(leaf) else 1)


def _parts(leaf: np.ndarray) -> np.ndarray:
    if _is_complex(leaf):
        return np.concatenate([leaf.real.ravel(), leaf.imag.ravel()])
    return leaf.ravel().astype(np.float64 if leaf.dtype == np.float64 else np.float32)


def _whole(part: Any, leaf: Any) -> Any:
    """The inverse of `_parts`, for an array of the shape and dtype of `leaf`."""
    if _is_complex(leaf):
        half = math.prod(leaf.shape)
        return (part[:half] + 1j * part[half:]).reshape(leaf.shape).astype(leaf.dtype)
    part = part.reshape(leaf.shape)
    # in float64, a test of numbers stays there
    return part if leaf.dtype == jnp.float32 else part.astype(leaf.dtype)


@cache
def _shapes(architecture: Architecture) -> dict[str, Any]:
    return nnx.to_pure_dict(nnx.split(nnx.eval_shape(architecture.network))[1])


@cache
def _carry(architecture: Architecture) -> list[Any]:
    return jax.tree.leaves(nnx.eval_shape(lambda: architecture.network().carry(1)))


# Each takes some hundred areas of memory, of 65,530 that Linux gives a process: the last few are kept.
@lru_cache(maxsize=16)
def _own_init(architecture: Architecture) -> Callable[[int], nnx.State]:
    return jax.jit(lambda seed: nnx.split(architecture.network(jax.random.key(seed)))[1])


@lru_cache(maxsize=16)
def _own_carry(architecture: Architecture) -> Callable[[], dict[str, Any]]:
    """Where a learned carry begins."""
    return jax.jit(lambda: nnx.to_pure_dict(nnx.state(architecture.network().initial_carry)))

"""The network: input -> recurrent cell -> read-out, as a Flax NNX module.

NNX rather than linen: its cells are plain objects that can be built, read and stepped without an `apply`, and
`nnx.split` gives the pure function over a pytree of parameters that the training engine needs.
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

from memcap import loops
from memcap.cells import Cell, Init, cell_class, cell_classes
from memcap.cells.gates import glorot
from memcap.cells.lstm import LSTM
from memcap.knobs import UserError, check, knob
from memcap.loops import Windows

READOUTS = ("dense", "lstm")
MOST_UNITS = 4096


@dataclass(frozen=True)
class Model:
    """What is trained: a cell of some width, and how it is read out."""

    cell: str = knob(
        "lstm",
        "a cell of memcap/cells such as lstm or LRU, one of Flax NNX such as LSTMCell, or MODULE:CLASS;"
        " with +bfloat16, +noise0.1 or +carry a variant of it",
    )
    units: int = knob(8, "hidden width U", at_least=1, at_most=MOST_UNITS)
    readout: str = knob("dense", "a dense layer, or an LSTM of as many units as outputs", choices=READOUTS)

    def __post_init__(self) -> None:
        check(self, "model")
        if not isinstance(self.cell, str):
            raise UserError(f"model.cell={self.cell}: must be text, MODULE:CLASS for a cell of your own")
        cell_class(self.cell)

    @property
    def hidden(self) -> int:
        """Numbers H that the cell shows to the read-out: U, but for a cell whose units show more than one."""
        return self.units * cell_class(self.cell).hidden_per_unit


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
        make = cast(Callable[..., Cell], cell_class(model.cell))
        self.cell = make(features, model.units, rngs=rngs)
        self.readout: LSTM | nnx.Linear
        if model.readout == "lstm":
            self.readout = LSTM(model.hidden, outputs, rngs=rngs)
        else:
            self.readout = nnx.Linear(model.hidden, outputs, rngs=rngs)

    def carry(self, batch: int) -> Any:
        """The zero state of a batch of B sequences, as the cell lays it out; with an LSTM read-out, (cell's,
        read-out's)."""
        keys = nnx.Rngs(0)
        cell = self.cell.initialize_carry((batch, self.features), keys)
        if isinstance(self.readout, LSTM):
            return cell, self.readout.initialize_carry((batch, self.outputs), keys)
        return cell

    def step(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One time step of a stream: inputs (B,) symbols or (B, F) reals -> carry, outputs (B, O)."""
        carry, _, outputs = self.open_step(carry, inputs)
        return carry, outputs

    def open_step(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
        """As `step`, with the hidden state (B, H) that the cell shows to the read-out: carry, hidden,
        outputs."""
        if inputs.ndim == 1:
            inputs = jax.nn.one_hot(inputs, self.features)
        if isinstance(self.readout, LSTM):
            cell, hidden = self.cell(carry[0], inputs)
            top, outputs = self.readout(carry[1], hidden)
            return (cell, top), hidden, outputs
        carry, hidden = self.cell(carry, inputs)
        return carry, hidden, self.readout(hidden)

    def __call__(
        self,
        inputs: jax.Array,
        *,
        initial_carry: Any = None,
        seq_lengths: jax.Array | int | None = None,
        return_carry: bool = False,
        windows: Windows | None = None,
        return_sequences: bool = True,
        loop: str = "while",
        num_units: jax.Array | None = None,
    ) -> Any:
        """Run whole sequences; arguments are called as in `flax.nnx.RNN`, and time comes first.

        Args:
            inputs: (T, B) int symbols or (T, B, F) floats.
            initial_carry: state to start from (default zero).
            seq_lengths: () int, how many of the T steps count (default all), of every sequence; may be
                traced.
            return_carry: return the carry after the last step that counts, too.
            windows: of truncated backpropagation; None: one window.
            return_sequences: read out at every step, or at the last one only.
            loop: name of the loop over time (memcap/loops/).
            num_units: () int, how many of the cell's units count; see `memcap.loops.Loop.run`.

        Returns:
            The outputs, outputs first: (O, T, B) or (O, B); with `return_carry` (carry, outputs). Outputs
                lead so
            that a softmax over few classes reduces along a long contiguous batch.
        """
        steps, batch = inputs.shape[:2]
        seq_lengths = jnp.asarray(steps if seq_lengths is None else seq_lengths)
        carry = self.carry(batch) if initial_carry is None else initial_carry
        run = self._loop(self.cell, loop, windows)
        shared: dict[str, Any] = {"seq_lengths": seq_lengths, "windows": windows}
        if isinstance(self.readout, LSTM):
            cell, hidden = run(self.cell, inputs, initial_carry=carry[0], num_units=num_units, **shared)
            hidden = jnp.swapaxes(hidden, 1, 2)
            shared["return_sequences"] = return_sequences
            read_out = self._loop(self.readout, loop, windows)
            top, outputs = read_out(self.readout, hidden, initial_carry=carry[1], **shared)
            carry = cell, top
        else:
            kernel, bias = self.readout.kernel[...], cast(nnx.Param, self.readout.bias)[...]
            shared |= {"return_sequences": return_sequences, "readout": kernel, "num_units": num_units}
            carry, outputs = run(self.cell, inputs, initial_carry=carry, **shared)
            outputs = outputs + bias[:, None]
        outputs = jnp.swapaxes(outputs, 0, 1) if return_sequences else outputs
        return (carry, outputs) if return_carry else outputs

    def hidden(self, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """The cell alone, from zero over all of inputs (T, B) or (T, B, F): its carry, and hidden states (T,
        H, B)."""
        carry = self.cell.initialize_carry((inputs.shape[1], self.features), nnx.Rngs(0))
        run = self._loop(self.cell, "while", None)
        return run(self.cell, inputs, initial_carry=carry, seq_lengths=jnp.asarray(inputs.shape[0]))

    @staticmethod
    def _loop(cell: Cell, name: str, windows: Windows | None) -> loops.Loop:
        return loops.resolve(name, loops.Request(type(cell), jax.default_backend(), windows is not None))


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
            for path, value in cell.draw(rng, init or Init(), self.features, self.model.units).items():
                _assign(weights["cell"], path, value)
        else:
            known = ", ".join(name for name, each in cell_classes().items() if each.gates is not None)
            raise UserError(
                f"model.cell={self.model.cell}: its gates are not known here, so only recipe.init=flax (the"
                " cell's own"
                f" initialiser) can start it; cells with named presets: {known}"
            )
        if self.model.readout == "lstm":
            for path, value in LSTM.draw(rng, Init(forget=1.0), self.model.hidden, self.outputs).items():
                _assign(weights["readout"], path, value)
        else:
            weights["readout"]["kernel"] = glorot(rng, self.model.hidden, self.outputs).astype(np.float32)
            weights["readout"]["bias"] = np.zeros(self.outputs, np.float32)
        return weights

    def build(self, weights: dict[str, Any]) -> Network:
        """The module that holds these weights."""
        graph, state = nnx.split(nnx.eval_shape(self.network))
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state)

    def at_width(self, units: int) -> "Architecture":
        """The same with another number of units."""
        return replace(self, model=replace(self.model, units=units))

    def resized(self, weights: dict[str, Any], units: int) -> dict[str, Any]:
        """Weights of this architecture for one with other units: padded with units that say zero and never
        learn, or cropped.

        Args:
            weights: nested dict of NumPy arrays.
            units: new width; the cell must be one that `can_pad`.
        """
        found = jax.tree.map(
            lambda leaf: np.zeros(leaf.shape, leaf.dtype), self.at_width(units).abstract_weights()
        )
        for path, value in cell_class(self.model.cell).resized(weights["cell"], units).items():
            _assign(found["cell"], path, value)
        most = min(self.model.hidden, self.at_width(units).model.hidden)
        for name, leaf in weights[
            "readout"
        ].items():  # its kernel has a row a hidden number; the rest knows nothing of them
            kept = most if name == "kernel" else len(leaf)
            found["readout"][name][:kept] = leaf[:kept]
        return found

    def carry_numbers(self) -> int:
        """Real numbers that one sequence's state holds, counted from the carry itself; a complex number is
        two."""
        return sum(_reals(leaf) for leaf in _carry(self))

    def numbers_per_unit(self) -> int:
        """Carry numbers that each further unit of the cell brings: 2 for an LSTM (h and c), 1 for a GRU."""
        one, two = (self.at_width(units).carry_numbers() for units in (1, 2))
        return two - one

    def bits_per_unit(self) -> int:
        """Bits of carry that each further unit brings: 32 a float32 number."""

        def bits(units: int) -> int:
            leaves = _carry(self.at_width(units))
            return sum(8 * leaf.size * leaf.dtype.itemsize for leaf in leaves)

        return bits(2) - bits(1)

    def parameters(self) -> int:
        """Number P of trained real numbers; a complex weight is two."""
        return sum(_reals(leaf) for leaf in jax.tree.leaves(self.abstract_weights()))

    def flatten(self, weights: dict[str, Any]) -> np.ndarray:
        """The weights as one (P,) vector; of a complex array first all real parts, then all imaginary
        parts."""
        return np.concatenate([_parts(np.asarray(leaf)) for leaf in jax.tree.leaves(weights)])

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


@cache
def _own_init(architecture: Architecture) -> Callable[[int], nnx.State]:
    return jax.jit(lambda seed: nnx.split(architecture.network(jax.random.key(seed)))[1])

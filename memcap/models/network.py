"""The network: input -> layers of a recurrent cell -> read-out, as a Flax NNX module.

Layers run over time one after another: the loop (memcap/loops/) runs the first one over
the whole sequence, and its hidden states are the inputs of the next. This equals
running all layers at each step, because no layer sees those above it. So any loop
serves any number of layers, and a window cuts the carry of each layer.

NNX rather than linen: its cells are plain objects that can be built, read and stepped
without `apply`, and `nnx.split` gives the pure function of a pytree of parameters that
the training engine needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import jax
import jax.numpy as jnp
from flax import nnx

from memcap import loops
from memcap.cells import Cell, cell_class
from memcap.cells.lstm import LSTM
from memcap.loops import Answers, Pass, Readout, Sums, outputs_first
from memcap.models.initial_carry import InitialCarry
from memcap.models.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    from memcap.tasks import Batch, Task

    # symbols, or vectors
    StepInputs: TypeAlias = Int[Array, " B"] | Float[Array, "B F"]
    Inputs: TypeAlias = Int[Array, "T B"] | Float[Array, "T B F"]


class Network(nnx.Module):
    """Input -> layers of a cell -> read-out.

    Attributes:
        cell: the first layer; further ones are cell_2, cell_3, ... (`cells` has all of them).
        initial_carry: by name, an `InitialCarry` for each layer, and for an LSTM
            read-out; None: not learned.

    Args:
        model: cell, units, layers and read-out.
        features: size F of the inputs at a step; symbols enter as one-hot vectors of that size.
        outputs: width O of the read-out.
        rngs: keys for Flax's own initialisers.
    """

    cell: Cell
    initial_carry: nnx.Dict | None

    def __init__(self, model: Model, features: int, outputs: int, *, rngs: nnx.Rngs):
        self.features = features
        self.outputs = outputs
        make = cast(Callable[..., Cell], cell_class(model.cell))
        self.names = cell_names(model)
        hidden = features
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
            self.initial_carry = nnx.Dict(
                {name: InitialCarry(each) for name, each in own.items()}
            )
        else:
            self.initial_carry = None

    @property
    def cells(self) -> list[Cell]:
        """The layers, from the inputs up."""
        return [getattr(self, name) for name in self.names]

    def carry(self, batch: int) -> Any:
        """Return the state before the first step of B sequences: the carry of the cell,
        or a tuple of those of several layers, from the inputs up; with an LSTM
        read-out, (this, the carry of the read-out).
        """
        carries = self._first_carries(batch)
        cells = join([carries[name] for name in self.names])
        return (cells, carries["readout"]) if isinstance(self.readout, LSTM) else cells

    def step(self, carry: Any, inputs: StepInputs) -> tuple[Any, Float[Array, "B O"]]:
        """Take one time step of a stream: symbols or reals -> carry, outputs."""
        carry, _, outputs = self.step_with_hidden(carry, inputs)
        return carry, outputs

    def step_with_hidden(
        self, carry: Any, inputs: StepInputs
    ) -> tuple[Any, Float[Array, "B H"], Float[Array, "B O"]]:
        """Take a step as `step` does; return carry, hidden state of the last layer, and outputs."""
        if isinstance(self.readout, LSTM):
            cells, hidden = self.cells_step(carry[0], inputs)
            top, outputs = self.readout(carry[1], hidden)
            return (cells, top), hidden, outputs
        carry, hidden = self.cells_step(carry, inputs)
        return carry, hidden, self.readout(hidden)

    def cells_step(
        self, carry: Any, inputs: StepInputs
    ) -> tuple[Any, Float[Array, "B H"]]:
        """Take one time step of the layers without the read-out; return their carry and
        the last one's hidden state."""
        hidden = jax.nn.one_hot(inputs, self.features) if inputs.ndim == 1 else inputs
        carries = []
        for cell, before in zip(self.cells, self.by_layer(carry), strict=True):
            after, hidden = cell(before, hidden)
            carries.append(after)
        return join(carries), hidden

    def by_layer(self, carry: Any) -> Sequence[Any]:
        """Split the layers' carry into one for each layer: the inverse of `join`."""
        return (carry,) if len(self.names) == 1 else carry

    def __call__(
        self,
        inputs: Inputs,
        *,
        initial_carry: Any = None,
        seq_lengths: Int[Array, ""] | int | None = None,
        return_carry: bool = False,
        return_sequences: bool = True,
        loop: str = "while",
    ) -> Any:
        """Run whole sequences; arguments are named as in `flax.nnx.RNN`, and time comes first.

        Args:
            inputs: symbols or floats.
            initial_carry: state to start from (default `carry`).
            seq_lengths: how many of the T steps count (default all), the same for every
                sequence; may be traced.
            return_carry: also return the carry after the last step that counts.
            return_sequences: read out at every step, or only at the last one.
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
        """Run a pass without a read-out as `__call__` does; return the carry after its
        last step, and the outputs, (O, T, B) or (O, B)."""
        below, top = self._run_below_top(over, loop, initial_carry)
        carry, outputs = top.loop(top.cell, top.carry, top.over)
        carry = (
            (join(below), carry)
            if isinstance(self.readout, LSTM)
            else join([*below, carry])
        )
        return carry, outputs_first(outputs)

    def score(self, over: Pass, answers: Answers, loop: str) -> Sums:
        """Run a pass as `run` does, and return the sums over the answers that are due."""
        _, top = self._run_below_top(over, loop, None)
        return top.loop.score(top.cell, top.carry, top.over, answers)

    def _run_below_top(
        self, over: Pass, loop: str, initial_carry: Any
    ) -> tuple[list[Any], _Top]:
        """Run all cells below the top one; return their carries, and the pass that is
        left for that."""
        carry = (
            self.carry(over.inputs.shape[1]) if initial_carry is None else initial_carry
        )
        if over.window_starts is not None and self.initial_carry is not None:
            # A window that starts at the first step would cut the gradient of the initial carry.
            over = replace(over, window_starts=over.window_starts.at[0].set(False))
        windows = over.window_starts is not None
        run = self._loop(self.cell, loop, windows)
        if isinstance(self.readout, LSTM):
            below, hidden = _run_layers(run, self.cells, over, self.by_layer(carry[0]))
            over = replace(over, inputs=hidden, num_units=None)
            return below, _Top(
                self._loop(self.readout, loop, windows), self.readout, carry[1], over
            )
        kernel = self.readout.kernel[...]
        bias = cast(nnx.Param, self.readout.bias)[...]
        (*cells, last), carries = self.cells, self.by_layer(carry)
        below, hidden = _run_layers(run, cells, over, carries[:-1])
        over = replace(over, inputs=hidden, readout=Readout(kernel, bias))
        return below, _Top(run, last, carries[-1], over)

    def hidden(self, inputs: Inputs) -> tuple[Any, Float[Array, "T H B"]]:
        """Run only the layers over all inputs; return their carry and the last one's
        hidden states."""
        steps, batch = inputs.shape[:2]
        first = self._first_carries(batch)
        carries = [first[name] for name in self.names]
        run = self._loop(self.cell, "while", False)
        after, hidden = _run_layers(
            run, self.cells, Pass(inputs, jnp.asarray(steps)), carries
        )
        return join(after), jnp.swapaxes(hidden, 1, 2)

    def _first_carries(self, batch: int) -> dict[str, Any]:
        """Return, by name, the carry before the first step of each layer and of an LSTM
        read-out."""
        own = self._own_carries(batch)
        if self.initial_carry is None:
            return own
        return {name: self.initial_carry[name](each) for name, each in own.items()}

    def _own_carries(self, batch: int) -> dict[str, Any]:
        keys = nnx.Rngs(0)
        cells = dict(zip(self.names, self.cells, strict=True))
        if isinstance(self.readout, LSTM):
            cells["readout"] = self.readout
        return {
            name: cell.initialize_carry((batch, cell.in_features), keys)
            for name, cell in cells.items()
        }

    @staticmethod
    def _loop(cell: Cell, name: str, windows: bool) -> loops.Loop:
        return loops.resolve(
            name, loops.Request(type(cell), jax.default_backend(), windows)
        )


def pass_of(
    task: Task, batch: Batch, length: Any = None, num_units: Any = None
) -> Pass:
    """Return the pass over the first `length` steps of a task's batch (default all)."""
    length = len(batch.inputs) if length is None else length
    every = task.answers == "every"
    windows = batch.window_starts
    return Pass(
        batch.inputs, length, windows, task.reset_carry, every, num_units=num_units
    )


class _Top(NamedTuple):
    """The pass that is left for the top cell."""

    loop: loops.Loop
    cell: Cell
    carry: Any
    over: Pass


def cell_names(model: Model) -> tuple[str, ...]:
    """Return the names of a network's layers, from the inputs up: cell, cell_2, ...."""
    return "cell", *(f"cell_{layer}" for layer in range(2, model.layers + 1))


def join(carries: Sequence[Any]) -> Any:
    """Join the carries of layers: several to a tuple; that of a single layer stays as it is."""
    return carries[0] if len(carries) == 1 else tuple(carries)


def _run_layers(
    run: loops.Loop, cells: Sequence[Cell], over: Pass, carries: Sequence[Any]
) -> tuple[list[Any], jax.Array]:
    """Run layers over time; return their carries after the last step, and the hidden
    states of the last layer, (T, B, H), or the inputs if there are no layers."""
    last = []
    over = replace(over, return_sequences=True)
    for cell, carry in zip(cells, carries, strict=True):
        after, hidden = run(cell, carry, over)
        last.append(after)
        over = replace(over, inputs=jnp.swapaxes(hidden, 1, 2))
    return last, over.inputs

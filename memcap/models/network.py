"""The network, as a Flax NNX module: input -> layers of a recurrent cell -> read-out.

A loop (memcap/loops/) runs each layer over the whole sequence, and its hidden states
are the inputs of the next. So any loop serves any number of layers.
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
from memcap.loops import Pass, Readout, Sums, Targets, outputs_first
from memcap.models.model import Model, cell_names

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    from memcap.tasks import Batch, Task

    # symbols, or vectors
    StepInputs: TypeAlias = Int[Array, " B"] | Float[Array, "B F"]
    Inputs: TypeAlias = Int[Array, "T B"] | Float[Array, "T B F"]


class Network(nnx.Module):
    """Input -> layers of a cell -> read-out.

    Args:
        model: cell, units, layers and read-out.
        features: size F of the inputs at a step; symbols enter as one-hot vectors.
        outputs: width O of the read-out.
        rngs: keys for Flax's own initialisers.
    """

    cell: Cell

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

    @property
    def cells(self) -> list[Cell]:
        return [getattr(self, name) for name in self.names]

    @property
    def _stack(self) -> list[Cell]:
        top = [self.readout] if isinstance(self.readout, LSTM) else []
        return [*self.cells, *top]

    def carry(self, batch: int) -> Any:
        """Return the state before the first step: the cell's, or a tuple of several
        layers'; with an LSTM read-out, (this, the read-out's)."""
        keys = nnx.Rngs(0)
        carries = [
            cell.initialize_carry((batch, cell.in_features), keys)
            for cell in self._stack
        ]
        return self._joined(carries)

    def step(self, carry: Any, inputs: StepInputs) -> tuple[Any, Float[Array, "B O"]]:
        """Take one step of a stream: symbols or reals -> carry, outputs."""
        carry, _, outputs = self.step_with_hidden(carry, inputs)
        return carry, outputs

    def step_with_hidden(
        self, carry: Any, inputs: StepInputs
    ) -> tuple[Any, Float[Array, "B H"], Float[Array, "B O"]]:
        """Take a step; return carry, last hidden state, and outputs."""
        if isinstance(self.readout, LSTM):
            cells, hidden = self._cells_step(carry[0], inputs)
            top, outputs = self.readout(carry[1], hidden)
            return (cells, top), hidden, outputs
        carry, hidden = self._cells_step(carry, inputs)
        return carry, hidden, self.readout(hidden)

    def _cells_step(
        self, carry: Any, inputs: StepInputs
    ) -> tuple[Any, Float[Array, "B H"]]:
        hidden = jax.nn.one_hot(inputs, self.features) if inputs.ndim == 1 else inputs
        carries = []
        for cell, before in zip(self.cells, self.by_layer(carry), strict=True):
            after, hidden = cell(before, hidden)
            carries.append(after)
        return join(carries), hidden

    def by_layer(self, carry: Any) -> Sequence[Any]:
        """Split the layers' carry: the inverse of `join`."""
        return (carry,) if len(self.names) == 1 else carry

    def _joined(self, carries: Sequence[Any]) -> Any:
        if isinstance(self.readout, LSTM):
            return join(carries[:-1]), carries[-1]
        return join(carries)

    def _split(self, carry: Any) -> list[Any]:
        if isinstance(self.readout, LSTM):
            return [*self.by_layer(carry[0]), carry[1]]
        return list(self.by_layer(carry))

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
        """Run whole sequences, time first; arguments are named as in `flax.nnx.RNN`.

        Args:
            inputs: symbols or floats.
            initial_carry: state to start from (default `carry`).
            seq_lengths: how many of the T steps count (default all), in all sequences;
                may be traced.
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
        """Run a pass; return the carry after its last step, and the outputs."""
        below, top = self._run_below_top(over, loop, initial_carry)
        carry, outputs = top.loop(top.cell, top.carry, top.over)
        return self._joined([*below, carry]), outputs_first(outputs)

    def score(self, over: Pass, targets: Targets, loop: str) -> Sums:
        """Run a pass, and return the sums over the answers due."""
        _, top = self._run_below_top(over, loop, None)
        return top.loop.score(top.cell, top.carry, top.over, targets)

    def hidden(self, inputs: Inputs) -> tuple[list[Any], Float[Array, "T H B"]]:
        """Run only the layers; return the carry of each, and the last hidden states."""
        carries = self._split(self.carry(inputs.shape[1]))[: len(self.names)]
        over = Pass(inputs, jnp.asarray(len(inputs)))
        carries, over = self._run_layers(self.cells, carries, over, "while")
        return carries, jnp.swapaxes(over.inputs, 1, 2)

    def _run_below_top(
        self, over: Pass, loop: str, initial_carry: Any
    ) -> tuple[list[Any], _Top]:
        """Run all cells below the top one; return their carries, and its pass."""
        carry = initial_carry
        if carry is None:
            carry = self.carry(over.inputs.shape[1])
        if isinstance(self.readout, LSTM):
            readout = {"num_units": None}
        else:
            bias = cast(nnx.Param, self.readout.bias)[...]
            readout = {"readout": Readout(self.readout.kernel[...], bias)}
        *cells, top = self._stack
        *carries, top_carry = self._split(carry)
        carries, over = self._run_layers(cells, carries, over, loop)
        top_loop = self._loop(top, loop, over.window_starts is not None)
        return carries, _Top(top_loop, top, top_carry, replace(over, **readout))

    def _run_layers(
        self, cells: Sequence[Cell], carries: Sequence[Any], over: Pass, loop: str
    ) -> tuple[list[Any], Pass]:
        """Run layers in turn; return their carries, and the pass above them."""
        last = []
        for cell, carry in zip(cells, carries, strict=True):
            run = self._loop(cell, loop, over.window_starts is not None)
            after, hidden = run(cell, carry, replace(over, return_sequences=True))
            last.append(after)
            over = replace(over, inputs=jnp.swapaxes(hidden, 1, 2))
        return last, over

    @staticmethod
    def _loop(cell: Cell, name: str, windows: bool) -> loops.Loop:
        return loops.resolve(
            name, loops.Request(type(cell), jax.default_backend(), windows)
        )


def forward_pass(
    task: Task, batch: Batch, length: Any = None, num_units: Any = None
) -> Pass:
    """Pack a pass over the first `length` steps of a batch (default all)."""
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


def join(carries: Sequence[Any]) -> Any:
    """Join the carries of several layers to a tuple; that of one stays as it is."""
    return carries[0] if len(carries) == 1 else tuple(carries)

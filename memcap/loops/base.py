"""The interface of a loop over time: runs a cell over a sequence, with exact gradients.

A loop is a file of this folder with an object `LOOP`, or a class or object of your own,
`engine.loop=my_loops:Fast` (CONTRIBUTING.md has an example). Read memcap/loops/plain.py
first. A net of several layers calls it once per layer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from memcap.cells import Cell
from memcap.knobs import Acts
from memcap.loops.score import Sums, Targets, loss_and_score_sums

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    # what `Loop.run` returns
    CarryAndOutputs: TypeAlias = tuple[
        Any, Float[Array, "*T H B"] | Float[Array, "*T O B"]
    ]

Carry = Any
# kernel, recurrent, bias, read-out
Weights = tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]


class Readout(NamedTuple):
    """A linear read-out."""

    kernel: Any  # (H, O)
    bias: Any  # (O,)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pass:
    """One pass of a cell over time."""

    inputs: Any  # symbols below F, (T, B) int, or vectors, (T, B, F)
    length: Any  # () int, how many of the T steps count, the same for all sequences
    # (T,) bool, true at the first step of each window; None: one window
    window_starts: Any = None
    # whether the carry is set to zero where a window starts; otherwise only its gradient is cut
    reset_carry: bool = field(default=False, metadata={"static": True})
    # whether to return the hidden state or output of every step, or of the last one
    return_sequences: bool = field(default=True, metadata={"static": True})
    # the read-out to apply to hidden states; None: return hidden states
    readout: Readout | None = None
    # () int, the number of real units; further ones are padding, with zero weights,
    # which a loop may skip to save time. None: no padding
    num_units: Any = None

    @property
    def carry_factor(self) -> Float[Array, " T"] | None:
        """Factors (T,) of the carry's gradient, and with `reset_carry` of the carry
        itself: 0 at the first step of a window, 1 elsewhere. None for one window."""
        if self.window_starts is None:
            return None
        return jnp.where(self.window_starts, 0.0, 1.0)

    def vectors(self, features: int) -> Float[Array, "T B F"]:
        """Return the inputs as vectors, symbols as one-hot ones."""
        if self.inputs.ndim == 3:
            return self.inputs
        return jax.nn.one_hot(self.inputs, features)

    def core(self, inputs: Any) -> Pass:
        """Return a pass with only the fields that a hand-written gradient uses; XLA
        would carry the others through the whole program."""
        return Pass(inputs, self.length, None, self.reset_carry, self.return_sequences)

    def cotangent(self, d_inputs: Any) -> Pass:
        """Return the cotangent of a `core`."""
        return replace(self, inputs=d_inputs, length=None)


class Request(NamedTuple):
    """The properties of a program that decide whether a loop serves it."""

    cell: type[nnx.RNNCellBase]  # the cell to run over time
    # where it will run: "cpu", "gpu" or "tpu", maybe on another machine (`memcap plan`)
    platform: str
    windows: bool  # whether gradients are cut at windows
    # the knobs of the network and of its training, by the first word of their names
    knobs: Mapping[str, Any] = {}


class Loop:
    """One way to run a cell over time, with exact gradients. A subclass must define `run`."""

    # value of `engine.loop` and of the column `loop`; `module:object` outside the
    # package
    name: str = ""
    # platforms on which `engine.loop=auto` may choose it
    chosen_on: Collection[str] = ()
    # `auto` takes the highest-ranked loop that it may choose and that can run the
    # request
    rank: int = 0
    # whether `engine.loop=reproducible` may choose it: its results have equal bits on
    # machines with the same jaxlib and the same kind of processor
    reproducible: bool = False
    # name of the loop that serves the requests that this one refuses
    fallback: str = "while"
    # whether `run` applies the read-out's kernel; else `Loop.__call__` does
    fuses_readout: bool = False
    # what knobs of network and recipe may act on, for its results to be right; None:
    # anything, as it runs the cell's own step, and leaves the loss to `loss_and_score_sums`
    serves: Collection[Acts] | None = None
    # whether members of a program run under `vmap`; None: everywhere but on a CPU
    under_vmap: bool | None = None
    # seconds that each weight of padding adds to a training step; None: on a CPU,
    # members of several widths never share a program of this loop
    seconds_per_padded_weight: float | None = None

    def refuses(self, request: Request) -> str | None:
        """Return why the loop cannot serve a request, a clause, or None if it can."""
        return None

    def missing(self) -> str | None:
        """Return why the loop cannot run in this process, or None if it can."""
        return None

    def side_by_side(self, platform: str) -> bool:
        """Return whether members run under `vmap`, rather than one after another."""
        return platform != "cpu" if self.under_vmap is None else self.under_vmap

    def version(self) -> str:
        """Return the version of its arithmetic; a checkpoint needs the same one."""
        return self.name

    def run(self, cell: Cell, carry: Carry, over: Pass) -> CarryAndOutputs:
        """Run a cell over the first `over.length` of T steps.

        Args:
            cell: `cell(carry, inputs)` maps inputs (B, F) to the next carry and the
                hidden state (B, H).
            carry: the state before the first step, batch first, as from
                `cell.initialize_carry`. It may be learned, so it needs a gradient.
            over: the pass; with a read-out only if the loop `fuses_readout`.

        Returns:
            The carry after `over.length` steps, and the hidden states (T, H, B), zero
            after those steps, or the last one (H, B). With a read-out: its kernel's
            outputs instead, (T, O, B) or (O, B).
        """
        raise NotImplementedError

    def __call__(self, cell: Cell, carry: Carry, over: Pass) -> CarryAndOutputs:
        """Run a cell over a pass, and apply its read-out."""
        readout = over.readout
        if not self.fuses_readout:
            over = replace(over, readout=None)
        carry, hidden = self.run(cell, carry, over)
        if readout is None:
            return carry, hidden
        outputs = hidden if self.fuses_readout else read(hidden, readout.kernel)
        return carry, outputs + readout.bias[:, None]

    def score(self, cell: Cell, carry: Carry, over: Pass, targets: Targets) -> Sums:
        """Run a cell over a pass and score it, with an exact gradient."""
        _, outputs = self(cell, carry, over)
        return loss_and_score_sums(outputs_first(outputs), targets)


def outputs_first(outputs: Float[Array, "*T O B"]) -> Float[Array, "O *T B"]:
    return jnp.swapaxes(outputs, 0, 1) if outputs.ndim == 3 else outputs


def read(
    hidden: Float[Array, "*T H B"], kernel: Float[Array, "H O"]
) -> Float[Array, "*T O B"]:
    if hidden.ndim == 2:
        return kernel.T @ hidden
    steps, units, batch = hidden.shape
    flat = kernel.T @ jnp.swapaxes(hidden, 0, 1).reshape(units, -1)
    return jnp.swapaxes(flat.reshape(-1, steps, batch), 0, 1)


def run_feature_major(
    over_time: Callable[[Weights, Carry, Pass], tuple[Carry, jax.Array | None]],
    weights: tuple[jax.Array, jax.Array, jax.Array],
    carry: Carry,
    over: Pass,
    fuses: bool,
) -> CarryAndOutputs:
    """Implement `Loop.run` for a gated cell by a function of (U, B) arrays.

    Args:
        over_time: (weights, carry of (U, B) arrays, pass) -> (carry, outputs). Outputs
            may be None if they are the last array of the carry, h.
        weights: kernel (F, G), recurrent (U, G), bias (G,) of the cell.
        carry, over: as for `Loop.run`.
        fuses: whether `over_time` applies the read-out's kernel, given as the last
            weight.
    """
    dtype = weights[0].dtype
    if over.inputs.ndim == 3:
        over = replace(over, inputs=over.inputs.astype(dtype))
    fused = None
    rest = None if over.readout is None else over.readout.kernel
    if rest is not None and fuses and rest.dtype == dtype:
        fused = rest
        rest = None
    carry = jax.tree.map(lambda state: state.T, carry)
    carry, outputs = over_time((*weights, fused), carry, over)
    if outputs is None:
        outputs = jax.tree.leaves(carry)[-1]
    if rest is not None:
        outputs = read(outputs, rest)
    return jax.tree.map(lambda state: state.T, carry), outputs


def read_row(buffer: jax.Array, t: jax.Array) -> jax.Array:
    return lax.dynamic_index_in_dim(buffer, t, 0, keepdims=False)


def write_row(buffer: jax.Array, value: jax.Array, t: jax.Array) -> jax.Array:
    return lax.dynamic_update_index_in_dim(buffer, value, t, 0)


def zero_unless(valid: Any, row: jax.Array) -> jax.Array:
    """Return the row, or zeros where `valid` is an array that is false."""
    return row if valid is True else jnp.where(valid, row, jnp.zeros_like(row))


def select(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)

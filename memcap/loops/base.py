"""What a loop over time is, and the gradient that serves any cell.

A loop runs a cell over the steps of a sequence, with exact gradients. It is a file of this folder with an
object `LOOP`, or a class or object of your own: `engine.loop=my_loops:Fast`. Read memcap/loops/plain.py
first. Least work:

    class Unrolled(Loop):
        def run(self, cell, carry, inputs, length, *, return_sequences, **_):
            outputs, last = [], 0
            for t, x in enumerate(inputs):
                new, output = cell(carry, x)
                carry = select(t < length, new, carry)
                last = jnp.where(t < length, output, last)
                outputs.append(jnp.where(t < length, output, 0))
            return carry, jnp.swapaxes(jnp.stack(outputs), 1, 2) if return_sequences else last.T

        def refuses(self, request):
            return "it knows no windows" if request.windows else None

A net of several layers calls the loop once for each, on the hidden states of the layer below
(memcap/models/network.py): a loop serves any number of them.

Below `Loop` is `stepwise`, by which memcap/loops/while_loop.py and masked_scan.py differentiate any cell:
forward it keeps the carry that entered each step, backward it goes through the cell's step again, from the
last one to the first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from memcap.cells import Cell

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

Carry = Any
Params = Any
Weights = tuple[jax.Array, jax.Array, jax.Array, jax.Array | None]  # kernel, recurrent, bias, read-out
Step = Callable[[Params, Carry, jax.Array], tuple[Carry, jax.Array]]
Drive = Callable[..., tuple[Any, Any]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Windows:
    """Truncated backpropagation.

    Args:
        starts: true at the first step of a window.
        reset: whether the carry is zero there; otherwise it flows in, with its gradient cut.
    """

    starts: Bool[Array, " T"]
    reset: bool = field(default=False, metadata={"static": True})


class Request(NamedTuple):
    """What a program needs of a loop.

    Args:
        cell: what is run over time.
        platform: "cpu", "gpu" or "tpu": of the device that will run it, which need not be here
            (`memcap plan`).
        windows: whether gradients are cut at windows.
    """

    cell: type[nnx.RNNCellBase]
    platform: str
    windows: bool


class Loop:
    """One way to run a cell over time, with exact gradients. A subclass has `run`, and `loss_and_score_sums`
    where it `fuses_loss`; all else has a default.

    Attributes:
        name: `engine.loop=NAME`, and the column `loop` of rows; a loop outside the package goes by
            `module:object`.
        what: it runs, for the line that says that it is missing.
        chosen_on: platforms on which `engine.loop=auto` may choose it.
        rank: `auto` takes the loop of the highest rank among those that may be chosen and serve.
        reproducible: whether `engine.loop=reproducible` may choose it, too: by it a study has the same rows
            to the bit on machines with the same jaxlib and the same kind of processor.
        fallback: the loop that runs what this one refuses: other members, and an LSTM read-out in the same
            program.
        takes_symbols: whether `run` takes (T, B) int symbols; otherwise it gets one-hot vectors (T, B, F).
        fuses_readout: whether `run` applies the read-out itself; otherwise `Loop.__call__` does.
        fuses_loss: whether it has `loss_and_score_sums`, for tasks with classes that are answered at every
            step.
        seconds_per_padded_weight: what each weight that pads a member to a wider program costs per training
            step; None: members of several widths do not share programs of this loop on a CPU.
    """

    name: str = ""
    what: str = "the cell"
    chosen_on: Collection[str] = ()
    rank: int = 0
    reproducible: bool = False
    fallback: str = "while"
    takes_symbols: bool = False
    fuses_readout: bool = False
    fuses_loss: bool = False
    seconds_per_padded_weight: float | None = None

    def refuses(self, request: Request) -> str | None:
        """Why it cannot serve these members, in words that go on after "as"; None: it can."""
        del request
        return None

    def missing(self) -> str | None:
        """Why this process has it not, such as a compiler that isn't there; None: it has."""
        return None

    def side_by_side(self, platform: str) -> bool:
        """Whether members of a program run under `vmap`, or one after another."""
        return platform != "cpu"

    def version(self) -> str:
        """What decides the bits of its results: a half-trained member goes on with the same alone."""
        return self.name

    def row_columns(self, side_by_side: bool) -> dict[str, str]:
        """The columns batching, scan and kernel, which said the same before there was a column `loop`."""
        return {
            "batching": "vmap" if side_by_side else "map",
            "scan": "scan" if side_by_side else "loop",
            "kernel": "xla",
        }

    def run(
        self,
        cell: Cell,
        carry: Carry,
        inputs: Int[Array, "T B"] | Float[Array, "T B F"],
        length: Int[Array, ""],
        *,
        flow: Float[Array, " T"] | None,
        reset: bool,
        return_sequences: bool,
        readout: Float[Array, "H O"] | None,
        num_units: Int[Array, ""] | None,
    ) -> tuple[Carry, Float[Array, "*T H B"] | Float[Array, "*T O B"]]:
        """Run over the first `length` of T steps.

        Args:
            cell: its `cell(carry, (B, F))` gives carry and hidden state (B, H).
            carry: the state before the first step, as `cell.initialize_carry` lays it out, batch first. It
                may be learned, so its gradient is wanted, too.
            inputs: floats; symbols below F where `takes_symbols`.
            length: how many of the T steps count.
            flow: 0 at the first step of a window and 1 elsewhere: what the carry's gradient is
                multiplied by as it goes back through the step; None: one window.
            reset: whether the carry itself is multiplied by `flow`, too.
            return_sequences: return the hidden state of every step, or of the last one only.
            readout: weights to apply to the hidden states, given only where `fuses_readout`; or None.
            num_units: how many of the units count, where the weights of those after them are zero;
                None: all. It changes nothing but, in a loop that leaves them out, the time.

        Returns:
            The carry after `length` steps, and the hidden states (T, H, B), zero after `length`, or the last
            one (H, B); with a read-out what it makes of them, (T, O, B) or (O, B).
        """
        raise NotImplementedError

    def loss_and_score_sums(
        self,
        cell: Cell,
        carry: Carry,
        inputs: Int[Array, "T B"] | Float[Array, "T B F"],
        length: Int[Array, ""],
        *,
        readout: tuple[Float[Array, "H O"], Float[Array, " O"]],
        targets: Int[Array, "T B"],
        due: Bool[Array, "T B"],
        num_units: Int[Array, ""] | None,
    ) -> Float[Array, 3] | None:
        """How right the answers of the first `length` steps are, in one window: forward, loss and backward in
        one pass. It is called where `fuses_loss`; answers after `length` are left out.

        Args:
            cell, carry, length, num_units: as of `run`.
            inputs: symbols, whether or not `takes_symbols`, or floats.
            readout: its weights and bias.
            targets: the class that is right.
            due: where an answer is.

        Returns:
            Sums over the answers that are due: cross entropy (nats), how many are right, and how many there
            are; the first one with an exact gradient. None: these arrays are not served, and who calls reads
            out.
        """
        raise NotImplementedError

    def __call__(
        self,
        cell: Cell,
        inputs: Int[Array, "T B"] | Float[Array, "T B F"],
        *,
        initial_carry: Carry,
        seq_lengths: Int[Array, ""],
        windows: Windows | None = None,
        return_sequences: bool = True,
        readout: Float[Array, "H O"] | None = None,
        num_units: Int[Array, ""] | None = None,
    ) -> tuple[Carry, Float[Array, "*T H B"] | Float[Array, "*T O B"]]:
        """Run a cell; arguments are called as in `flax.nnx.RNN`, and time comes first.

        Args:
            cell: what is run.
            inputs: symbols below F, or floats.
            initial_carry: as `cell.initialize_carry` lays it out.
            seq_lengths: how many of the T steps count, the same for all sequences.
            windows: of truncated backpropagation; None: one window.
            return_sequences: every step, or the last one only.
            readout: weights that turn hidden states into outputs, or None.
            num_units: see `run`.

        Returns:
            The carry after the last step that counts, and hidden states (T, H, B), zero after it, or the last
            one (H, B); with a read-out (T, O, B) or (O, B).
        """
        flow = None if windows is None else jnp.where(windows.starts, 0.0, 1.0)
        if inputs.ndim == 2 and not self.takes_symbols:
            inputs = jax.nn.one_hot(inputs, cell.in_features)
        fused = readout if self.fuses_readout else None
        carry, hidden = self.run(
            cell,
            initial_carry,
            inputs,
            seq_lengths,
            flow=flow,
            reset=windows is not None and windows.reset,
            return_sequences=return_sequences,
            readout=fused,
            num_units=num_units,
        )
        return carry, hidden if readout is None or self.fuses_readout else read(hidden, readout)


def read(hidden: Float[Array, "*T H B"], readout: Float[Array, "H O"]) -> Float[Array, "*T O B"]:
    """Hidden states through a read-out."""
    if hidden.ndim == 2:
        return readout.T @ hidden
    steps, units, batch = hidden.shape
    flat = readout.T @ jnp.swapaxes(hidden, 0, 1).reshape(units, -1)
    return jnp.swapaxes(flat.reshape(-1, steps, batch), 0, 1)


def run_feature_major(
    over_time: Callable[[Weights, Carry, jax.Array], tuple[Carry, jax.Array | None]],
    weights: tuple[jax.Array, jax.Array, jax.Array],
    carry: Carry,
    inputs: Int[Array, "T B"] | Float[Array, "T B F"],
    readout: Float[Array, "H O"] | None,
    fuses: bool,
) -> tuple[Carry, Float[Array, "*T H B"] | Float[Array, "*T O B"]]:
    """`Loop.run` of a gated cell, by a function whose arrays are (U, B).

    Args:
        over_time: (weights, carry of (U, B) arrays, inputs) -> carry, outputs; None for the last hidden
            state.
        weights: of the cell: kernel (F, G), recurrent (U, G), bias (G,).
        carry, inputs, readout: as of `Loop.run`; the carry's last array is the hidden state.
        fuses: whether the read-out may be one of the weights.
    """
    dtype = weights[0].dtype
    inputs = inputs if inputs.ndim == 2 else inputs.astype(dtype)
    fused = readout if readout is not None and fuses and readout.dtype == dtype else None
    carry, outputs = over_time((*weights, fused), jax.tree.map(lambda state: state.T, carry), inputs)
    outputs = jax.tree.leaves(carry)[-1] if outputs is None else outputs
    if readout is not None and fused is None:
        outputs = read(outputs, readout)
    return jax.tree.map(lambda state: state.T, carry), outputs


@cache
def step_of(graph: nnx.GraphDef) -> Step:
    """One pure function a cell's structure, so that a trace is shared by all who run it."""
    return lambda params, carry, inputs: nnx.merge(graph, params)(carry, inputs)


def run_stepwise(
    drive: Drive,
    cell: Cell,
    carry: Carry,
    inputs: Float[Array, "T B F"],
    length: Int[Array, ""],
    flow: Float[Array, " T"] | None,
    reset: bool,
    return_sequences: bool,
) -> tuple[Carry, Float[Array, "*T H B"]]:
    """`Loop.run` of any cell, by its own step; `drive` goes over time, see `stepwise`."""
    graph, params = nnx.split(cell)
    carry, outputs = stepwise(
        drive, step_of(graph), return_sequences, reset, params, carry, inputs, length, flow
    )
    return carry, jnp.swapaxes(outputs, -1, -2)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def stepwise(
    drive: Drive,
    step: Step,
    return_sequences: bool,
    reset: bool,
    params: Params,
    carry: Carry,
    inputs: Float[Array, "T B F"],
    length: Int[Array, ""],
    flow: Float[Array, " T"] | None,
) -> tuple[Carry, Float[Array, "*T B H"]]:
    """Apply `step` to the first `length` rows of `inputs`, with the gradient written out.

    Args:
        drive: goes over time: (body, state, xs, ys, length, backwards) -> state, ys. It runs `body` over the
            first `length` rows of `xs`, from the first to the last or backwards.
            `body` is (state, t, valid, row of xs) -> (state, row of ys); `valid` says whether the step
            counts, and is True where no other is run.
            `state` is a pytree without a time axis, `xs` one of (T, ...) arrays, `ys` one of zeros (T, ...)
            for what comes out. Rows after `length` are zero, or what the body makes of a state that stands
            still: a body whose rows must be zero there says so by `zero_unless`.
        step: (params, carry, (B, F) input) -> (carry, (B, H) output), pure.
        return_sequences: return the output of every step, or of the last one only.
        reset: set the carry to zero where `flow` is 0; otherwise only its gradient is cut there.
        params: pytree of the cell's parameters.
        carry: pytree, the state before the first step.
        inputs: of each step.
        length: how many of the T rows count.
        flow: 0 at the first step of a window and 1 elsewhere; None: one window.

    Returns:
        The carry after `length` steps, and the outputs (T, B, H), zero after `length`, or the last one (B,
        H).
    """
    carry, outputs, _ = _forward(
        drive, step, return_sequences, reset, False, params, carry, inputs, length, flow
    )
    return carry, outputs


def _forward(
    drive: Drive,
    step: Step,
    return_sequences: bool,
    reset: bool,
    keep: bool,
    params: Params,
    carry: Carry,
    inputs: jax.Array,
    length: jax.Array,
    flow: jax.Array | None,
) -> tuple[Carry, jax.Array, Any]:
    """The carry after the last step, the outputs, and the carry that entered each step, (T, ...), if it is to
    be kept."""
    steps = inputs.shape[0]
    _, output = jax.eval_shape(step, params, carry, inputs[0])
    last = jnp.zeros(output.shape, output.dtype)

    def body(state: Any, t: jax.Array, valid: Any, row: Any) -> tuple[Any, Any]:
        carry, _ = state
        x, flow = row
        if reset and flow is not None:
            carry = _scaled(carry, flow)
        entered = carry
        carry, output = step(params, carry, x)
        row = zero_unless(valid, output) if return_sequences else ()
        return (carry, () if return_sequences else output), (row, entered if keep else ())

    ys = _buffers((output if return_sequences else (), carry if keep else ()), steps)
    state = carry, () if return_sequences else last
    (carry, last), (outputs, entered) = drive(body, state, (inputs, flow), ys, length, False)
    return carry, outputs if return_sequences else last, entered


def _stepwise_fwd(
    drive: Drive,
    step: Step,
    return_sequences: bool,
    reset: bool,
    params: Params,
    carry: Carry,
    inputs: jax.Array,
    length: jax.Array,
    flow: jax.Array | None,
) -> tuple[tuple[Carry, jax.Array], Any]:
    carry, outputs, entered = _forward(
        drive, step, return_sequences, reset, True, params, carry, inputs, length, flow
    )
    return (carry, outputs), (params, entered, inputs, length, flow)


def _stepwise_bwd(
    drive: Drive, step: Step, return_sequences: bool, reset: bool, residuals: Any, cotangents: Any
) -> tuple[Any, ...]:
    """A reset carry and a cut carry have the same gradient into the past: none."""
    del reset
    params, entered, inputs, length, flow = residuals
    d_last, d_outputs = cotangents
    rows = jax.tree.map(lambda buffer: jax.ShapeDtypeStruct(buffer.shape[1:], buffer.dtype), entered)
    d_carry = _differentiable_of(rows, d_last)

    def body(state: Any, t: jax.Array, valid: Any, row: Any) -> tuple[Any, Any]:
        d_carry, d_params = state
        entered, x, flow, d_output = row
        if not return_sequences:  # only the last output was returned
            d_output = jnp.where(t == length - 1, d_outputs, jnp.zeros_like(d_outputs))
        _, pullback = jax.vjp(step, params, entered, x)
        d_param, d_entered, d_input = pullback((_cotangent(rows, d_carry), d_output))
        d_entered = _differentiable_of(rows, d_entered)
        if flow is not None:
            d_entered = _scaled(d_entered, flow)
        added = jax.tree.map(jnp.add, d_params, _differentiable_of(params, d_param))
        return (d_entered, added), zero_unless(valid, d_input)

    state = d_carry, jax.tree.map(jnp.zeros_like, _differentiable_of(params, params))
    xs = entered, inputs, flow, d_outputs if return_sequences else ()
    (d_carry, d_params), d_inputs = drive(body, state, xs, jnp.zeros_like(inputs), length, True)
    return _cotangent(params, d_params), _cotangent(rows, d_carry), d_inputs, None, None


stepwise.defvjp(_stepwise_fwd, _stepwise_bwd)


def read_row(buffer: jax.Array, t: jax.Array) -> jax.Array:
    """Row t of a buffer whose first axis is time."""
    return lax.dynamic_index_in_dim(buffer, t, 0, keepdims=False)


def write_row(buffer: jax.Array, value: jax.Array, t: jax.Array) -> jax.Array:
    """The buffer with row t replaced."""
    return lax.dynamic_update_index_in_dim(buffer, value, t, 0)


def zero_unless(valid: Any, row: jax.Array) -> jax.Array:
    """The row of a step that counts, or zero; `valid` is what a `drive` says of the step."""
    return row if valid is True else jnp.where(valid, row, jnp.zeros_like(row))


def select(condition: jax.Array, new: Any, old: Any) -> Any:
    """The leaves of one pytree or of the other."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def _scaled(carry: Carry, factor: jax.Array) -> Carry:
    """The carry times a number, each leaf in its own dtype."""
    return jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), carry)


def _buffers(rows: Any, steps: int) -> Any:
    """Zeros with a time axis in front of each leaf."""
    return jax.tree.map(lambda row: jnp.zeros((steps, *row.shape), row.dtype), rows)


def _has_gradient(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _differentiable_of(like: Any, cotangents: Any) -> list[Any]:
    """Of a cotangent of `like`, those of its differentiable leaves: integers, such as a cell's own clock,
    have none."""
    pairs = zip(jax.tree.leaves(cotangents), jax.tree.leaves(like), strict=True)
    return [cotangent for cotangent, leaf in pairs if _has_gradient(leaf)]


def _cotangent(like: Any, leaves: list[Any]) -> Any:
    """A cotangent of `like` from those of its differentiable leaves; JAX wants float0 for the others."""
    cotangents = iter(leaves)
    flat, tree = jax.tree.flatten(like)
    full = [
        next(cotangents) if _has_gradient(leaf) else np.zeros(leaf.shape, jax.dtypes.float0) for leaf in flat
    ]
    return jax.tree.unflatten(tree, full)

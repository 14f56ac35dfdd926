"""The fast LSTM: feature-major, gradient written out; computes what memcap/cells/plain.py says, which to read
first.

Weight gradients are accumulated in the backward loop: on a CPU, stacking the gates' gradients for one large
product afterwards is slower. Inside the scan arrays are (U, B), so that the batch lies in the vector lanes;
what the backward loop needs of a step is kept in one buffer, as XLA would fill and copy several.
"""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from memcap.cells import native
from memcap.cells.base import Cell
from memcap.cells.gates import Gates
from memcap.cells.plain import lstm_step, sigmoid
from memcap.cells.scan import How, Options, at, counted, over_time, put

CarryCH = tuple[jax.Array, jax.Array]


def _column(x: jax.Array, features: int, dtype: jnp.dtype) -> jax.Array:
    """The input of a step as (F, B): one-hot for symbols (B,), the numbers themselves for (B, F)."""
    if x.ndim == 1:
        return (jnp.arange(features)[:, None] == x[None, :]).astype(dtype)
    return x.T.astype(dtype)


def _joined(x: jax.Array, h: jax.Array, features: int, static: bool) -> jax.Array:
    """What a step's product takes: the input above the hidden state, (F + U, B).

    Where time is scanned, a symbol's 1 is written element by element, which goes into the product itself. Of
    a one-hot array a TPU's compiler would make a kernel, and turn h into its layout and back at every step.
    """
    if not static or x.ndim > 1:
        return jnp.concatenate([_column(x, features, h.dtype), h], 0)
    below = jnp.pad(h, ((features, 0), (0, 0)))
    return jnp.where(jnp.arange(len(below))[:, None] == x, jnp.ones((), h.dtype), below)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_scan(
    options: Options,
    kernel: jax.Array,
    recurrent: jax.Array,
    bias: jax.Array,
    readout: jax.Array | None,
    carry: CarryCH,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[CarryCH, jax.Array | None]:
    """Run an LSTM over the first `length` steps.

    Args:
        options: `every`: whether something is returned for every step, the hidden state or what `readout`
            makes of it.
        kernel: (F, 4U) input weights.
        recurrent: (U, 4U) recurrent weights.
        bias: (4U,).
        readout: (U, O) weights of a linear read-out of every step, or None. Rows of the recurrent product, it
            costs next to nothing. It needs `every` and one window, `flows` None: at a window's start, what is
            read out is not what flows on.
        carry: (c, h), each (U, B), the state before the first step.
        inputs: (T, B) int symbols below F, or (T, B, F) floats.
        length: () int, how many of the T steps count; may be traced.
        flows: (T,) floats, 0 at the first step of a window and 1 elsewhere; None: one window.

    Returns:
        The carry (c, h) after `length` steps, and the hidden states (T, U, B), or read-outs (T, O, B), zero
        after `length`; or None.
    """
    carry, _, outputs = _forward(
        options, False, kernel, recurrent, bias, readout, carry, inputs, length, flows
    )
    return carry, outputs


def _forward(
    options: Options,
    keep: bool,
    kernel: jax.Array,
    recurrent: jax.Array,
    bias: jax.Array,
    readout: jax.Array | None,
    carry: CarryCH,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[CarryCH, jax.Array, jax.Array | None]:
    """The carry after the last step, each step's i, f, g, o, c, h as (T, 6U, B) if they are kept, and the
    outputs.

    Where time is scanned ("scan"), h is left out, (T, 5U, B): the backward pass is bound by memory there, and
    makes it again.
    """
    every, reset, static = options
    assert readout is None or (every and flows is None)
    (features, _), units, dtype = kernel.shape, recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    table = kernel if real else kernel + bias  # one symbol is on at a step, so its row can carry the bias
    weights = jnp.concatenate([table, recurrent], 0).T  # (4U, F + U)
    if readout is not None:  # (4U + O, F + U): the product that makes step t's gates reads out step t - 1
        weights = jnp.concatenate([weights, jnp.pad(readout.T, ((0, 0), (features, 0)))], 0)
    steps, batch = inputs.shape[:2]
    rows = 0 if not every else units if readout is None else readout.shape[1]
    per_step = (5 if static else 6) * units * keep
    buffers = jnp.zeros((steps, per_step, batch), dtype), jnp.zeros((steps, rows, batch), dtype)

    def step(carry: CarryCH, _: Any, on: Any, row: Any) -> tuple[CarryCH, tuple[jax.Array, jax.Array]]:
        (c, h), (x, flow) = carry, row
        if reset and flow is not None:
            c, h = c * flow, h * flow
        z = weights @ _joined(x, h, features, static)
        z, read = z[: 4 * units], z[4 * units :]
        if real:
            z = z + bias[:, None]
        i, f, g, o = jnp.split(z, 4, 0)
        i, f, g, o = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        c_next = f * c + i * g
        h_next = o * jnp.tanh(c_next)
        kept = (
            jnp.concatenate([i, f, g, o, c, h][: 5 if static else 6], 0)
            if keep
            else jnp.zeros((0, batch), dtype)
        )
        return (c_next, h_next), (kept, counted(on, h_next[:rows]) if readout is None else read)

    if static:
        carry = lax.optimization_barrier(
            carry
        )  # zeros that a TPU's compiler knows of, it would select anew at every step
        carry, (kept, outputs) = over_time(True, step, carry, (inputs, flows), buffers, length, back=False)
        if readout is not None:  # what was read a step late, a step earlier
            last, now = readout.T @ carry[1], jnp.arange(steps)[:, None, None]
            shifted = jnp.concatenate([outputs[1:], outputs[:1]], 0)
            outputs = jnp.where(now == length - 1, last, jnp.where(now < length, shifted, 0))
        return carry, kept, outputs if every else None

    def body(t: jax.Array, state: Any) -> Any:
        carry, kept, outputs = state
        carry, (row, output) = step(carry, t, True, (at(inputs, t), None if flows is None else flows[t]))
        if keep:
            kept = put(kept, row, t)
        if every:
            outputs = put(outputs, output, t if readout is None else jnp.maximum(t - 1, 0))
        return carry, kept, outputs

    carry, kept, outputs = lax.fori_loop(0, length, body, (carry, *buffers))
    if readout is not None:
        outputs = put(outputs, readout.T @ carry[1], length - 1)
    return carry, kept, outputs if every else None


def _lstm_scan_fwd(
    options: Options,
    kernel: jax.Array,
    recurrent: jax.Array,
    bias: jax.Array,
    readout: jax.Array | None,
    carry: CarryCH,
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[tuple[CarryCH, jax.Array | None], tuple[Any, ...]]:
    first = carry[1]
    carry, kept, outputs = _forward(
        options, True, kernel, recurrent, bias, readout, carry, inputs, length, flows
    )
    return (carry, outputs), (kernel, recurrent, readout, inputs, length, flows, kept, first, carry[1])


def _lstm_scan_bwd(options: Options, saved: tuple[Any, ...], cotangents: Any) -> tuple[Any, ...]:
    """A reset carry and a cut carry have the same gradient into the past: none."""
    every, reset, static = options
    kernel, recurrent, readout, inputs, length, flows, kept, first, last = saved
    (dc, dh), d_outputs = cotangents
    features, units, dtype = kernel.shape[0], recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    backward, d_readout = recurrent, None
    if readout is not None:  # as in the forward loop: step t's gates go with the read-out of step t - 1
        backward = jnp.concatenate([recurrent, readout], 1)
        dh = dh + readout @ at(d_outputs, length - 1)
        d_readout = last @ at(d_outputs, length - 1).T
    sums = jnp.zeros((features + units, backward.shape[1]), dtype), jnp.zeros(4 * units, dtype)

    def through_gates(
        kept: Any, dc: jax.Array, dh: jax.Array, d_output: Any
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Gradient of the step's product and of its incoming c; and the h that the step made."""
        i, f, g, o, c = kept
        if every and readout is None:
            dh = dh + d_output
        tanh_c = jnp.tanh(f * c + i * g)
        dc = dc + dh * o * (1 - tanh_c**2)
        dz = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
        if readout is not None:
            dz.append(d_output)
        return jnp.concatenate(dz, 0), dc * f, o * tanh_c

    def of_weights(dz: jax.Array, x: jax.Array, h: jax.Array) -> jax.Array:
        return _joined(x, h, features, static) @ dz.T

    def onwards(
        on: Any, dz: jax.Array, dc: jax.Array, db: jax.Array, flow: Any
    ) -> tuple[CarryCH, jax.Array, Any]:
        """Gradients of the incoming carry, of the bias so far, and of the input."""
        dx = ()
        if real:
            dx = counted(on, (kernel @ dz[: 4 * units]).T)
            db = db + dz[: 4 * units].sum(1)
        dh = backward @ dz
        if flow is not None:
            dc, dh = dc * flow, dh * flow
        return (dc, dh), db, dx

    def step(state: Any, row: Any) -> tuple[Any, Any]:
        (dc, dh), dw, db = state
        x, flow, kept, d_output = row
        *kept, h = jnp.split(kept, 6, 0)
        dz, dc, _ = through_gates(kept, dc, dh, d_output)
        dw = dw + of_weights(dz, x, h)
        carry, db, dx = onwards(True, dz, dc, db, flow)
        return (carry, dw, db), dx

    def late_step(state: Any, _: Any, on: Any, row: Any) -> tuple[Any, Any]:
        """The h that enters step t + 1 is what step t made: its weights' gradient is due here."""
        (dc, dh), dw, db, dz_after = state
        (x_after, flow_after), flow, kept, d_output = row
        dz, dc, h = through_gates(jnp.split(kept, 5, 0), dc, dh, d_output)
        dw = dw + of_weights(dz_after, x_after, h * flow_after if reset and flow_after is not None else h)
        carry, db, dx = onwards(on, dz, dc, db, flow)
        return (carry, dw, db, dz), dx

    state, d_inputs = ((dc, dh), *sums), jnp.zeros_like(inputs) if real else ()
    if static:
        if readout is not None:
            d_outputs = jnp.concatenate([jnp.zeros_like(d_outputs[:1]), d_outputs[:-1]], 0)
        after = jax.tree.map(lambda rows: jnp.roll(rows, -1, 0), (inputs, flows))
        rows = after, flows, kept, d_outputs if every else ()
        state = *state, jnp.zeros((backward.shape[1], inputs.shape[1]), dtype)
        (carry, dw, db, dz), d_inputs = over_time(True, late_step, state, rows, d_inputs, length, back=True)
        dw = dw + of_weights(dz, inputs[0], first * flows[0] if reset and flows is not None else first)
    else:

        def body(k: jax.Array, both: Any) -> Any:
            state, d_inputs = both
            t = length - 1 - k
            d_output = ()
            if readout is not None:
                d_output = jnp.where(t > 0, at(d_outputs, jnp.maximum(t - 1, 0)), 0)
            elif every:
                d_output = at(d_outputs, t)
            row = at(inputs, t), None if flows is None else flows[t], at(kept, t), d_output
            state, dx = step(state, row)
            return state, put(d_inputs, dx, t) if real else d_inputs

        (carry, dw, db), d_inputs = lax.fori_loop(0, length, body, (state, d_inputs))
    d_kernel, d_recurrent = dw[:features, : 4 * units], dw[features:, : 4 * units]
    if readout is not None:
        d_readout = d_readout + dw[features:, 4 * units :]
    if (
        not real
    ):  # exactly one symbol is on at a step, so the rows of the table's gradient add up to the bias's
        db = d_kernel.sum(0)
    return d_kernel, d_recurrent, db, d_readout, carry, d_inputs if real else None, None, None


lstm_scan.defvjp(_lstm_scan_fwd, _lstm_scan_bwd)


class LSTM(Cell):
    """LSTM cell with a fast `scan`. Its carry is (c, h), each (B, U), as in Flax's cells.

    Args:
        in_features: F.
        hidden_features: units U.
        rngs: unused: the weights start at zero, and `Gates.draw` draws them.
    """

    name: ClassVar[str] = "lstm"
    gates = Gates(("input", "forget", "candidate", "output"), ("kernel",), ("recurrent",), ("bias",))
    own_start = False
    is_lstm = True
    pads = True

    def __init__(
        self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs, param_dtype: DTypeLike = jnp.float32
    ):
        del rngs
        self.in_features, self.hidden_features = in_features, hidden_features
        self.kernel = nnx.Param(jnp.zeros((in_features, 4 * hidden_features), param_dtype))
        self.recurrent = nnx.Param(jnp.zeros((hidden_features, 4 * hidden_features), param_dtype))
        self.bias = nnx.Param(jnp.zeros(4 * hidden_features, param_dtype))

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One step: carry (c, h), inputs (B, F) -> carry, h (B, U)."""
        kernel = self.kernel[...]
        return lstm_step(kernel, self.recurrent[...], self.bias[...], carry, inputs.astype(kernel.dtype))

    def initialize_carry(self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None) -> Any:
        """Zeros: (c, h), each (*batch, U)."""
        del rngs, carry_init
        zeros = jnp.zeros((*input_shape[:-1], self.hidden_features), self.bias[...].dtype)
        return zeros, zeros

    def scan(
        self,
        carry: Any,
        inputs: jax.Array,
        length: jax.Array,
        flows: jax.Array | None = None,
        *,
        every: bool,
        reset: bool = False,
        readout: jax.Array | None = None,
        how: How = "loop",
        units: jax.Array | None = None,
    ) -> tuple[Any, jax.Array]:
        """See `Cell.scan`."""
        if how == "plain":
            return super().scan(
                carry, inputs, length, flows, every=every, reset=reset, readout=readout, how=how
            )
        c, h = carry
        weights = self.kernel[...], self.recurrent[...], self.bias[...]
        dtype = weights[0].dtype
        inputs = inputs if inputs.ndim == 2 else inputs.astype(dtype)
        flows = None if flows is None else flows.astype(dtype)
        fused = every and flows is None and readout is not None and readout.dtype == dtype
        within = readout if fused else None
        if how == "native" and native.takes((*weights, *carry), inputs, flows):
            counts = jnp.stack(
                [length, jnp.asarray(self.hidden_features if units is None else units)]
            ).astype(jnp.int32)
            (c, h), outputs = native.lstm_scan(every, (*weights, within), (c.T, h.T), inputs, counts)
        else:
            options = Options(every=every, reset=reset, static=how == "scan")
            (c, h), outputs = lstm_scan(options, *weights, within, (c.T, h.T), inputs, length, flows)
        outputs = h if outputs is None else outputs
        if readout is not None and within is None:
            outputs = self.read(outputs, readout)
        return (c.T, h.T), outputs

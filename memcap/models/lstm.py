"""The LSTM, and its scan: feature-major, one program for every length, gradient written out.

Gates are in the order i, f, g, o, as in Flax; z = W_x x + W_h h + b, c' = sigma(f) c + sigma(i) tanh(g), h' = sigma(o) tanh(c').
Weight gradients are accumulated in the backward loop: on a CPU, stacking the gates' gradients for one large product
afterwards is slower. Inside the scan arrays are (U, B), so that the batch lies in the vector lanes; what the backward loop needs
of a step is kept in one buffer, as XLA would fill and copy several.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from memcap.models.scan import at, put


def _sigmoid(x: jax.Array) -> jax.Array:
    # One tanh: faster on CPUs than logistic and within 2e-7 of it, which is 1e-4 of a gate that is shut to 1e-3.
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def _column(inputs: jax.Array, t: jax.Array, features: int, dtype: jnp.dtype) -> jax.Array:
    """Step t as (F, B): one-hot for symbols (T, B), the numbers themselves for (T, B, F)."""
    if inputs.ndim == 2:
        return (jnp.arange(features)[:, None] == at(inputs, t)[None, :]).astype(dtype)
    return at(inputs, t).T.astype(dtype)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def lstm_scan(
    every: bool,
    reset: bool,
    kernel: jax.Array,
    recurrent: jax.Array,
    bias: jax.Array,
    readout: jax.Array | None,
    carry: tuple[jax.Array, jax.Array],
    inputs: jax.Array,
    length: jax.Array,
    flows: jax.Array | None,
) -> tuple[tuple[jax.Array, jax.Array], jax.Array | None]:
    """Run an LSTM over the first `length` steps.

    Args:
        every: whether something is returned for every step: the hidden state, or what `readout` makes of it.
        reset: whether the carry is set to zero where `flows` is 0; otherwise only its gradient is.
        kernel: (F, 4U) input weights.
        recurrent: (U, 4U) recurrent weights.
        bias: (4U,).
        readout: (U, O) weights of a linear read-out of every step, or None. Rows of the recurrent product, it costs next to
            nothing. It needs `every` and one window, `flows` None: at a window's start, what is read out is not what flows on.
        carry: (c, h), each (U, B), the state before the first step.
        inputs: (T, B) int symbols below F, or (T, B, F) floats.
        length: () int, how many of the T steps count; may be traced.
        flows: (T,) floats, 0 at the first step of a window and 1 elsewhere; None: one window.

    Returns:
        The carry (c, h) after `length` steps, and the hidden states (T, U, B), or read-outs (T, O, B), zero after `length`; or
        None.
    """
    carry, _, outputs = _forward(reset, every, False, kernel, recurrent, bias, readout, carry, inputs, length, flows)
    return carry, outputs


def _forward(reset, every, keep, kernel, recurrent, bias, readout, carry, inputs, length, flows):
    """The carry after the last step, each step's i, f, g, o, c, h as (T, 6U, B) if they are kept, and the outputs."""
    assert readout is None or (every and flows is None)
    (features, _), units, dtype = kernel.shape, recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    table = kernel if real else kernel + bias  # one symbol is on at a step, so its row can carry the bias
    weights = jnp.concatenate([table, recurrent], 0).T  # (4U, F + U)
    if readout is not None:  # (4U + O, F + U): the product that makes step t's gates reads out step t - 1
        weights = jnp.concatenate([weights, jnp.pad(readout.T, ((0, 0), (features, 0)))], 0)
    steps, batch = inputs.shape[:2]
    rows = 0 if not every else units if readout is None else readout.shape[1]
    kept, outputs = jnp.zeros((steps, 6 * units * keep, batch), dtype), jnp.zeros((steps, rows, batch), dtype)

    def body(t, state):
        (c, h), kept, outputs = state
        if reset and flows is not None:
            c, h = c * flows[t], h * flows[t]
        z = weights @ jnp.concatenate([_column(inputs, t, features, dtype), h], 0)
        if readout is not None:
            outputs = put(outputs, z[4 * units :], jnp.maximum(t - 1, 0))
            z = z[: 4 * units]
        if real:
            z = z + bias[:, None]
        i, f, g, o = jnp.split(z, 4, 0)
        i, f, g, o = _sigmoid(i), _sigmoid(f), jnp.tanh(g), _sigmoid(o)
        c_next = f * c + i * g
        h_next = o * jnp.tanh(c_next)
        if keep:
            kept = put(kept, jnp.concatenate([i, f, g, o, c, h], 0), t)
        if every and readout is None:
            outputs = put(outputs, h_next, t)
        return (c_next, h_next), kept, outputs

    carry, kept, outputs = lax.fori_loop(0, length, body, (carry, kept, outputs))
    if readout is not None:
        outputs = put(outputs, readout.T @ carry[1], length - 1)
    return carry, kept, outputs if every else None


def _lstm_scan_fwd(every, reset, kernel, recurrent, bias, readout, carry, inputs, length, flows):
    carry, kept, outputs = _forward(reset, every, True, kernel, recurrent, bias, readout, carry, inputs, length, flows)
    return (carry, outputs), (kernel, recurrent, readout, inputs, length, flows, kept, carry[1])


def _lstm_scan_bwd(every, reset, saved, cotangents):
    del reset  # a reset carry and a cut carry have the same gradient into the past: none
    kernel, recurrent, readout, inputs, length, flows, kept, last = saved
    (dc, dh), d_outputs = cotangents
    features, units, dtype = kernel.shape[0], recurrent.shape[0], kernel.dtype
    real = inputs.ndim == 3
    backward, d_readout = recurrent, None
    if readout is not None:  # as in the forward loop: step t's gates go with the read-out of step t - 1
        backward = jnp.concatenate([recurrent, readout], 1)
        dh = dh + readout @ at(d_outputs, length - 1)
        d_readout = last @ at(d_outputs, length - 1).T
    start = (
        (dc, dh),
        jnp.zeros((features + units, backward.shape[1]), dtype),
        jnp.zeros(4 * units, dtype),
        jnp.zeros_like(inputs) if real else (),
    )

    def body(k, state):
        (dc, dh), dw, db, dx = state
        t = length - 1 - k
        i, f, g, o, c, h = jnp.split(at(kept, t), 6, 0)
        if every and readout is None:
            dh = dh + at(d_outputs, t)
        tanh_c = jnp.tanh(f * c + i * g)
        dc = dc + dh * o * (1 - tanh_c**2)
        dz = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
        if readout is not None:
            dz.append(jnp.where(t > 0, at(d_outputs, jnp.maximum(t - 1, 0)), 0))
        dz = jnp.concatenate(dz, 0)
        dw = dw + jnp.concatenate([_column(inputs, t, features, dtype), h], 0) @ dz.T
        if real:
            dx = put(dx, (kernel @ dz[: 4 * units]).T, t)
            db = db + dz[: 4 * units].sum(1)
        dc, dh = dc * f, backward @ dz
        if flows is not None:
            dc, dh = dc * flows[t], dh * flows[t]
        return (dc, dh), dw, db, dx

    carry, dw, db, dx = lax.fori_loop(0, length, body, start)
    d_kernel, d_recurrent = dw[:features, : 4 * units], dw[features:, : 4 * units]
    if readout is not None:
        d_readout = d_readout + dw[features:, 4 * units :]
    if not real:  # exactly one symbol is on at a step, so the rows of the table's gradient add up to the bias's
        db = d_kernel.sum(0)
    return d_kernel, d_recurrent, db, d_readout, carry, dx if real else None, None, None


lstm_scan.defvjp(_lstm_scan_fwd, _lstm_scan_bwd)


class LSTM(nnx.RNNCellBase):
    """LSTM cell with a fast `scan`. Its carry is (c, h), each (B, U), as in Flax's cells.

    Args:
        in_features: F.
        hidden_features: units U.
        rngs: unused stream of keys, for the same signature as Flax's cells: the weights start at zero, and
            `memcap.models.initializers` draws them.
    """

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs, param_dtype: jnp.dtype = jnp.float32):
        del rngs
        self.in_features, self.hidden_features = in_features, hidden_features
        self.kernel = nnx.Param(jnp.zeros((in_features, 4 * hidden_features), param_dtype))
        self.recurrent = nnx.Param(jnp.zeros((hidden_features, 4 * hidden_features), param_dtype))
        self.bias = nnx.Param(jnp.zeros(4 * hidden_features, param_dtype))

    def __call__(self, carry, inputs):
        """One step: carry (c, h), inputs (B, F) -> carry, h (B, U)."""
        c, h = carry
        z = inputs @ self.kernel[...] + h @ self.recurrent[...] + self.bias[...]
        i, f, g, o = jnp.split(z, 4, -1)
        c = _sigmoid(f) * c + _sigmoid(i) * jnp.tanh(g)
        h = _sigmoid(o) * jnp.tanh(c)
        return (c, h), h

    def scan(self, carry, inputs, length, flows=None, *, every: bool, reset: bool = False, readout: jax.Array | None = None):
        """The first `length` steps of inputs (T, B) or (T, B, F); see `lstm_scan`.

        Returns the carry (c, h), each (B, U), and the hidden states (T, U, B) or read-outs (T, O, B), or None if not `every`.
        """
        c, h = carry
        weights = self.kernel[...], self.recurrent[...], self.bias[...]
        (c, h), outputs = lstm_scan(every, reset, *weights, readout, (c.T, h.T), inputs, length, flows)
        return (c.T, h.T), outputs

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        """Zeros: (c, h), each (*batch, U)."""
        del rngs, carry_init
        zeros = jnp.zeros((*input_shape[:-1], self.hidden_features), self.bias[...].dtype)
        return zeros, zeros

    @property
    def num_feature_axes(self) -> int:
        """One: features are the last axis."""
        return 1

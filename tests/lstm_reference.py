"""An LSTM in NumPy, one step at a time, with its gradient written by hand: what the fast scan is held
against."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

# Most of these tests' time is the compiler's; without LLVM's optimisation it takes little more than half.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Result(NamedTuple):
    """A network's outputs, and the gradient of sum(d_outputs * outputs) + sum(d_carry * carry)."""

    outputs: np.ndarray  # (T, B, O)
    carry: Any
    d_weights: dict[str, dict[str, np.ndarray]]
    d_carry: Any
    d_inputs: np.ndarray  # (T, B, F)


def relative_error(ours, reference) -> float:
    """max|a - b| / max|b|; where b is all zeros, a must be too."""
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    assert ours.shape == reference.shape
    distance, size = np.abs(ours - reference).max(), np.abs(reference).max()
    if size == 0:
        return 0.0 if distance == 0 else np.inf
    return float(distance / size)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(weights, inputs, carry, boundary, reset):
    """Inputs (T, B, F), carry (c, h) each (B, U) -> hidden states (T, B, U), carry, and a tape for
    `backward`."""
    kernel, recurrent, bias = weights["kernel"], weights["recurrent"], weights["bias"]
    units = recurrent.shape[0]
    c, h = carry
    hidden, tape = [], []
    for x, starts in zip(inputs, boundary, strict=True):
        if starts and reset:
            c, h = np.zeros_like(c), np.zeros_like(h)
        z = x @ kernel + h @ recurrent + bias
        i, f, o = (sigmoid(z[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
        g = np.tanh(z[:, 2 * units : 3 * units])
        new_c = f * c + i * g
        tape.append((x, c, h, i, f, g, o, new_c))
        c, h = new_c, o * np.tanh(new_c)
        hidden.append(h)
    return np.stack(hidden), (c, h), tape


def keras_outputs(arrays, inputs):
    """Inputs (B, T, F) -> outputs (B, T, O) of Keras's LSTM and Dense with weights in the layout `keras`."""
    kernel, recurrent, bias, dense, dense_bias = arrays.values()
    start, no_window = np.zeros((len(inputs), len(recurrent))), np.zeros(inputs.shape[1], bool)
    weights = {"kernel": kernel, "recurrent": recurrent, "bias": bias}
    hidden, *_ = forward(weights, inputs.swapaxes(0, 1), (start, start), no_window, reset=False)
    return hidden.swapaxes(0, 1) @ dense + dense_bias


def backward(weights, tape, d_hidden, d_carry, boundary):
    """Gradients of the weights, of the carry before the first step, and of the inputs; none passes a
    boundary."""
    grads = {name: np.zeros_like(value) for name, value in weights.items()}
    dc, dh = d_carry
    d_inputs = np.zeros((len(tape), *tape[0][0].shape))
    for t in reversed(range(len(tape))):
        x, c, h, i, f, g, o, new_c = tape[t]
        dh = dh + d_hidden[t]
        dc = dc + dh * o / np.cosh(new_c) ** 2
        d_gates = (
            dc * g * i * (1 - i),
            dc * c * f * (1 - f),
            dc * i * (1 - g**2),
            dh * np.tanh(new_c) * o * (1 - o),
        )
        dz = np.concatenate(d_gates, 1)
        grads["kernel"] += x.T @ dz
        grads["recurrent"] += h.T @ dz
        grads["bias"] += dz.sum(0)
        d_inputs[t] = dz @ weights["kernel"].T
        dc, dh = dc * f, dz @ weights["recurrent"].T
        if boundary[t]:
            dc, dh = np.zeros_like(dc), np.zeros_like(dh)
    return grads, (dc, dh), d_inputs


def network(weights, inputs, carry, boundary, reset, d_outputs, d_carry) -> Result:
    """LSTM, then a dense read-out or an LSTM (told by its weights, in which case `carry` is a pair), with
    gradients."""
    stacked = "recurrent" in weights["readout"]
    cell, top = carry if stacked else (carry, None)
    d_cell, d_top = d_carry if stacked else (d_carry, None)
    hidden, cell, tape = forward(weights["cell"], inputs, cell, boundary, reset)
    readout = weights["readout"]
    if stacked:
        outputs, top, top_tape = forward(readout, hidden, top, boundary, reset)
        d_readout, d_top, d_hidden = backward(readout, top_tape, d_outputs, d_top, boundary)
    else:
        outputs = hidden @ readout["kernel"] + readout["bias"]
        d_readout = {"kernel": np.einsum("tbu,tbo->uo", hidden, d_outputs), "bias": d_outputs.sum((0, 1))}
        d_hidden = d_outputs @ readout["kernel"].T
    d_weights, d_cell, d_inputs = backward(weights["cell"], tape, d_hidden, d_cell, boundary)
    return Result(
        outputs,
        (cell, top) if stacked else cell,
        {"cell": d_weights, "readout": d_readout},
        (d_cell, d_top) if stacked else d_cell,
        d_inputs,
    )

"""An LSTM in NumPy, one step at a time; quick compilation, and distances."""

from functools import partial

import jax
import numpy as np

# Most of these tests' time is the compiler's; without LLVM's optimisation it takes
# little more than half.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def relative_error(ours, reference) -> float:
    """max|a - b| / max|b|; where b is all zeros, a must be too."""
    ours = np.asarray(ours, np.float64)
    reference = np.asarray(reference, np.float64)
    assert ours.shape == reference.shape
    distance = np.abs(ours - reference).max()
    size = np.abs(reference).max()
    if size == 0:
        return 0.0 if distance == 0 else np.inf
    return float(distance / size)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def keras_lstm(x, kernel, recurrent_kernel, bias):
    """keras.layers.LSTM(return_sequences=True), from its documentation: x (B, T, F) ->
    (B, T, U)."""
    h = c = np.zeros((len(x), len(recurrent_kernel)))
    outputs = []
    for x_t in np.swapaxes(x, 0, 1):
        i, f, candidate, o = np.split(x_t @ kernel + h @ recurrent_kernel + bias, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1)


def keras_outputs(arrays, inputs):
    """Inputs (B, T, F) -> outputs (B, T, O) of Keras's LSTM and Dense with weights in
    the layout `keras`."""
    *weights, dense, dense_bias = arrays.values()
    return keras_lstm(inputs, *weights) @ dense + dense_bias

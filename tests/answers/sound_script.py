"""An LSTM of Keras learns to say which of some symbols it saw 1 to 20 steps before."""

import keras
import numpy as np

SYMBOLS = 2
UNITS = 4
STEPS = 2000
SEED = 0


def draw_sequences(rng):
    """Draw inputs (64, 22, symbols + 5), zeros before they begin, and symbols (64,)."""
    lag = rng.integers(1, 20 + 1)
    before = rng.integers(0, 20 - lag + 1)
    inputs = rng.integers(SYMBOLS, SYMBOLS + 4, (64, 22))
    symbols = rng.integers(0, SYMBOLS, 64)
    inputs[:, -2 - lag] = symbols
    inputs[:, -1] = SYMBOLS + 4
    vectors = np.eye(SYMBOLS + 5)[inputs]
    vectors[:, : -2 - lag - before] = 0
    return vectors, symbols


def build():
    inputs = keras.Input((None, SYMBOLS + 5))
    lstm = keras.layers.LSTM(UNITS, return_sequences=True)
    dense = keras.layers.Dense(SYMBOLS)
    hidden = lstm(inputs)
    outputs = dense(hidden[:, -1])
    lstm.cell.bias.assign(np.repeat([-4.0, 4.0, 0, 0], UNITS))
    optimizer = keras.optimizers.Adam(0.03, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net = keras.Model(inputs, outputs)
    net.compile(optimizer, loss)
    return net


keras.utils.set_random_seed(SEED)
rng = np.random.default_rng(SEED)
net = build()
start = build()
start.set_weights(net.get_weights())
for _ in range(STEPS):
    net.train_on_batch(*draw_sequences(rng))

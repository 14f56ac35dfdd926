"""Load a network that memcap exported into Keras, and print what it predicts.

memcap export ... --layout keras makes weights.npz; then: KERAS_BACKEND=jax python
examples/load_in_keras.py weights.npz
"""

import sys

import keras
import numpy as np


def load(path: str) -> keras.Model:
    """Make the network of layers: inputs (B, T, F), numbers or one-hot symbols ->
    outputs (B, T, O) at every step."""
    arrays = np.load(path)
    lstms = [
        name.split("/")[0] for name in arrays if name.endswith("/recurrent_kernel")
    ]
    layers = [keras.Input((None, arrays["lstm/kernel"].shape[0]))]
    layers += [
        keras.layers.LSTM(
            len(arrays[f"{name}/recurrent_kernel"]), return_sequences=True
        )
        for name in lstms
    ]
    if "dense/bias" in arrays:
        layers.append(keras.layers.Dense(len(arrays["dense/bias"])))
    net = keras.Sequential(layers)
    net.set_weights(list(arrays.values()))  # by order, which is that of the file
    return net


if __name__ == "__main__":
    net = load(sys.argv[1])
    features = net.input_shape[-1]
    symbols = np.random.default_rng(0).integers(features, size=30)
    outputs = net.predict(np.eye(features)[None, symbols], verbose=0)[0]
    print("inputs ", *symbols)
    print("classes", *outputs.argmax(-1))

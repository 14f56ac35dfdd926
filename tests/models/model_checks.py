"""Small networks of the tests of models, and random weights for them."""

import jax
import numpy as np

from memcap.models.architecture import Architecture
from memcap.models.model import Model

T = 8
B = 3
F = 4
U = 5
OUT = 2


def architecture(cell="lstm", readout="dense", layers=1, **knobs):
    knobs = {"units": U} | knobs
    model = Model(cell, readout=readout, layers=layers, **knobs)
    return Architecture(model, F, OUT)


def random_like(tree, seed=0):
    """Numbers so small that no recurrence makes rounding grow from step to step."""
    rng = np.random.default_rng(seed)

    def drawn(leaf):
        numbers = 0.4 * rng.standard_normal(leaf.shape)
        if np.issubdtype(leaf.dtype, np.complexfloating):
            numbers = numbers + 0.4j * rng.standard_normal(leaf.shape)
        return numbers.astype(leaf.dtype)

    return jax.tree.map(drawn, tree)


def random_weights(net, seed=0):
    return random_like(net.abstract_weights(), seed)


def reals(seed=2):
    return np.random.default_rng(seed).standard_normal((T, B, F)).astype(np.float32)


def symbols(seed=2):
    return np.random.default_rng(seed).integers(0, F, (T, B), np.int32)

"""Helpers of the benchmarks' tests: small shapes and random batches, contestants in
this process, and a target for workers."""

import pkgutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import CONTESTANTS, Contestant
from benchmarks.peers.base import Batches, Peer, Shape, Weights
from benchmarks.worker import Seconds

LAST = Shape(units=3, features=5, outputs=2, steps=6, batch=4, every=False)
EVERY = Shape(units=3, features=2, outputs=2, steps=6, batch=4, every=True)


def build(
    name: str,
    shape: Shape,
    *,
    clip: float = 1.0,
    of: Mapping[str, Contestant] = CONTESTANTS,
) -> Peer:
    """A contestant in this process; the test is skipped where its library is not installed."""
    for package in of[name].packages:
        if package == "keras":
            pytest.MonkeyPatch().setenv(
                "KERAS_BACKEND", "jax"
            )  # read at its first import
        pytest.importorskip(package)
    if of[name].missing:
        pytest.skip(f"{name} needs {of[name].missing}")
    return pkgutil.resolve_name(of[name].target)(shape, 0.01, clip, 0)


def batches(shape: Shape, count: int, seed: int = 0) -> Batches:
    """Random symbols, answers and, where every step may be answered, a mask without a pattern."""
    rng = np.random.default_rng(seed)
    sizes = (count, shape.steps, shape.batch)
    inputs = rng.integers(shape.features, size=sizes, dtype=np.int32)
    answers = sizes if shape.every else (count, shape.batch)
    targets = rng.integers(shape.outputs, size=answers, dtype=np.int32)
    return Batches(inputs, targets, rng.random(sizes) < 0.6 if shape.every else None)


def weights(shape: Shape, seed: int = 1) -> Weights:
    """Random weights, float32, no two alike."""
    rng = np.random.default_rng(seed)

    def draw(*sizes: int) -> np.ndarray:
        return rng.normal(0, 0.5, sizes).astype(np.float32)

    gates = 4 * shape.units
    cell = {"kernel": draw(shape.features, gates)}
    cell |= {"recurrent": draw(shape.units, gates), "bias": draw(gates)}
    readout = {"kernel": draw(shape.units, shape.outputs), "bias": draw(shape.outputs)}
    return {"cell": cell, "readout": readout}


class Local:
    """A contestant of this process, called as a worker is."""

    def __init__(self, peer: Peer):
        self.peer = peer

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self.peer, method)(*arguments)

    def timed(self, method: str, *arguments: Any) -> Seconds:
        self.call(method, *arguments)
        return Seconds(1.0, 1.0)

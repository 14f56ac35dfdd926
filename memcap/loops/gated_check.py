"""The test of a gated cell in C, on this machine, against memcap/loops/plain.py."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells import Cell
from memcap.loops import plain
from memcap.loops.base import Loop, Pass, Readout
from memcap.loops.score import Targets

QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0}  # for compiling the test
TOLERANCE = 1e-4  # relative; a larger difference is no rounding


class Case(NamedTuple):
    """A size to test; inputs are vectors, or symbols."""

    steps: int
    batch: int
    features: int
    units: int
    outputs: int
    vectors: bool


CASES = (Case(7, 33, 3, 11, 5, vectors=True), Case(4, 5, 17, 33, 2, vectors=False))


def all_right(loop: Loop, kind: Any) -> bool:
    """Return whether a loop agrees with the plain loop at all sizes."""
    with jax.enable_x64(False):
        return all(is_right(loop, kind, size) for size in CASES)


def is_right(loop: Loop, kind: Any, size: Case) -> bool:
    rng = np.random.default_rng(0)

    def draw(leaf: Any) -> np.ndarray:
        return (0.5 * rng.standard_normal(leaf.shape)).astype(np.float32)

    def make() -> tuple[Cell, Any]:
        cell = kind(size.features, size.units, rngs=nnx.Rngs(0))
        return cell, cell.initialize_carry((size.batch, size.features), nnx.Rngs(0))

    (graph, weights), carry = jax.eval_shape(lambda: (nnx.split(make()[0]), make()[1]))
    readout = Readout(np.empty((size.units, size.outputs)), np.empty(size.outputs))
    shape = size.steps, size.batch
    vectors = np.empty((*shape, size.features * size.vectors))
    values = jax.tree.map(draw, (weights, carry, readout, vectors))
    symbols = rng.integers(size.features, size=shape, dtype=np.int32)
    classes = rng.integers(size.outputs, size=shape, dtype=np.int32)
    counts = np.arange(size.steps)[:, None] < size.steps - 1
    targets = Targets(classes, counts & (rng.random(shape) < 0.5), "classes")

    def results(loop: Loop, arrays: Any) -> Any:
        weights, carry, readout, vectors = arrays
        inputs = vectors if size.vectors else symbols
        over = Pass(inputs, jnp.int32(size.steps - 1), readout=readout)
        cell = nnx.merge(graph, weights)
        last, outputs = loop(cell, carry, over)
        sums = loop.score(cell, carry, over, targets)
        # each number counts by a weight of its own
        leaves = [leaf.ravel() for leaf in jax.tree.leaves((last, outputs))]
        values = jnp.concatenate(leaves)
        weights = np.sin(np.arange(values.size), dtype=np.float32)
        return weights @ values + sums.loss, (values, sums)

    def both(arrays: Any) -> Any:
        gradient = jax.grad(results, argnums=1, has_aux=True)
        return [gradient(by, arrays) for by in (loop, plain.LOOP)]

    compiled = jax.jit(both).lower(values).compile(QUICK)
    pairs = zip(*map(jax.tree.leaves, compiled(values)), strict=True)
    return all(_are_equal(*map(np.asarray, pair)) for pair in pairs)


def _are_equal(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.all(np.abs(a - b) <= TOLERANCE * (1 + np.max(np.abs(b), initial=0))))

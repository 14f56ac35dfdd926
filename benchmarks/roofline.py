"""The least time that a training step can take on this core: its multiply-adds at the
core's peak, its tanh at XLA's rate."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.base import Shape


@dataclass(frozen=True)
class Ceilings:
    """The rates that a core reaches at best."""

    peak: float  # float32 operations a second in a large matrix product, a multiply-add being two
    peak_of: str  # the library that reached it
    tanh: float  # seconds an element, in XLA with memcap's flags, out of the second-level cache


def products(shape: Shape) -> int:
    """Count the operations of a step's products, a multiply-add being two.

    Recurrent products are 2 * 4 H^2 operations a step and sequence, three times:
    forward, and two in the backward pass. Symbols cost nothing: their product is a
    look-up. Where every step is answered the read-out's three products are added.
    """
    rows = shape.steps * shape.batch
    return 24 * rows * shape.units**2 + (
        6 * rows * shape.units * shape.outputs if shape.every else 0
    )


def moved(shape: Shape, parameters: int) -> int:
    """Return the bytes that a training step moves to and from memory, float32.

    What the backward pass needs of the forward pass, 6 numbers per unit, sequence and
    time step (four gates, c and h), and the logits and their gradient: both written
    once and read once. The symbols, targets and mask: written once, read twice.
    Weights, gradient and Adam's two moments: read and written once.
    """
    rows = shape.steps * shape.batch
    return 4 * (
        12 * shape.units * rows + 4 * shape.outputs * rows + 9 * rows + 8 * parameters
    )


def floor(shape: Shape, ceilings: Ceilings) -> float:
    """Return a step's seconds at the ceilings: its products, and five tanh per element
    of the gates, forward.

    A sigmoid is a tanh. Left out, as in any floor: the other elementwise work, the
    softmax, and Adam.
    """
    return (
        products(shape) / ceilings.peak
        + 5 * shape.steps * shape.batch * shape.units * ceilings.tanh
    )


class Roofline:
    """Measures the ceilings; built in a worker process, so that it runs on the
    contestants' core under the same rules."""

    def measure(self, seconds: float) -> Ceilings:
        """Measure each rate, as the best of repeats that take about `seconds` together."""
        from memcap.runtime import jax_setup

        jax_setup.setup()
        import jax
        import jax.numpy as jnp
        import numpy as np
        from jax import lax

        rng = np.random.default_rng(0)

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, np.float32)

        size = 1024
        left = normal(size, size)
        right = normal(size, size)
        product: Any = jax.jit(jnp.matmul)
        on_device = jnp.asarray(left), jnp.asarray(right)
        peaks = {
            "NumPy": 2 * size**3 / best(lambda: left @ right, seconds),
            "XLA": 2
            * size**3
            / best(lambda: product(*on_device).block_until_ready(), seconds),
        }
        peak_of = max(peaks, key=lambda name: peaks[name])

        loops = 300
        elements = jnp.asarray(normal(1 << 15))  # 128 KiB in, 128 KiB out
        # Out of place, from an input that each pass shifts: written over its own input
        # it would not be vectorised.
        tanh: Any = jax.jit(
            lambda x: lax.fori_loop(0, loops, lambda k, _: jnp.tanh(x + 1e-6 * k), x)
        )
        tanh_seconds = best(lambda: tanh(elements).block_until_ready(), seconds) / (
            loops * elements.size
        )

        return Ceilings(peaks[peak_of], peak_of, tanh_seconds)


def best(work: Callable[[], object], seconds: float) -> float:
    """Return the shortest of the repeats that fit in `seconds`, after one that compiles."""
    work()
    best = float("inf")
    end = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        work()
        now = time.perf_counter()
        best = min(best, now - start)
        if now >= end:
            return best

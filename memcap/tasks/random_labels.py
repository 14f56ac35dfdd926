"""Random labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@cache
def _pairs(items: int, numbers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors (N, numbers) and their labels (N,): always the same."""
    rng = np.random.default_rng([items, numbers])
    vectors = rng.standard_normal((items, numbers), np.float32)
    return vectors, rng.integers(0, 2, items)


@dataclass(frozen=True)
class RandomLabels(SpanTask):
    """One of N vectors is shown at the first step, then zeros; its label, a coin that was
    tossed once, is due at the last step.

    Example (two numbers): (0.3, -1.2) (0, 0) (0, 0) | lag 2 -> 1.

    Nets are judged on what they trained on: this asks what the weights hold, N bits;
    the state has to hold one.

    Source: Collins, Sohl-Dickstein & Sussillo (2017), sec. 2.1: "per-parameter capacity
    to store task information"."""

    items: int = knob(256, "N vectors with a label", at_least=2, at_most=65536)
    numbers: int = knob(8, "numbers of a vector", at_least=1, at_most=1024)
    name = "random_labels"
    filler = "zeros"
    vocabulary = None
    outputs = 2

    @property
    def features(self) -> int:
        return self.numbers

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        which = integers(key, (batch,), 0, self.items)
        return self.enumerated(which, lag, length, steps)

    def sequences_in_all(self, lag: int, length: int) -> int:
        return self.items

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        import jax.numpy as jnp

        vectors, labels = _pairs(self.items, self.numbers)
        is_first = jnp.arange(steps)[:, None, None] == length - 1 - lag
        shown = jnp.where(is_first, jnp.asarray(vectors)[numbers], 0.0)
        return Batch(shown, jnp.asarray(labels)[numbers])

    def facts(self, lag: int, length: int) -> Facts:
        """Hold a bit. Chance is the label that more vectors have."""
        labels = _pairs(self.items, self.numbers)[1]
        ones = float(labels.mean())
        return Facts(held=1, bits=1.0, chance=max(ones, 1 - ones))

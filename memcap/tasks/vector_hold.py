"""Vector hold."""

import math
from dataclasses import dataclass

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask


@dataclass(frozen=True)
class VectorHold(SpanTask):
    """N numbers from N(0, 1) are shown at the first step, then zeros for `lag` steps;
    all N are due at the last step.

    Example (N = 2): (0.3, -1.2) (0, 0) (0, 0) | lag 2 -> (0.3, -1.2).

    A read-out that is linear in U hidden numbers answers in a U-dimensional subspace,
    so its mean squared error is at least 1 - U / N, whatever the cell and the lag.

    Source: Collins, Sohl-Dickstein & Sussillo (2017), sec. 2.2: "per-unit capacity to
    remember the input".
    """

    name = "vector_hold"
    filler = "zeros"
    loss = "values"
    vocabulary = None
    numbers: int = knob(16, "N numbers of the vector", at_least=1, at_most=1024)

    @property
    def features(self) -> int:
        return self.numbers

    @property
    def outputs(self) -> int:
        return self.numbers

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        vector = jax.random.normal(key, (batch, self.numbers))
        is_first = jnp.arange(steps)[:, None, None] == length - 1 - lag
        return Batch(
            jnp.where(is_first, vector, 0.0),
            vector.T if self.several_values else vector[:, 0],
        )

    def facts(self, lag: int, length: int) -> Facts:
        """Hold N reals of variance 1; solved at a mean squared error of 0.02."""
        error = 0.02
        bits = self.numbers * 0.5 * math.log2(1 / error)
        return Facts(
            self.numbers,
            bits,
            chance=1.0,
            threshold=error,
            independent=True,
            variances=(1.0,) * self.numbers,
        )

"""Band-limited delay."""

import math
from dataclasses import dataclass

import numpy as np

from memcap.knobs import knob
from memcap.tasks.base import (
    Batch,
    Facts,
    Operand,
    RandomKey,
    StreamTask,
    answer_mask,
    integers,
)

DELAYS = 5
TURN = (
    2**32
)  # a phase is a uint32, so that it adds up without rounding in sequences of any length
FEWEST_TERMS = (
    4096  # in a batch, as on a CPU XLA adds up fewer cosines in another order
)


@dataclass(frozen=True)
class BandlimitedDelay(StreamTask):
    """White noise below a cut-off frequency; its values 0, 1/4, 1/2, 3/4 and all of
    `lag` steps before are due.

    Example: 0.1 0.7 0.9 0.4 -0.3 | lag 4 -> . . . . (-0.3 0.4 0.9 0.7 0.1) (a dot: no answer).

    The cut-off is at c cycles per window of `lag` steps: more steps are denser samples
    of the same signal, with about 2 c degrees of freedom (Landau & Pollak, 1962). In
    windows of up to 2 c steps the noise is white.

    A sequence is a sum of K = max(32, 4 c) waves of one amplitude, one in each of K
    equal bands below the cut-off, with uniform phase and frequency (Rice, 1944). So its
    autocorrelation is exactly sinc(2 c s / lag).

    Source: Voelker, Kajic & Eliasmith (2019), after their code
    (experiments/capacity.ipynb). There the signal has a period of 2.5 windows and
    Gaussian amplitudes, each sequence is divided by its greatest absolute value, and in
    training answers count from the first step on."""

    cycles: int = knob(
        10,
        "cycles c that the fastest wave makes in `lag` steps",
        at_least=1,
        at_most=1000,
    )
    rms: float = knob(1.0, "root mean square of the signal", at_least=0.01, at_most=100)
    name = "bandlimited_delay"
    loss = "values"
    vocabulary = None
    features = 1  # the signal
    outputs = DELAYS  # one value per delay

    def length(self, lag: int) -> int:
        """Return 2.5 windows, as in the source."""
        return max(5 * lag // 2, self.shortest(lag))

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        start_key, pace_key = jax.random.split(key)
        waves = max(32, 4 * self.cycles)
        shape = waves, batch
        rows = max(steps, -(-FEWEST_TERMS // (waves * batch)))
        band = jnp.uint32(TURN // 2 // waves * 2 * self.cycles) // jnp.maximum(
            lag, 2 * self.cycles
        ).astype(jnp.uint32)
        lowest = jnp.arange(waves, dtype=jnp.uint32)[:, None] * band
        pace = integers(pace_key, shape, lowest, lowest + band).astype(jnp.uint32)
        phase = (
            jax.random.bits(start_key, shape, jnp.uint32)
            + pace * jnp.arange(rows, dtype=jnp.uint32)[:, None, None]
        )
        turned = phase.astype(jnp.int32).astype(jnp.float32)  # -half to half a turn
        cosines = jnp.cos(turned * (2 * math.pi / TURN))
        # On a CPU, XLA hands the sum to a library, from jaxlib 0.12 on together with
        # the cosine, which has other bits there. The barrier keeps the cosine out of
        # the library, so that a draw has the same bits op by op and compiled, in any
        # buffer.
        cosines = jax.lax.platform_dependent(
            cosines, cpu=jax.lax.optimization_barrier, default=lambda x: x
        )
        x = self.rms * math.sqrt(2 / waves) * cosines.sum(1)[:steps]
        mask = answer_mask(x, lag, length)
        # The roll wraps around from the buffer's end, where nothing is due.
        due = jnp.stack(
            [
                jnp.where(mask, jnp.roll(x, part * lag // (DELAYS - 1), axis=0), 0.0)
                for part in range(DELAYS)
            ]
        )
        return Batch(x[:, :, None], due, mask)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold a number per degree of freedom, min(lag, 2 c), and the current one.

        Chance: the best guess of x(t - s) is r(s) x(t), with r the autocorrelation, and
        leaves 1 - r(s)^2 of the variance."""
        cutoff = min(self.cycles / lag, 0.5)
        delays = np.arange(DELAYS) * lag // (DELAYS - 1)
        correlations = np.sinc(2 * cutoff * (delays[:, None] - delays))
        share = 0.05
        freedom = min(lag, 2 * self.cycles)
        variance = self.rms**2
        return Facts(
            freedom + 1,
            bits=freedom * 0.5 * math.log2(1 / share),
            chance=variance * float(np.mean(1 - correlations[0] ** 2)),
            threshold=share * variance,
            variances=tuple(variance * np.linalg.eigvalsh(correlations)[::-1]),
        )

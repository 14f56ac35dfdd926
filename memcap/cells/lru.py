"""The Linear Recurrent Unit (Orvieto et al., 2023): one complex number per unit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.diagonal import DiagonalCell

if TYPE_CHECKING:
    from jaxtyping import Array, Complex, Float, Inexact

    from memcap.cells.diagonal import Coefficients


class LRU(DiagonalCell):
    """h' = lambda h + gamma B x; the read-out sees Re h and Im h of each unit.

    lambda = exp(-exp(nu) + i exp(theta)) stays inside the unit circle whatever is
    learned. It starts with |lambda|^2 uniform between R_MIN^2 and R_MAX^2 and a phase
    uniform up to PHASE; gamma, learned as its logarithm, starts at sqrt(1 -
    |lambda|^2), so that a unit's variance starts at that of its input. Left out: the
    skip of the input and the multi-layer perceptron.
    """

    name = "LRU"
    hidden_per_unit = 2
    carry_dtype = jnp.complex64
    R_MIN = 0.4
    R_MAX = 0.99
    PHASE = jnp.pi

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        uniform = partial(jax.random.uniform, shape=(hidden_features,))
        low = self.R_MIN**2
        high = self.R_MAX**2
        squared = uniform(rngs.params(), minval=low, maxval=high)
        phase = uniform(rngs.params(), minval=1e-6, maxval=self.PHASE)
        start = nnx.initializers.normal((2 * in_features) ** -0.5)
        parts = start(rngs.params(), (2, in_features, hidden_features))
        self.nu = nnx.Param(jnp.log(-0.5 * jnp.log(squared)))
        self.theta = nnx.Param(jnp.log(phase))
        self.gamma = nnx.Param(0.5 * jnp.log1p(-squared))
        self.kernel = nnx.Param(jax.lax.complex(parts[0], parts[1]))

    def exponent(self) -> Complex[Array, " U"]:
        """Return log lambda."""
        return jax.lax.complex(-jnp.exp(self.nu[...]), jnp.exp(self.theta[...]))

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        decay = jnp.exp(self.exponent())
        return decay, inputs @ (jnp.exp(self.gamma[...]) * self.kernel[...])

    def hidden_of(self, state: Inexact[Array, "*T U"]) -> Float[Array, "*T H"]:
        return jnp.stack([state.real, state.imag], -1).reshape(*state.shape[:-1], -1)

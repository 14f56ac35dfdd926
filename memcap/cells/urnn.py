"""The unitary RNN: a complex state that is only rotated, and then cut off near zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step

if TYPE_CHECKING:
    from jaxtyping import Array, Complex

BIAS = 0.01  # greatest bias at the start
EPSILON = 1e-10  # added to squares before the root, which has no gradient at 0


class URNN(Cell):
    """h' = modReLU(W h + V x), with W = D3 R2 F^-1 D2 P R1 F D1; the read-out sees (Re
    h, Im h) of each unit.

    Each D turns every unit by a learned phase, each R is a reflection at a learned
    complex vector, F is the unitary Fourier transform, and P is a permutation, fixed
    for each width: W is unitary, with 7 numbers per unit. modReLU(z) = max(|z| + b, 0)
    z / |z|.

    Source: Arjovsky, Shah & Bengio (2016), "Unitary evolution recurrent neural
    networks", arXiv 1511.06464, and its authors' code for the initial weights. Left
    out: the learned first state, which is 0 here.
    """

    name = "urnn"
    hidden_per_unit = 2
    carry_dtype = jnp.complex64

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        start = nnx.initializers.glorot_uniform()
        self.phases = nnx.Param(start(rngs.params(), (3, hidden_features)))
        parts = start(rngs.params(), (2, 2 * hidden_features))
        parts = parts.reshape(2, 2, hidden_features)
        self.mirrors = nnx.Param(jax.lax.complex(parts[:, 0], parts[:, 1]))
        parts = [start(rngs.params(), (in_features, hidden_features)) for _ in range(2)]
        self.kernel = nnx.Param(jax.lax.complex(*parts))
        shape = (hidden_features,)
        bias = jax.random.uniform(rngs.params(), shape, minval=-BIAS, maxval=BIAS)
        self.bias = nnx.Param(bias)

    def turned(self, state: Complex[Array, "B U"]) -> Complex[Array, "B U"]:
        first, second, third = jnp.exp(1j * self.phases[...])
        units = self.hidden_features
        order = np.random.default_rng(units).permutation(units)
        state = jnp.fft.fft(first * state, norm="ortho")
        state = second * _reflected(state, self.mirrors[0])[:, order]
        return third * _reflected(jnp.fft.ifft(state, norm="ortho"), self.mirrors[1])

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        state = self.turned(carry) + inputs @ self.kernel[...]
        modulus = jnp.sqrt(state.real**2 + state.imag**2 + EPSILON)
        carry = state * (jax.nn.relu(modulus + self.bias[...]) / modulus)
        hidden = jnp.stack([carry.real, carry.imag], -1)
        return carry, hidden.reshape(*carry.shape[:-1], -1)


def _reflected(
    state: Complex[Array, "B U"], mirror: Complex[Array, " U"]
) -> Complex[Array, "B U"]:
    """Return h - 2 v (v* h) / (v* v) for each row."""
    along = state @ jnp.conj(mirror) / jnp.sum(jnp.abs(mirror) ** 2)
    return state - 2 * along[:, None] * mirror

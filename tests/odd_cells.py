"""Cells from outside the package that differ from an LSTM in all that a cell may
choose: what it carries, and in which dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells import Cell
from memcap.cells.lstm import LSTM


class Leaky(Cell):
    """Nothing but what a cell must have: one float32 number a unit, no gates, no carry
    of its own."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        self.kernel = nnx.Param(
            nnx.initializers.lecun_normal()(
                rngs.params(), (in_features, hidden_features)
            )
        )

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        carry = 0.9 * carry + inputs @ self.kernel[...]
        return carry, carry


class Broken(Leaky):
    """Not a number from the first step on."""

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        carry, outputs = super().__call__(carry, inputs)
        return carry, outputs / 0


class Diagonal(Cell):
    """A linear recurrence of complex64 numbers, one a unit, of which the real part of a
    complex multiple is seen."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        angle = jax.random.uniform(rngs.params(), (hidden_features,), maxval=jnp.pi)
        start = jax.nn.initializers.lecun_normal(dtype=jnp.complex64)
        self.decay = nnx.Param((0.95 * jnp.exp(1j * angle)).astype(jnp.complex64))
        self.kernel = nnx.Param(start(rngs.params(), (in_features, hidden_features)))
        self.outward = nnx.Param(jnp.ones(hidden_features, jnp.complex64))

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        carry = self.decay[...] * carry + inputs @ self.kernel[...]
        return carry, (self.outward[...] * carry).real

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        return jnp.zeros((*input_shape[:-1], self.hidden_features), jnp.complex64)


class Clocked(Cell):
    """bfloat16 parameters; a carry of float32 numbers and an int32 clock a sequence,
    which the units read."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        start = nnx.initializers.lecun_normal()
        self.kernel = nnx.Param(
            start(rngs.params(), (in_features, hidden_features), jnp.bfloat16)
        )
        self.recurrent = nnx.Param(
            start(rngs.params(), (hidden_features, hidden_features), jnp.bfloat16)
        )
        self.tempo = nnx.Param(jnp.ones(hidden_features, jnp.bfloat16))

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        h, clock = carry
        h = jnp.tanh(
            inputs @ self.kernel[...]
            + h @ self.recurrent[...]
            + jnp.cos(clock[:, None] * self.tempo[...])
        )
        return (h.astype(jnp.float32), clock + 1), h.astype(jnp.float32)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        return jnp.zeros(
            (*input_shape[:-1], self.hidden_features), jnp.float32
        ), jnp.zeros(input_shape[:-1], jnp.int32)


class HalfLSTM(LSTM):
    """memcap's LSTM in bfloat16 throughout, its carry included."""

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        super().__init__(
            in_features, hidden_features, rngs=rngs, param_dtype=jnp.bfloat16
        )


ODD_CELLS = tuple(
    f"{__name__}:{kind.__name__}" for kind in (Leaky, Diagonal, Clocked, HalfLSTM)
)


class SquareCarry(Leaky):
    """A carry of as many numbers as units squared."""

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        units = self.hidden_features
        return jnp.zeros((*input_shape[:-1], units, units), jnp.float32)

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        return carry, inputs @ self.kernel[...]


class FixedCarry(Leaky):
    """Four numbers in the carry, whatever the width."""

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        return jnp.zeros((*input_shape[:-1], 4), jnp.float32)

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        return carry, inputs @ self.kernel[...]

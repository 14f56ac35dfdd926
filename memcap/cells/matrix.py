"""Cells whose state is a matrix: what was said of a key is written into it, and a query reads it.

S is (K, U), from 0: K numbers of a key by U of a value. A step writes with a key k (K,) and a value v (U,)
and shows S^T q, divided by its root mean square. k and q have length 1, unless a subclass says otherwise.

What is left out of the published layers: several heads (one here), the convolution over four steps (queries,
keys and values see this input and the one before, as a value often comes a step after its key), SiLU, and
output gates. `units` is U; `keys` is K, 16 unless a subclass says otherwise. The carry is S, and the last
input: K U + F numbers. No width is a padding of another: the root mean square is over U.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell

if TYPE_CHECKING:
    from jaxtyping import Array, Float

LEAST_DECAY, MOST_DECAY = 0.001, 0.1  # where a decay per step starts, drawn evenly in its logarithm
EPSILON = 1e-6  # added to squares before a root is taken, so that nothing divides by 0


class MatrixCell(Cell):
    """Base of the cells with a matrix; a subclass has `write`, and `gate_biases` if it has gates.

    Attributes:
        keys: numbers K of a key.
        unit_keys: whether keys and queries are brought to length 1.
    """

    keys: ClassVar[int] = 16
    unit_keys: ClassVar[bool] = True

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features, self.hidden_features = in_features, hidden_features
        start, seen = nnx.initializers.lecun_normal(), 2 * in_features
        self.query = nnx.Param(start(rngs.params(), (seen, self.keys)))
        self.key = nnx.Param(start(rngs.params(), (seen, self.keys)))
        self.value = nnx.Param(start(rngs.params(), (seen, hidden_features)))
        if biases := self.gate_biases(rngs):
            self.gate = nnx.Param(start(rngs.params(), (seen, len(biases))))
            self.bias = nnx.Param(jnp.asarray(biases, jnp.float32))

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Where each gate's bias starts; none: the cell has no gates."""
        del rngs
        return []

    def write(
        self,
        state: Float[Array, "B K U"],
        key: Float[Array, "B K"],
        value: Float[Array, "B U"],
        gates: list[Float[Array, " B"]],
    ) -> Float[Array, "B K U"]:
        """The state after a key and its value. `gates`: what each gate sees of the inputs, before its
        nonlinearity."""
        raise NotImplementedError

    def initialize_carry(self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None) -> Any:
        """S (*batch, K, U) and the last input (*batch, F), zeros."""
        del rngs, carry_init
        *batch, features = input_shape
        state = jnp.zeros((*batch, self.keys, self.hidden_features), jnp.float32)
        return state, jnp.zeros((*batch, features), jnp.float32)

    def update(self, state: Any, seen: Float[Array, "B F2"]) -> Any:
        """The state after this input and the one before (B, 2 F)."""
        return self.write(
            state, self.key_of(seen, self.key[...]), seen @ self.value[...], self.gates_of(seen)
        )

    def show(self, state: Any, seen: Float[Array, "B F2"]) -> Float[Array, "B U"]:
        """What the state has for the query, divided by its root mean square."""
        return even(look_up(state, self.key_of(seen, self.query[...])))

    def key_of(self, seen: Float[Array, "B F2"], kernel: Float[Array, "F2 K"]) -> Float[Array, "B K"]:
        """A key or a query."""
        return unit(seen @ kernel) if self.unit_keys else seen @ kernel

    def gates_of(self, seen: Float[Array, "B F2"]) -> list[Float[Array, " B"]]:
        """What each gate sees, before its nonlinearity; none if the cell has none."""
        if not hasattr(self, "gate"):
            return []
        return list(jnp.moveaxis(seen @ self.gate[...] + self.bias[...], -1, 0))

    def __call__(self, carry: Any, inputs: Float[Array, "B F"]) -> tuple[Any, Float[Array, "B U"]]:
        """One step: (S, the input before), inputs (B, F) -> carry, hidden."""
        state, before = carry
        seen = jnp.concatenate([inputs, before], axis=-1)
        state = self.update(state, seen)
        return (state, inputs), self.show(state, seen)


def decay_bias(rngs: nnx.Rngs) -> jax.Array:
    """Where the bias of a gate starts whose softplus is a decay: the decay is small."""
    low, high = jnp.log(LEAST_DECAY), jnp.log(MOST_DECAY)
    decay = jnp.exp(jax.random.uniform(rngs.params(), (), minval=low, maxval=high))
    return jnp.log(jnp.expm1(decay))


def unit(vectors: Float[Array, "B K"]) -> Float[Array, "B K"]:
    """Vectors at length 1; 0 stays 0."""
    return vectors * jax.lax.rsqrt(jnp.sum(vectors**2, axis=-1, keepdims=True) + EPSILON)


def even(read: Float[Array, "*T B U"]) -> Float[Array, "*T B U"]:
    """What was read, divided by its root mean square."""
    return read * jax.lax.rsqrt(jnp.mean(read**2, axis=-1, keepdims=True) + EPSILON)


def look_up(state: Float[Array, "B K U"], key: Float[Array, "B K"]) -> Float[Array, "B U"]:
    """S^T k: the value that the state has for a key."""
    return jnp.sum(state * key[..., None], axis=-2)


def added(
    state: Float[Array, "B K U"], key: Float[Array, "B K"], value: Float[Array, "B U"]
) -> Float[Array, "B K U"]:
    """S + k v^T."""
    return state + key[..., None] * value[..., None, :]

"""Cells whose state is a matrix: values are written at keys, and read by queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell, Inputs, Step, draw_param

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    State: TypeAlias = Float[Array, "B K U"]
    Key: TypeAlias = Float[Array, "B K"]
    Value: TypeAlias = Float[Array, "B U"]
    Gate: TypeAlias = Float[Array, "*T B"]
    # an input and those before it, side by side
    Window: TypeAlias = Float[Array, "*T B S"]
else:  # so that a cell can import them
    State = Key = Value = Gate = Window = Any

# range of the initial decay per step, log-uniform
LEAST_DECAY = 0.001
MOST_DECAY = 0.1
EPSILON = 1e-6  # added to squares before the root, so that nothing divides by 0


class MatrixCell(Cell):
    """Base of the cells with a matrix S (K, U); a subclass has `write`, and
    `gate_biases` if it has gates.

    S starts at 0. A step writes with a key k (K,) and a value v (U,); the hidden state
    is S^T q, divided by its root mean square, so widths cannot be padded. k and q have
    length 1, unless a subclass says otherwise. They and v see this input and the
    previous one, as a value often comes a step after its key. The carry is S, as in the
    papers, and the last input: K U + F numbers.

    Left out: several heads, a convolution over four steps, SiLU, and output gates,
    which variants have (memcap/cells/layer_parts.py).
    """

    keys: ClassVar[int] = 16  # size K of a key
    # whether keys and queries are normalised to length 1
    qk_l2_norm: ClassVar[bool] = True
    # number of inputs that a step sees: this one, and the previous ones, which are carried
    window: ClassVar[int] = 2
    # number of these inputs from which kernels make queries, keys, values and gates;
    # with a convolution 1
    kernel_inputs: ClassVar[int] = 2
    # choices of the published layer, for its variants (memcap/cells/layer_parts.py)
    conv_bias: ClassVar[bool] = False
    norm_before_gate: ClassVar[bool] = True
    sigmoid_gate: ClassVar[bool] = False  # in place of SiLU
    # least factor of the decay at the start; 0 has no logarithm
    least_rate: ClassVar[float] = 1e-4

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        self.in_features = in_features
        self.hidden_features = hidden_features
        features = self.kernel_inputs * in_features
        self.query = draw_param(rngs, features, self.keys)
        self.key = draw_param(rngs, features, self.keys)
        self.value = draw_param(rngs, features, hidden_features)
        if biases := self.gate_biases(rngs):
            self.gate = draw_param(rngs, features, len(biases))
            self.bias = nnx.Param(jnp.asarray(biases, jnp.float32))

    def gate_biases(self, rngs: nnx.Rngs) -> list[Any]:
        """Return the initial bias of each gate."""
        return []

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        """Return the state after a write; `gates` are before their nonlinearities."""
        raise NotImplementedError

    def log_decay(self, gates: list[Gate]) -> Gate | Float[Array, "*T B K"] | None:
        """Return the log decay of the state, one number or K; None: it does not decay,
        or not by a gate alone."""

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        """Return zeros: S (*batch, K, U), and last inputs (*batch, (window - 1) F)."""
        *batch, features = input_shape
        state = jnp.zeros((*batch, self.keys, self.hidden_features), jnp.float32)
        return state, jnp.zeros((*batch, (self.window - 1) * features), jnp.float32)

    def update(self, state: Any, shifted: Window) -> Any:
        """Return the state after an input, given with the previous one, (B, 2 F)."""
        key = self.key_of(shifted)
        value = self.project(shifted, "value")
        return self.write(state, key, value, self.gates_of(shifted))

    def show(self, state: Any, shifted: Window) -> Value:
        return self.normalize(self.read(state, shifted))

    def normalize(self, read: Value) -> Value:
        return rms_norm(read)

    def read(self, state: Any, shifted: Window) -> Value:
        return retrieve(state, self.key_of(shifted, "query"))

    def key_of(self, shifted: Window, name: str = "key") -> Key:
        return self.at_length(self.project(shifted, name))

    def at_length(self, key: Key) -> Key:
        return l2_normalize(key) if self.qk_l2_norm else key

    def project(self, shifted: Window, name: str) -> Float[Array, "*T B N"]:
        """Return a query, key or value before normalisation."""
        return self.activate(shifted @ self.kernel_of(name))

    def kernel_of(self, name: str) -> Float[Array, "*W F2 N"]:
        """Return the kernel of queries, keys or values, for each write."""
        return getattr(self, name)[...]

    def activate(self, projected: Float[Array, "*T B N"]) -> Float[Array, "*T B N"]:
        """Return queries, keys or values, given products of inputs and kernel."""
        return projected

    def gates_of(self, shifted: Window) -> list[Gate]:
        """Return the gates before their nonlinearities."""
        if not hasattr(self, "gate"):
            return []
        return list(jnp.moveaxis(shifted @ self.gate[...] + self.bias[...], -1, 0))

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        state, before = carry
        shifted = token_shift(inputs, before)
        state = self.update(state, shifted)
        last = inputs if self.window == 2 else shifted[..., : -self.in_features]
        return (state, last), self.show(state, shifted)


def token_shift(
    inputs: Float[Array, "*T B F"], before: Float[Array, "*T B F1"]
) -> Window:
    """Join each input and the previous ones, the latest first."""
    return jnp.concatenate([inputs, before], axis=-1)


def decay_bias(rngs: nnx.Rngs) -> jax.Array:
    """Draw the bias of a gate whose softplus is a decay that starts small."""
    low = jnp.log(LEAST_DECAY)
    high = jnp.log(MOST_DECAY)
    decay = jnp.exp(jax.random.uniform(rngs.params(), (), minval=low, maxval=high))
    return jnp.log(jnp.expm1(decay))


def l2_normalize(vectors: Float[Array, "B K"]) -> Float[Array, "B K"]:
    """Normalise to length 1; 0 stays 0."""
    square = jnp.sum(vectors**2, axis=-1, keepdims=True)
    return vectors * jax.lax.rsqrt(square + EPSILON)


def rms_norm(vectors: Float[Array, "*T B U"]) -> Float[Array, "*T B U"]:
    square = jnp.mean(vectors**2, axis=-1, keepdims=True)
    return vectors * jax.lax.rsqrt(square + EPSILON)


def retrieve(state: State, key: Key) -> Value:
    """Return S^T k."""
    return jnp.sum(state * key[..., None], axis=-2)


def decay(state: State, log_decay: Gate | Key | None) -> State:
    """Multiply the state by exp(log_decay), one number or K; None: it stays."""
    if log_decay is None:
        return state
    factor = jnp.exp(log_decay)
    axes = (-1,) if factor.ndim > 1 else (-1, -2)
    return jnp.expand_dims(factor, axes) * state


def add_outer(state: State, key: Key, value: Value) -> State:
    """Return S + k v^T."""
    return state + key[..., None] * value[..., None, :]

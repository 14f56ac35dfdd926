"""Plain JAX: DeltaNet and Mamba-2 (memcap/cells/), written by hand under `lax.scan`, and optax."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.peers.base import Weights
from benchmarks.peers.optax_loop import OptaxPeer

# numbers K of a key; added to squares before a root is taken
KEYS = 16
EPSILON = 1e-6


def project(cell: Any, name: str, seen: jax.Array) -> tuple[jax.Array, ...]:
    """Project an input and the one before (B, 2F): query, key (B, K), value (B, U), gate (B, 1)."""
    query, key, value = (seen @ cell[part] for part in ("query", "key", "value"))
    gate = seen @ cell["gate"] + cell["bias"]
    if name == "delta_net":
        query, key = (
            x * lax.rsqrt(jnp.sum(x**2, -1, keepdims=True) + EPSILON)
            for x in (query, key)
        )
        return query, key, value, jax.nn.sigmoid(gate)
    return query, key, value, jax.nn.softplus(gate)


def write(
    cell: Any, name: str, state: jax.Array, key: Any, value: Any, gate: Any
) -> jax.Array:
    """Return the state (B, K, U) after a key and its value."""
    if name == "delta_net":
        value = gate * (value - jnp.einsum("bku,bk->bu", state, key))
    else:
        state = jnp.exp(-jnp.exp(cell["log_rate"]) * gate)[..., None] * state
        value = gate * value
    return state + jnp.einsum("bk,bu->bku", key, value)


def read(state: jax.Array, query: jax.Array) -> jax.Array:
    """Look a value up (B, U), by its root mean square."""
    out = jnp.einsum("bku,bk->bu", state, query)
    return out * lax.rsqrt(jnp.mean(out**2, -1, keepdims=True) + EPSILON)


class Scan(OptaxPeer):
    """Parameters are in memcap's layout."""

    def init(self, key: jax.Array) -> Any:
        """By LeCun; gates at 0, and a rate of 1."""
        start = jax.nn.initializers.lecun_normal()
        seen = 2 * self.shape.features
        units = self.shape.units
        widths = {"query": KEYS, "key": KEYS, "value": units, "gate": 1}
        cell = {
            part: start(jax.random.fold_in(key, k), (seen, n))
            for k, (part, n) in enumerate(widths.items())
        }
        cell["bias"] = jnp.zeros(1)
        if self.shape.cell == "mamba2":
            cell["log_rate"] = jnp.zeros(1)
        kernel = start(
            jax.random.fold_in(key, len(widths)), (units, self.shape.outputs)
        )
        return {
            "cell": cell,
            "readout": {"kernel": kernel, "bias": jnp.zeros(self.shape.outputs)},
        }

    def forward(self, params: Any, inputs: jax.Array) -> jax.Array:
        cell = params["cell"]
        readout = params["readout"]
        name = self.shape.cell
        before = jnp.concatenate([jnp.zeros_like(inputs[:1]), inputs[:-1]])
        seen = jnp.concatenate([inputs, before], -1)

        def step(state, x):
            query, *rest = project(cell, name, x)
            state = write(cell, name, state, *rest)
            return state, read(state, query)

        start = jnp.zeros((self.shape.batch, KEYS, self.shape.units), inputs.dtype)
        _, hidden = lax.scan(step, start, seen)
        return hidden @ readout["kernel"] + readout["bias"]

    def to_params(self, weights: Weights) -> Any:
        return weights

    def to_weights(self, params: Any) -> Weights:
        return params

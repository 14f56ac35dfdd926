"""Equinox: its LSTM cell under `lax.scan`, vmapped over the batch, and optax."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.peers.base import Shape, Weights, listed, named
from benchmarks.peers.optax_loop import OptaxPeer


class Network(eqx.Module):
    """One sequence: inputs (T, F) -> logits (T, O), or those of the last step (O,)."""

    cell: eqx.nn.LSTMCell
    readout: eqx.nn.Linear
    every: bool = eqx.field(static=True)

    def __init__(self, shape: Shape, key: jax.Array):
        cell_key, readout_key = jax.random.split(key)
        self.cell = eqx.nn.LSTMCell(shape.features, shape.units, key=cell_key)
        self.readout = eqx.nn.Linear(shape.units, shape.outputs, key=readout_key)
        self.every = shape.every

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Where only the last step is answered no step's output is stacked."""

        def step(carry, x):
            carry = self.cell(x, carry)
            return carry, carry[0] if self.every else None

        zeros = jnp.zeros(self.cell.hidden_size, inputs.dtype)
        (last, _), hidden = lax.scan(step, (zeros, zeros), inputs)
        return jax.vmap(self.readout)(hidden) if self.every else self.readout(last)


class Equinox(OptaxPeer):
    """The module is its own pytree of parameters."""

    def init(self, key: jax.Array) -> Any:
        return Network(self.shape, key)

    def forward(self, params: Any, inputs: jax.Array) -> jax.Array:
        axis = 1 if self.shape.every else 0
        return jax.vmap(params, in_axes=1, out_axes=axis)(inputs)

    def to_params(self, weights: Weights) -> Any:
        """Kernels are transposed; gates are in the same order."""
        arrays = tuple(array.T for array in listed(weights))
        return eqx.tree_at(_leaves, self.params, arrays)

    def to_weights(self, params: Any) -> Weights:
        return named(leaf.T for leaf in _leaves(params))


def _leaves(network: Network) -> tuple:
    cell = network.cell
    readout = network.readout
    return cell.weight_ih, cell.weight_hh, cell.bias, readout.weight, readout.bias

"""Flax NNX: `nnx.RNN` over its fastest cell, split into a pure function and its state,
and optax."""

from typing import Any

import jax
from flax import nnx

from benchmarks.peers.base import Shape, Weights
from benchmarks.peers.optax_loop import OptaxPeer


class Network(nnx.Module):
    """Inputs (T, B, F) -> logits (T, B, O), or those of the last step (B, O)."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs):
        self.every = shape.every
        cell = nnx.OptimizedLSTMCell(shape.features, shape.units, rngs=rngs)
        self.rnn = nnx.RNN(cell, time_major=True, return_carry=True, rngs=False)
        self.readout = nnx.Linear(shape.units, shape.outputs, rngs=rngs)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Where only the last step is answered the carry has all that is needed: no
        step's output is stacked."""
        (_, last), hidden = self.rnn(inputs, rngs=nnx.Rngs(0))
        return self.readout(hidden if self.every else last)


class NNX(OptaxPeer):
    """`nnx.split` once, `nnx.merge` inside the jitted step: the form without NNX's cost
    at each call."""

    def init(self, key: jax.Array) -> Any:
        self.graph, state, self.rest = nnx.split(
            Network(self.shape, nnx.Rngs(key)), nnx.Param, ...
        )
        return nnx.to_pure_dict(state)

    def forward(self, params: Any, inputs: jax.Array) -> jax.Array:
        return nnx.merge(self.graph, nnx.State(params), self.rest)(inputs)

    def to_params(self, weights: Weights) -> Any:
        """Gates are joined in both."""
        cell = weights["cell"]
        hidden = {"kernel": cell["recurrent"], "bias": cell["bias"]}
        return {
            "rnn": {"cell": {"dense_i": {"kernel": cell["kernel"]}, "dense_h": hidden}},
            "readout": weights["readout"],
        }

    def to_weights(self, params: Any) -> Weights:
        """Gates are joined in both."""
        cell = params["rnn"]["cell"]
        names = {
            "kernel": cell["dense_i"]["kernel"],
            "recurrent": cell["dense_h"]["kernel"],
            "bias": cell["dense_h"]["bias"],
        }
        return {"cell": names, "readout": dict(params["readout"])}

"""Flax linen: `nn.RNN` over its fastest cell, and optax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from benchmarks.peers.base import Shape, Weights
from benchmarks.peers.optax_loop import OptaxPeer

GATES = "ifgo"


class Network(nn.Module):
    """Inputs (T, B, F) -> logits (T, B, O), or those of the last step (B, O)."""

    shape: Shape

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Where only the last step is answered the carry has all that is needed: no
        step's output is stacked."""
        cell = nn.OptimizedLSTMCell(self.shape.units, name="cell")
        (_, last), hidden = nn.RNN(cell, time_major=True, return_carry=True)(inputs)
        return nn.Dense(self.shape.outputs, name="readout")(
            hidden if self.shape.every else last
        )


class Linen(OptaxPeer):
    """The parameters of linen's cell are a kernel a gate, which it joins before it runs."""

    def init(self, key: jax.Array) -> Any:
        self.network = Network(self.shape)
        return self.network.init(key, jnp.zeros((1, 1, self.shape.features)))["params"]

    def forward(self, params: Any, inputs: jax.Array) -> jax.Array:
        return self.network.apply({"params": params}, inputs)

    def to_params(self, weights: Weights) -> Any:
        kernel, recurrent, bias = (
            np.split(weights["cell"][name], 4, -1)
            for name in ("kernel", "recurrent", "bias")
        )
        cell = {f"i{gate}": {"kernel": kernel[k]} for k, gate in enumerate(GATES)}
        cell |= {
            f"h{gate}": {"kernel": recurrent[k], "bias": bias[k]}
            for k, gate in enumerate(GATES)
        }
        return {"cell": cell, "readout": weights["readout"]}

    def to_weights(self, params: Any) -> Weights:
        cell = params["cell"]
        names = {
            "kernel": _joined(cell, "i", "kernel"),
            "recurrent": _joined(cell, "h", "kernel"),
            "bias": _joined(cell, "h", "bias"),
        }
        return {"cell": names, "readout": dict(params["readout"])}


def _joined(cell: Any, part: str, name: str) -> np.ndarray:
    return np.concatenate([cell[part + gate][name] for gate in GATES], -1)

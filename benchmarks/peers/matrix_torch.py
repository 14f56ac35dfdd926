"""PyTorch: DeltaNet and Mamba-2 (memcap/cells/), eager: what inputs decide for all
steps at once, then a loop over the steps; fused Adam."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from benchmarks.peers.base import Shape, Weights
from benchmarks.peers.torch import Torch

# numbers K of a key; added to squares before a root is taken
KEYS = 16
EPSILON = 1e-6


class MatrixTorch(Torch):
    """Parameters are in memcap's layout."""

    def __init__(self, shape: Shape, lr: float, clip: float, seed: int):
        self.shape = shape
        self.lr = lr
        self.clip = clip
        self.seed = seed
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        seen = 2 * shape.features
        units = shape.units
        sizes: dict[str, tuple[int, ...]] = {"query": (seen, KEYS), "key": (seen, KEYS)}
        sizes |= {"value": (seen, units), "gate": (seen, 1), "bias": (1,)}
        if shape.cell == "mamba2":
            sizes["log_rate"] = (1,)
        readout = {"kernel": (units, shape.outputs), "bias": (shape.outputs,)}
        self.tensors = {
            part: {
                name: nn.Parameter(torch.randn(size) / size[0] ** 0.5)
                for name, size in named.items()
            }
            for part, named in (("cell", sizes), ("readout", readout))
        }
        self._fresh_optimizer()

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [tensor for named in self.tensors.values() for tensor in named.values()]

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """(T, B, O)."""
        cell = self.tensors["cell"]
        readout = self.tensors["readout"]
        seen = torch.cat(
            [inputs, nn.functional.pad(inputs[:-1], (0, 0, 0, 0, 1, 0))], -1
        )
        query, key, value = (seen @ cell[part] for part in ("query", "key", "value"))
        gate = seen @ cell["gate"] + cell["bias"]
        delta = self.shape.cell == "delta_net"
        if delta:
            query, key = (
                x * torch.rsqrt((x**2).sum(-1, keepdim=True) + EPSILON)
                for x in (query, key)
            )
            gate = torch.sigmoid(gate)
        else:
            gate = nn.functional.softplus(gate)
            decay = torch.exp(-torch.exp(cell["log_rate"]) * gate).unsqueeze(-1)
            value = gate * value
        query = query.unsqueeze(-2)
        key = key.unsqueeze(-1)
        value = value.unsqueeze(-2)
        gate = gate.unsqueeze(-1)
        state = inputs.new_zeros(self.shape.batch, KEYS, self.shape.units)
        hidden = []
        for t in range(len(inputs)):
            if delta:
                apart = torch.baddbmm(value[t], key[t].mT, state, alpha=-1)
                state = torch.baddbmm(state, key[t], gate[t] * apart)
            else:
                state = torch.baddbmm(decay[t] * state, key[t], value[t])
            hidden.append(torch.bmm(query[t], state))
        out = torch.stack(hidden).squeeze(-2)
        out = out * torch.rsqrt((out**2).mean(-1, keepdim=True) + EPSILON)
        return out @ readout["kernel"] + readout["bias"]

    def set_weights(self, weights: Weights) -> None:
        self.tensors = {
            part: {
                name: nn.Parameter(torch.from_numpy(np.array(weights[part][name])))
                for name in named
            }
            for part, named in self.tensors.items()
        }
        self._fresh_optimizer()

    def _named(self, tensors: Sequence[torch.Tensor]) -> Weights:
        arrays = iter(tensors)
        return {
            part: {name: next(arrays).detach().numpy().copy() for name in named}
            for part, named in self.tensors.items()
        }

"""PyTorch: `torch.nn.LSTM`, eager, time-major, with fused Adam. By cuDNN on a GPU,
unless JAX is told to stay on the CPU."""

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from benchmarks.peers.base import (
    BETA_1,
    BETA_2,
    EPSILON,
    Batches,
    Peer,
    Shape,
    Weights,
    listed,
    named,
    one_hot,
)

IGNORED = -100  # the class that torch's cross entropy leaves out
DEVICE = (
    "cuda"
    if torch.cuda.is_available() and os.environ.get("JAX_PLATFORMS") != "cpu"
    else "cpu"
)
torch.backends.cudnn.allow_tf32 = (
    False  # cuDNN would round the factors of products, as nobody else does
)


class Torch(Peer):
    """The second of torch's two bias vectors stays at zero, so that the model has
    memcap's parameters and no others."""

    def __init__(self, shape: Shape, lr: float, clip: float, seed: int):
        super().__init__(shape, lr, clip, seed)
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.lstm = lstm = nn.LSTM(shape.features, shape.units, device=DEVICE)
        self.readout = nn.Linear(shape.units, shape.outputs, device=DEVICE)
        lstm.bias_hh_l0.requires_grad_(False).zero_()
        self.parameters = [
            lstm.weight_ih_l0,
            lstm.weight_hh_l0,
            lstm.bias_ih_l0,
            *self.readout.parameters(),
        ]
        self._fresh_optimizer()

    def _fresh_optimizer(self) -> None:
        self.optimizer = torch.optim.Adam(
            self.parameters, self.lr, (BETA_1, BETA_2), EPSILON, fused=True
        )

    def _laid_out(self, batches: Batches) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return a pair per batch: (T, B, F) floats, and (B,) or (T B,) classes."""
        dtype = np.float64 if self.parameters[0].dtype == torch.float64 else np.float32
        inputs = torch.from_numpy(
            one_hot(batches.inputs, self.shape.features, dtype)
        ).to(DEVICE)
        targets = (
            batches.targets
            if batches.mask is None
            else np.where(batches.mask, batches.targets, IGNORED)
        )
        classes = torch.from_numpy(
            targets.reshape(len(targets), -1).astype(np.int64)
        ).to(DEVICE)
        return list(zip(inputs, classes, strict=True))

    def load(self, batches: Batches) -> None:
        self.batches = self._laid_out(batches)

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, O), or (T, B, O)."""
        hidden, (last, _) = self.lstm(inputs)
        return self.readout(hidden if self.shape.every else last[0])

    def _loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = self._logits(inputs).reshape(-1, self.shape.outputs)
        return nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED)

    def run(self, steps: int) -> None:
        """Train by the loop that PyTorch's tutorials write."""
        for k in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            self._loss(*self.batches[k % len(self.batches)]).backward()
            nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
            self.optimizer.step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    def set_weights(self, weights: Weights) -> None:
        """Kernels are transposed; gates are in the same order."""
        arrays = listed(weights)
        dtype = torch.float64 if arrays[0].dtype == np.float64 else torch.float32
        for module in (self.lstm, self.readout):
            module.to(dtype)
        with torch.no_grad():
            for parameter, array in zip(self.parameters, arrays, strict=True):
                parameter.copy_(torch.from_numpy(np.array(array.T)))
        self._fresh_optimizer()

    def weights(self) -> Weights:
        return self._named(self.parameters)

    def loss_and_gradients(self, batch: Batches) -> tuple[float, Weights]:
        loss = self._loss(*self._laid_out(batch)[0])
        return loss.item(), self._named(torch.autograd.grad(loss, self.parameters))

    def _named(self, tensors: Sequence[torch.Tensor]) -> Weights:
        return named(tensor.detach().cpu().numpy().copy().T for tensor in tensors)

"""Measure how wide an nn.LSTM of PyTorch must be to hold one of 8 symbols for 8 steps.

pip install memcap torch; then: python examples/measure_torch.py

It takes about two minutes. memcap's own LSTM by the same recipe: memcap frontier atlas
"""

import itertools
import math

import numpy as np
import torch
from torch import nn

import memcap

LAG = 8
SYMBOLS = 8
STEPS = 1500


class Net(nn.Module):
    """An LSTM with a linear read-out of every step, which starts by holding its state:
    its forget gates are open and its input gates shut, as in memcap's recipe `hold`."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.lstm = nn.LSTM(features, width, batch_first=True)
        self.readout = nn.Linear(width, SYMBOLS)
        bias = math.log(LAG + 1) + 1
        with torch.no_grad():
            for name, block in self.lstm.named_parameters():
                if name == "weight_hh_l0":
                    for gate in block.split(width):
                        nn.init.orthogonal_(gate)
                elif name == "weight_ih_l0":
                    for gate in block.split(width):
                        nn.init.xavier_uniform_(gate)
                else:
                    block.zero_()
            self.lstm.bias_ih_l0[:width] = -bias
            self.lstm.bias_ih_l0[width : 2 * width] = bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (N, T, SYMBOLS) for inputs (N, T, F)."""
        return self.readout(self.lstm(inputs)[0])


def accuracy(net: Net, batch: tuple) -> float:
    """Return the share of right answers."""
    inputs, targets, mask = batch
    with torch.no_grad():
        answers = net(torch.from_numpy(inputs)).argmax(-1).numpy()
    return float(np.mean((answers == targets)[mask]))


def train(width: int, seed: int) -> float:
    """Train one network until it is right; return its accuracy on fresh sequences."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    latch = {"task": "latch", "lag": LAG, "symbols": SYMBOLS, "exactly": True}
    tests = memcap.sequences(**latch, batch=1024, seed=seed + 1000)
    batches = memcap.sequences(**latch, batch=64, seed=seed)
    features = next(tests).inputs.shape[-1]
    net = Net(features, width)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for step, (inputs, targets, mask) in enumerate(itertools.islice(batches, STEPS), 1):
        logits = net(torch.from_numpy(inputs))[mask]
        answers = torch.from_numpy(targets[mask]).long()
        loss = nn.functional.cross_entropy(logits, answers)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 and (score := accuracy(net, next(tests))) >= 0.99:
            break
    return score


if __name__ == "__main__":
    found = memcap.measure(
        train, range(1, 17), name="torch_latch", criterion=0.99, workers=2
    )
    print(found)
    found.plot().savefig("torch_latch.png")

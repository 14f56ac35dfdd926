"""Load a network that memcap exported into PyTorch, and print what it predicts.

memcap export ... --layout torch makes weights.npz; then: python
examples/load_in_torch.py weights.npz
"""

import sys

import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """LSTM and read-out: inputs (B, T, F), numbers or one-hot symbols -> outputs (B, T,
    O) at every step."""

    def __init__(self, path: str):
        super().__init__()
        state = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
        units = state["lstm.weight_hh_l0"].shape[1]
        features = state["lstm.weight_ih_l0"].shape[1]
        layers = sum(name.startswith("lstm.weight_ih_l") for name in state)
        self.lstm = nn.LSTM(features, units, layers, batch_first=True)
        if "readout.weight" in state:
            self.readout = nn.Linear(units, len(state["readout.bias"]))
        else:
            self.readout = nn.LSTM(
                units, state["readout.weight_hh_l0"].shape[1], batch_first=True
            )
        self.load_state_dict(state)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return outputs at every step."""
        outputs = self.readout(self.lstm(inputs)[0])
        return outputs if isinstance(outputs, torch.Tensor) else outputs[0]


if __name__ == "__main__":
    net = Net(sys.argv[1])
    symbols = torch.randint(
        net.lstm.input_size, (1, 30), generator=torch.Generator().manual_seed(0)
    )
    outputs = net(nn.functional.one_hot(symbols, net.lstm.input_size).float())
    print("inputs ", *symbols[0].tolist())
    print("classes", *outputs[0].argmax(-1).tolist())

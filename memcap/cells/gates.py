"""Where a cell keeps its gates, and how their weights are drawn. Drawn on the host, so that it compiles nothing.

A start gives the biases of the gates by their role and the gain of the candidate's recurrent block. At the start an LSTM's cell
keeps by itself sigmoid(forget bias)^lag: 1.6e-7 at lag 50 with Keras's forget bias of 1, and 9e-16 with Flax's 0. Recurrent
blocks add a path of their own, which can be far stronger.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Init:
    """Start of a cell's weights, by role; a cell uses the roles that it has.

    Args:
        input: bias of the gate that writes (LSTM i).
        forget: bias of the gate that keeps (LSTM f, GRU z).
        output: bias of the gate through which the old state reaches the candidate (LSTM o, GRU r).
        gain: the candidate's recurrent block is `gain` times a random orthogonal matrix; the other blocks are orthogonal.
        orthogonal: draw recurrent blocks orthogonal; otherwise Gaussian with variance 1 / U.
        spread: if set, `forget` is drawn per unit as log U(1, spread), and `input` is its negative (chrono).
    """

    input: float = 0.0
    forget: float = 0.0
    output: float = 0.0
    gain: float = 1.0
    orthogonal: bool = True
    spread: float | None = None


@dataclass(frozen=True)
class Gates:
    """Where a cell keeps its gates: roles in the order of its kernels' blocks, and the paths of its parameters.

    Args:
        roles: "input", "forget", "output", or "candidate", one a block.
        kernel: path of the (F, G U) input weights of G gates; recurrent: of the (U, G U) weights; bias: of the (G U,) biases.
    """

    roles: tuple[str, ...]
    kernel: tuple[str, ...]
    recurrent: tuple[str, ...]
    bias: tuple[str, ...]

    def draw(self, rng: np.random.Generator, init: Init, features: int, units: int) -> dict[tuple[str, ...], np.ndarray]:
        """Draw a cell's weights: {path: float64 array}, kernel (F, G U), recurrent (U, G U), bias (G U)."""
        forget = np.full(units, init.forget)
        write = np.full(units, init.input)
        if init.spread is not None:
            forget = np.log(rng.uniform(1, init.spread, units))
            write = -forget
        biases = {"input": write, "forget": forget, "output": np.full(units, init.output), "candidate": np.zeros(units)}

        def recurrent_block(role: str) -> np.ndarray:
            block = orthogonal(rng, units) if init.orthogonal else rng.standard_normal((units, units)) / math.sqrt(units)
            return block * (init.gain if role == "candidate" else 1.0)

        return {
            # One draw over all gates, as in Keras: with a draw a gate the inputs are up to twice as large, which saturates the
            # candidate and keeps a delay line of lag 50 at chance.
            self.kernel: glorot(rng, features, len(self.roles) * units),
            self.recurrent: np.concatenate([recurrent_block(role) for role in self.roles], 1),
            self.bias: np.concatenate([biases[role] for role in self.roles]),
        }

    def _cut(self, arrays: Mapping[tuple[str, ...], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Kernel (F, G, U), recurrent weights (U, G, U) and bias (G, U)."""
        gates = len(self.roles)
        kernel, recurrent, bias = arrays[self.kernel], arrays[self.recurrent], arrays[self.bias]
        units = recurrent.shape[0]
        return kernel.reshape(-1, gates, units), recurrent.reshape(units, gates, units), bias.reshape(gates, units)

    def resized(self, arrays: Mapping[tuple[str, ...], np.ndarray], units: int) -> dict[tuple[str, ...], np.ndarray]:
        """The same cell with so many units: further ones have zero weights, those beyond are left out.

        Args:
            arrays: of all the cell's parameters, by path, as `draw` gives them.
            units: new width.
        """
        blocks = self._cut(arrays)
        more = max(units - blocks[1].shape[0], 0)
        kernel, recurrent, bias = (np.pad(b, [(0, 0)] * (b.ndim - 1) + [(0, more)])[..., :units] for b in blocks)
        recurrent = np.pad(recurrent, [(0, more), (0, 0), (0, 0)])[:units]
        shapes = (kernel.shape[0], -1), (units, -1), (-1,)
        paths = self.kernel, self.recurrent, self.bias
        return {path: b.reshape(shape) for path, b, shape in zip(paths, (kernel, recurrent, bias), shapes, strict=True)}


def glorot(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """(fan_in, fan_out) uniform with variance 2 / (fan_in + fan_out) (Glorot & Bengio, 2010)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out))


def orthogonal(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size) orthogonal matrix, uniform over the group (QR of a Gaussian with the signs of R's diagonal fixed)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))

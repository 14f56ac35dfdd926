"""The places of a cell's gates, and the draw of weights on the host, without compiling.

An untrained LSTM's cell keeps a share sigmoid(forget bias)^lag: 1.6e-7 at lag 50 with a
forget bias of 1 (Keras), 9e-16 with 0 (Flax).
"""

import math
from dataclasses import dataclass, field

import numpy as np

Arrays = dict[tuple[str, ...], np.ndarray]  # parameters by their paths


@dataclass(frozen=True)
class Init:
    """Initialiser of a cell's weights, by role; a cell uses the roles that it has."""

    input: float = 0.0  # bias of the gate that writes (LSTM i)
    forget: float = 0.0  # bias of the gate that keeps (LSTM f, GRU z)
    # bias of the gate through which the old state reaches the candidate (LSTM o, GRU r)
    output: float = 0.0
    # the candidate's recurrent block is `gain` times a random orthogonal matrix; the
    # other blocks are orthogonal
    gain: float = 1.0
    orthogonal: bool = (
        True  # draw recurrent blocks orthogonal; otherwise Gaussian with variance 1 / U
    )
    # if set, `forget` is drawn per unit as log U(1, spread), and `input` is its negative (chrono)
    spread: float | None = None
    # draw the recurrent blocks of G gates as one (U, G U) matrix with orthonormal rows,
    # as in Keras: each is 1 / sqrt(G) as large
    together: bool = field(default=False, metadata={"before": False})


@dataclass(frozen=True)
class Gates:
    """The places of a cell's gates: roles in the order of its kernels' blocks, and
    paths."""

    # "input", "forget", "output" or "candidate", one for each block
    roles: tuple[str, ...]
    # path of the (F, G U) input weights of G gates
    kernel: tuple[str, ...] = ("kernel",)
    # path of the (U, G U) weights; None if gates see only the input
    recurrent: tuple[str, ...] | None = ("recurrent",)
    bias: tuple[str, ...] = ("bias",)  # path of the (G U,) biases

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        if self.recurrent is None:
            return self.kernel, self.bias
        return self.kernel, self.recurrent, self.bias

    def draw(
        self, rng: np.random.Generator, init: Init, features: int, units: int
    ) -> Arrays:
        """Draw {path: float64 array}: kernel (F, G U), recurrent (U, G U) if any, bias
        (G U,)."""
        forget = np.full(units, init.forget)
        write = np.full(units, init.input)
        if init.spread is not None:
            forget = np.log(rng.uniform(1, init.spread, units))
            write = -forget
        biases = {
            "input": write,
            "forget": forget,
            "output": np.full(units, init.output),
            "candidate": np.zeros(units),
        }
        # One draw over all gates, as in Keras: with one draw per gate the inputs are up
        # to twice as large, which saturates the candidate and keeps a delay line of lag
        # 50 at chance.
        arrays = {self.kernel: glorot(rng, features, len(self.roles) * units)}
        if self.recurrent is not None:
            blocks = self._recurrent_blocks(rng, init, units)
            for k, role in enumerate(self.roles):
                if role == "candidate":
                    blocks[k] = init.gain * blocks[k]
            arrays[self.recurrent] = np.concatenate(blocks, 1)
        arrays[self.bias] = np.concatenate([biases[role] for role in self.roles])
        return arrays

    def _recurrent_blocks(
        self, rng: np.random.Generator, init: Init, units: int
    ) -> list[np.ndarray]:
        gates = len(self.roles)
        if init.together:
            return np.split(orthogonal(rng, gates * units)[:units], gates, 1)
        if init.orthogonal:
            return [orthogonal(rng, units) for _ in self.roles]
        shape = (gates, units, units)
        return list(rng.standard_normal(shape) / math.sqrt(units))

    def resized(self, arrays: Arrays, units: int) -> Arrays:
        """Return all parameters, with units of zero weights added, or units cut."""
        gates = len(self.roles)
        result = {}
        for path in self.paths:
            blocks = arrays[path].reshape(*arrays[path].shape[:-1], gates, -1)
            more = max(units - blocks.shape[-1], 0)
            edges = [(0, 0)] * blocks.ndim
            edges[-1] = (0, more)
            if path == self.recurrent:
                edges[0] = (0, more)
                blocks = blocks[:units]
            blocks = np.pad(blocks[..., :units], edges)
            result[path] = blocks.reshape(*blocks.shape[:-2], -1)
        return result


def glorot(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """Draw (fan_in, fan_out) uniformly with variance 2 / (fan_in + fan_out) (Glorot &
    Bengio, 2010)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out))


def orthogonal(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an orthogonal matrix uniformly: QR of a Gaussian, with R's signs fixed."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))

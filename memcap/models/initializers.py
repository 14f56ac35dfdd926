"""Initialisers: what decides whether a small recurrent net trains at a long lag. Drawn on the host, so that they compile nothing.

A preset gives the biases of the gates by their role and the gain of the candidate's recurrent block. At the start an LSTM's
cell keeps by itself sigmoid(forget bias)^lag: 1.6e-7 at lag 50 with Keras's forget bias of 1, and 9e-16 with Flax's 0. Recurrent
blocks add a path of their own, which can be far stronger.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from memcap.knobs import UserError


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


def forget_bias(lag: int, length: int) -> Init:
    """Forget bias 1, the usual start (Jozefowicz et al., 2015); a recipe may set another bias."""
    del lag, length
    return Init(forget=1.0)


def open_gate(lag: int, length: int) -> Init:
    """Forget gate shut, input and output gates open, candidate loop gain sigmoid(2)^2 * 1.5 = 1.16: an echo state at the start.

    What makes a delay line of lag 50 trainable in seconds.
    """
    del lag, length
    return Init(input=2.0, forget=-6.0, output=2.0, gain=1.5)


def open_gate_relaxed(lag: int, length: int) -> Init:
    """Input and output gates open, forget gate half open, gain 1: for delay lines of short lag."""
    del lag, length
    return Init(input=2.0, forget=0.0, output=2.0)


def hold(lag: int, length: int) -> Init:
    """Forget bias log(lag + 1) + 1 and input bias its negative: one unit latches a bit at every lag that was tried."""
    del length
    bias = math.log(lag + 1) + 1
    return Init(input=-bias, forget=bias)


def chrono(lag: int, length: int) -> Init:
    """Forget biases log U(1, T - 1), input biases their negatives (Tallec & Ollivier, 2018), with T the sequence's length."""
    del lag
    return Init(spread=float(max(length - 1, 2)))


PRESETS = {f.__name__: f for f in (forget_bias, open_gate, open_gate_relaxed, hold, chrono)}


def preset(name: str, lag: int, length: int, bias: float | None = None) -> Init:
    """The start that a recipe names; `bias` overrides the forget bias of the preset "forget_bias"."""
    if name not in PRESETS:
        raise UserError(f"recipe.init={name}: no such initialiser; one of {', '.join(PRESETS)}, flax")
    if bias is not None and name != "forget_bias":
        raise UserError(f"recipe.forget_bias={bias}: only recipe.init=forget_bias takes it, not recipe.init={name}")
    init = PRESETS[name](lag, length)
    return init if bias is None else replace(init, forget=bias)


def glorot(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """(fan_in, fan_out) uniform with variance 2 / (fan_in + fan_out) (Glorot & Bengio, 2010)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out))


def orthogonal(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size) orthogonal matrix, uniform over the group (QR of a Gaussian with the signs of R's diagonal fixed)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))


@dataclass(frozen=True)
class Gates:
    """Where a cell keeps its gates: roles in the order of its kernels' blocks, and the names of its parameters."""

    roles: tuple[str, ...]  # "input", "forget", "output", or "candidate"
    kernel: tuple[str, ...]
    recurrent: tuple[str, ...]
    bias: tuple[str, ...]


_DENSE = {"kernel": ("dense_i", "kernel"), "recurrent": ("dense_h", "kernel")}
GATES = {
    "LSTM": Gates(("input", "forget", "candidate", "output"), ("kernel",), ("recurrent",), ("bias",)),
    "OptimizedLSTMCell": Gates(("input", "forget", "candidate", "output"), bias=("dense_h", "bias"), **_DENSE),
    "GRUCell": Gates(("output", "forget", "candidate"), bias=("dense_i", "bias"), **_DENSE),
    "SimpleCell": Gates(("candidate",), bias=("dense_i", "bias"), **_DENSE),
}


def draw_cell(rng: np.random.Generator, gates: Gates, init: Init, features: int, units: int) -> dict[tuple[str, ...], np.ndarray]:
    """Draw a cell's weights: {path: float64 array}, kernel (F, G U), recurrent (U, G U), bias (G U) for its G gates."""
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
        gates.kernel: glorot(rng, features, len(gates.roles) * units),
        gates.recurrent: np.concatenate([recurrent_block(role) for role in gates.roles], 1),
        gates.bias: np.concatenate([biases[role] for role in gates.roles]),
    }

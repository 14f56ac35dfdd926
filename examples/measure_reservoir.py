"""Measure how many units a reservoir needs to recall its input of 20 steps ago.

pip install memcap; then: python examples/measure_reservoir.py

It takes a few seconds. The reservoir is an echo state network of NumPy (Jaeger, 2001): a
random recurrent net that stays as it is, and a linear read-out fitted to it.
"""

import numpy as np

import memcap

LAG = 20
STEPS = 3000
WASHOUT = 200  # steps until the start is forgotten


def states(width: int, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Run a reservoir of spectral radius 0.95; return its states (T, U)."""
    recurrent = rng.standard_normal((width, width))
    recurrent *= 0.95 / max(abs(np.linalg.eigvals(recurrent)))
    weights = 0.1 * rng.uniform(-1, 1, width)
    state = np.zeros(width)
    every = []
    for value in inputs:
        state = np.tanh(recurrent @ state + weights * value)
        every.append(state)
    return np.array(every)


def train(width: int, seed: int) -> float:
    """Fit one read-out; return the squared correlation with the input of LAG steps ago."""
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-1, 1, STEPS)
    reservoir = states(width, inputs, rng)[WASHOUT:]
    target = np.roll(inputs, LAG)[WASHOUT:]
    half = len(target) // 2
    readout, *_ = np.linalg.lstsq(reservoir[:half], target[:half], rcond=None)
    return float(np.corrcoef(reservoir[half:] @ readout, target[half:])[0, 1] ** 2)


if __name__ == "__main__":
    found = memcap.measure(train, range(1, 129), name="reservoir", criterion=0.9)
    print(found)
    found.plot().savefig("reservoir.png")

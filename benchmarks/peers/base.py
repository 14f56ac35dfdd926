"""What a contestant is. NumPy only, so that no contestant's process loads another's library.

Weights and gradients cross every interface in memcap's layout, a nested dict:
readout/kernel (U, O), readout/bias (O,), and of an LSTM cell/kernel (F, 4U),
cell/recurrent (U, 4U), cell/bias (4U,); gates in the order i, f, g, o. The parameters
of a cell with a matrix are in memcap/cells/matrix.py. Axis letters: N batches, T steps,
B sequences a batch, F features, U units, O outputs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

Weights = dict[str, dict[str, np.ndarray]]
# Adam's, for everyone
BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8
# wherever times are taken
LR = 1e-3
CLIP = 1.0
LEAVES = [("cell", name) for name in ("kernel", "recurrent", "bias")]
LEAVES += [("readout", name) for name in ("kernel", "bias")]


@dataclass(frozen=True)
class Shape:
    """A cell of U units and a dense read-out to O logits, on sequences of symbols below F, one-hot.

    `every`: an answer at every step, where the mask says so, or at the last one only.
    """

    units: int
    features: int
    outputs: int
    steps: int
    batch: int
    every: bool
    cell: str = "lstm"


class Batches(NamedTuple):
    """N batches: NumPy arrays between contestants, the library's own within one."""

    inputs: Any  # (N, T, B) int32 symbols
    targets: Any  # int32 classes: (N, B), or (N, T, B) where every step is answered
    # (N, T, B) bool, true where an answer is due; None where only the last step is
    # answered
    mask: Any

    def first(self) -> "Batches":
        """Return the first batch alone, N = 1."""
        return Batches(*(None if array is None else array[:1] for array in self))


def one_hot(
    symbols: np.ndarray, features: int, dtype: np.dtype | type = np.float32
) -> np.ndarray:
    """Symbols (...) as floats (..., F)."""
    return np.eye(features, dtype=dtype)[symbols]


def listed(weights: Weights) -> list[np.ndarray]:
    """List the weights of an LSTM and its read-out, in the order of `LEAVES`."""
    return [weights[part][name] for part, name in LEAVES]


def named(arrays: Iterable[Any]) -> Weights:
    """Name arrays that stand in the order of `LEAVES`."""
    weights: Weights = {"cell": {}, "readout": {}}
    for (part, name), array in zip(LEAVES, arrays, strict=True):
        weights[part][name] = array
    return weights


class Peer(ABC):
    """One library's cell, trained by Adam with the gradient clipped to a global norm,
    on the mean cross entropy of due answers.

    Args:
        shape: what is trained.
        lr: learning rate, constant.
        clip: global norm at which a gradient is clipped.
        seed: of the library's own initialisation.
    """

    stride: ClassVar[int] = 1  # `run` takes multiples of this

    def __init__(self, shape: Shape, lr: float, clip: float, seed: int):
        self.shape = shape
        self.lr = lr
        self.clip = clip
        self.seed = seed

    def get_stride(self) -> int:
        """Return `stride`, for those who call by name."""
        return self.stride

    @abstractmethod
    def load(self, batches: Batches) -> None:
        """Take the training batches, and lay them out as this library likes them best."""

    @abstractmethod
    def run(self, steps: int) -> None:
        """Train on the first `steps` batches, from the first again where there are
        fewer; return when it is done."""

    @abstractmethod
    def set_weights(self, weights: Weights) -> None:
        """Start from these weights, with a fresh optimizer. Their dtype decides the
        precision of what follows."""

    @abstractmethod
    def weights(self) -> Weights:
        """Return the weights as they are now."""

    @abstractmethod
    def loss_and_gradients(self, batch: Batches) -> tuple[float, Weights]:
        """Return the mean loss (nats) of the first batch and its gradient, unclipped.
        Train nothing."""

"""The contestants, one file each, in the best form that their users would normally write."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which


@dataclass(frozen=True)
class Contestant:
    """A row of the tables: "module:class" of a `Peer`, and the packages and commands
    that it needs."""

    title: str
    target: str
    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Packages and commands that are not installed."""
        absent = [name for name in self.packages if find_spec(name) is None]
        return absent + [name for name in self.commands if which(name) is None]


CONTESTANTS = {
    "keras": Contestant(
        "Keras 3 on JAX, fit", "benchmarks.peers.keras:Keras", ("keras", "jax")
    ),
    "keras16": Contestant(
        "the same, steps_per_execution=16",
        "benchmarks.peers.keras:Keras16",
        ("keras", "jax"),
    ),
    "torch": Contestant(
        "torch.nn.LSTM, eager, fused Adam", "benchmarks.peers.torch:Torch", ("torch",)
    ),
    "linen": Contestant(
        "Flax linen RNN(OptimizedLSTMCell), optax",
        "benchmarks.peers.linen:Linen",
        ("flax", "optax"),
    ),
    "nnx": Contestant(
        "Flax NNX RNN(OptimizedLSTMCell), optax",
        "benchmarks.peers.nnx:NNX",
        ("flax", "optax"),
    ),
    "equinox": Contestant(
        "Equinox LSTMCell, lax.scan, optax",
        "benchmarks.peers.equinox:Equinox",
        ("equinox", "optax"),
    ),
    "memcap": Contestant("memcap", "benchmarks.peers.memcap:Memcap", ("memcap",)),
    "native": Contestant(
        "memcap, engine.loop=native",
        "benchmarks.peers.memcap:Native",
        ("memcap",),
        ("cc",),
    ),
}
OURS = ("memcap", "native")
# With cells whose state is a matrix.
MATRIX = {
    "memcap": CONTESTANTS["memcap"],
    "scan": Contestant(
        "plain JAX, lax.scan, optax",
        "benchmarks.peers.matrix_jax:Scan",
        ("jax", "optax"),
    ),
    "torch": Contestant(
        "PyTorch, eager, fused Adam",
        "benchmarks.peers.matrix_torch:MatrixTorch",
        ("torch",),
    ),
}


def installed(names: Iterable[str]) -> list[str]:
    """Those contestants of these that can run here."""
    return [name for name in names if not CONTESTANTS[name].missing]

"""Flax's LSTM with its gates in one product: the same equations as memcap's, and a check on them."""

from typing import ClassVar

from flax import nnx

from memcap.cells.base import Cell
from memcap.cells.gates import Gates


class FlaxLSTM(nnx.OptimizedLSTMCell, Cell):
    """`flax.nnx.OptimizedLSTMCell`, gates in the order i, f, g, o."""

    name: ClassVar[str] = "OptimizedLSTMCell"
    gates = Gates(
        ("input", "forget", "candidate", "output"),
        ("dense_i", "kernel"),
        ("dense_h", "kernel"),
        ("dense_h", "bias"),
    )
    is_lstm = True
    pads = True

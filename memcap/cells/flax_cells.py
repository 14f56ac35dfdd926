"""Cells of Flax whose gates memcap knows; others have their own initialiser only."""

from flax import nnx

from memcap.cells.base import Cell
from memcap.cells.gates import Gates

KERNEL = ("dense_i", "kernel")
RECURRENT = ("dense_h", "kernel")
BIAS = ("dense_i", "bias")


class Elman(nnx.SimpleCell, Cell):
    """`flax.nnx.SimpleCell` (Elman, 1990): h' = tanh(W_x x + W_h h + b)."""

    name = "SimpleCell"
    gates = Gates(("candidate",), KERNEL, RECURRENT, BIAS)
    can_pad = True


class GRU(nnx.GRUCell, Cell):
    """`flax.nnx.GRUCell` (Cho et al., 2014).

    Its z gate keeps the state (role "forget"), its r gate lets the old state reach the
    candidate (role "output").
    """

    name = "GRUCell"
    gates = Gates(("output", "forget", "candidate"), KERNEL, RECURRENT, BIAS)
    can_pad = True


class FlaxLSTM(nnx.OptimizedLSTMCell, Cell):
    """`flax.nnx.OptimizedLSTMCell`: the same equations as `LSTM`, as a check on it."""

    name = "OptimizedLSTMCell"
    gates = Gates(
        ("input", "forget", "candidate", "output"),
        KERNEL,
        RECURRENT,
        ("dense_h", "bias"),
    )
    is_lstm = True
    can_pad = True

"""Flax's Elman network (Elman, 1990): h' = tanh(W_x x + W_h h + b)."""

from typing import ClassVar

from flax import nnx

from memcap.cells.base import Cell
from memcap.cells.gates import Gates


class Elman(nnx.SimpleCell, Cell):
    """`flax.nnx.SimpleCell`: a candidate, and no gates."""

    name: ClassVar[str] = "SimpleCell"
    gates = Gates(("candidate",), ("dense_i", "kernel"), ("dense_h", "kernel"), ("dense_i", "bias"))
    pads = True

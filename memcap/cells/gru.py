"""Flax's gated recurrent unit (Cho et al., 2014): one number a unit in its carry."""

from typing import ClassVar

from flax import nnx

from memcap.cells.base import Cell
from memcap.cells.gates import Gates


class GRU(nnx.GRUCell, Cell):
    """`flax.nnx.GRUCell`. Its z gate keeps (role "forget"), its r gate lets the old state reach the candidate
    (role "output")."""

    name: ClassVar[str] = "GRUCell"
    gates = Gates(
        ("output", "forget", "candidate"), ("dense_i", "kernel"), ("dense_h", "kernel"), ("dense_i", "bias")
    )
    pads = True

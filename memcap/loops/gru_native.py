"""`flax.nnx.GRUCell` in C (gru.c), equal to while_loop.py to rounding."""

import jax
from flax import nnx

from memcap.cells import cell_class
from memcap.loops.base import Request
from memcap.loops.gated_check import all_right
from memcap.loops.gated_native import GatedC, GatedNative

IN_C = GatedC("gru", "a GRU", check=lambda: all_right(LOOP, cell_class("GRUCell")))


class GRUNative(GatedNative):
    """Flax's GRU on CPUs."""

    rank = 1
    in_c = IN_C

    def weights(self, cell: nnx.GRUCell) -> tuple[jax.Array, jax.Array, jax.Array]:
        assert cell.dense_i.bias is not None
        return (
            cell.dense_i.kernel[...],
            cell.dense_h.kernel[...],
            cell.dense_i.bias[...],
        )

    def refuses(self, request: Request) -> str | None:
        """Refuse subclasses, too: they may have chosen another activation."""
        cell = request.cell
        flax = nnx.GRUCell
        if cell.__call__ is flax.__call__ and cell.__init__ is flax.__init__:
            return super().refuses(request)
        return super().refuses(request) or "the cell is not Flax's GRU"


LOOP = GRUNative()

"""`flax.nnx.GRUCell` over time as one call of C (gru.c). Each step equals that of
memcap/loops/while_loop.py to float rounding."""

from typing import Any

import jax
import numpy as np
from flax import nnx
from scipy.special import expit

from memcap.loops.base import Request
from memcap.loops.gated_check import all_right
from memcap.loops.gated_native import GatedC, GatedNative


def _step(of_x: Any, of_h: Any, carry: Any) -> Any:
    (h,) = carry
    x_r, x_z, x_n = np.split(of_x.T, 3)
    h_r, h_z, h_n = np.split(of_h.T, 3)
    r = expit(x_r + h_r)
    z = expit(x_z + h_z)
    return ((1 - z) * np.tanh(x_n + r * h_n) + z * h,)


IN_C = GatedC("gru", "a GRU", blocks=3, states=1, step=_step, check=all_right)


class GRUNative(GatedNative):
    """Flax's GRU on CPUs."""

    rank = 1
    what = "the GRU"
    in_c = IN_C

    def weights(self, cell: nnx.GRUCell) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return kernel, recurrent weights and bias."""
        assert cell.dense_i.bias is not None
        return (
            cell.dense_i.kernel[...],
            cell.dense_h.kernel[...],
            cell.dense_i.bias[...],
        )

    def refuses(self, request: Request) -> str | None:
        """Refuse other cells, as a constructor of their own may have chosen another activation."""
        cell = request.cell
        flax = nnx.GRUCell
        if cell.__call__ is flax.__call__ and cell.__init__ is flax.__init__:
            return super().refuses(request)
        return super().refuses(request) or "the cell is not Flax's GRU"


LOOP = GRUNative()

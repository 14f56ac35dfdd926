"""memcap's LSTM in C (lstm.c), equal to lstm_while.py to rounding."""

import jax

from memcap.cells.lstm import LSTM, has_lstm_step
from memcap.loops import lstm_while
from memcap.loops.base import Request
from memcap.loops.gated_check import all_right
from memcap.loops.gated_native import GatedC, GatedNative

IN_C = GatedC("lstm", "an LSTM", check=lambda: all_right(LOOP, LSTM))


class LSTMNative(GatedNative):
    """memcap's LSTM on CPUs."""

    rank = 2
    in_c = IN_C
    xla = lstm_while.LOOP

    def weights(self, cell: LSTM) -> tuple[jax.Array, jax.Array, jax.Array]:
        return cell.weights

    def refuses(self, request: Request) -> str | None:
        if has_lstm_step(request.cell):
            return super().refuses(request)
        return super().refuses(request) or "the cell is not memcap's LSTM"


LOOP = LSTMNative()

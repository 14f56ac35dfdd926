"""memcap's LSTM over time as one call of C (lstm.c). Each step equals that of
memcap/loops/lstm_while.py to float rounding."""

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
        """Return kernel, recurrent weights and bias."""
        return cell.weights

    def refuses(self, request: Request) -> str | None:
        """Refuse other cells."""
        if has_lstm_step(request.cell):
            return super().refuses(request)
        return super().refuses(request) or "the cell is not memcap's LSTM"


LOOP = LSTMNative()

"""Facts of this folder's cells that reference widths need, so that reading rows needs no Flax.

A test counts each line on the cell's own carry. A cell without a line is counted when needed.
"""

from typing import NamedTuple


class CellFacts(NamedTuple):
    """Facts of a cell that theory needs."""

    # carry numbers that each unit adds: 2 for an LSTM (h and c), 1 for a GRU; a complex
    # number counts as two
    numbers_per_unit: int
    bits_per_unit: int  # bits of carry that each unit adds: 32 for a float32 number
    is_lstm: bool = False  # as `Cell.is_lstm`


ALIASES = {"gru": "GRUCell", "elman": "SimpleCell"}  # names that people type
FACTS = {
    "GRUCell": CellFacts(1, 32),
    "LRU": CellFacts(2, 64),
    "OptimizedLSTMCell": CellFacts(2, 64, is_lstm=True),
    "SimpleCell": CellFacts(1, 32),
    "delta_net": CellFacts(16, 512),
    "delta_product": CellFacts(16, 512),
    "gated_delta_net": CellFacts(16, 512),
    "gla": CellFacts(16, 512),
    "irnn": CellFacts(1, 32),
    "leaky": CellFacts(1, 32),
    "linear": CellFacts(1, 32),
    "linear_attention": CellFacts(16, 512),
    "lstm": CellFacts(2, 64, is_lstm=True),
    "mamba2": CellFacts(16, 512),
    "minGRU": CellFacts(1, 32),
    "minLSTM": CellFacts(1, 32),
    "mlstm": CellFacts(16, 512),
    "selective_LRU": CellFacts(2, 64),
    "signed_delta_net": CellFacts(16, 512),
    "slstm": CellFacts(4, 128),
    "urnn": CellFacts(2, 64),
}

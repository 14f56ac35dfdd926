"""Facts of this folder's cells, so that reading rows needs no Flax.

A test counts each on the cell's own carry; others are counted when needed.
"""

from typing import NamedTuple


class CellFacts(NamedTuple):
    """Facts of a cell that theory needs."""

    # carry numbers that each unit adds: 2 for an LSTM (h and c), 1 for a GRU; a complex
    # number counts as two
    numbers_per_unit: int
    bits_per_unit: int  # bits of carry that each unit adds: 32 for a float32 number
    is_lstm: bool = False  # as `Cell.is_lstm`
    inputs: int = (
        0  # last inputs that it carries beside these, one of a cell with a matrix
    )
    constant: int = 0  # bits of carry beside these that do not grow with the width

    def carry_bytes(self, units: float) -> float:
        """Count the bytes of a carry; a last input is a symbol, of one byte."""
        return (units * self.bits_per_unit + self.constant) / 8 + self.inputs


ALIASES = {"gru": "GRUCell", "elman": "SimpleCell"}  # names that people type
NUMBERS_PER_UNIT = {
    "GRUCell": 1,
    "LRU": 2,
    "OptimizedLSTMCell": 2,
    "RG_LRU": 1,
    "SimpleCell": 1,
    "delta_net": 16,
    "delta_product": 16,
    "gated_delta_net": 16,
    "gated_delta_product": 16,
    "gla": 16,
    "irnn": 1,
    "kda": 16,
    "leaky": 1,
    "linear": 1,
    "linear_attention": 16,
    "lmu": 2,
    "lstm": 2,
    "m2rnn": 16,
    "mamba2": 16,
    "minGRU": 1,
    "minLSTM": 1,
    "mlstm": 16,
    "rwkv7": 16,
    "selective_LRU": 2,
    "signed_delta_net": 16,
    "slstm": 4,
    "urnn": 2,
}
LSTMS = ("lstm", "OptimizedLSTMCell")
KEYS = 16  # numbers of a key of each cell with a matrix, and of no other cell's unit
CONSTANT = {"mlstm": 32 * (KEYS + 1)}  # the sum of its keys, and its stabilizer
FACTS = {
    name: CellFacts(
        numbers,
        32 * numbers,
        name in LSTMS,
        int(numbers == KEYS),
        CONSTANT.get(name, 0),
    )
    for name, numbers in NUMBERS_PER_UNIT.items()
}
# bare cells, and the variant of each that is its published layer (layer_parts.py)
LAYERS = {
    "delta_net": "delta_net+conv4",
    "delta_product": "delta_product+conv4+gate",
    "gated_delta_net": "gated_delta_net+conv4+gate+rate",
    "gated_delta_product": "gated_delta_product+conv4+gate+rate",
    "gla": "gla+gate",
    "kda": "kda+conv4+gate+rate",
    "m2rnn": "m2rnn+conv4+gate+rate+skip",
    "mamba2": "mamba2+conv4+gate+skip",
    "mlstm": "mlstm+conv4+gate+skip",
    "signed_delta_net": "signed_delta_net+conv4",
    "slstm": "slstm+conv4",
}

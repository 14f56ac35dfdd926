"""The network's knobs: cell, width, layers and read-out. Needs no JAX."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memcap import cells
from memcap.knobs import UserError, check, knob, set_words

READOUTS = ("dense", "lstm")
INITIAL_CARRIES = ("fixed", "learned")
MOST_UNITS = 4096
MOST_LAYERS = 8


@dataclass(frozen=True)
class Model:
    """Layers of a cell of some width, and how they are read out.

    The first layer sees the task's inputs, each further layer the hidden states of the
    one below it at the same step, and the read-out those of the last. `units` is the
    width of each layer. `initial_carry` applies to all layers, and to an LSTM read-out.
    """

    cell: str = knob(
        "lstm",
        "a cell of memcap/cells such as lstm or LRU, gru, elman, one of Flax NNX such as"
        " LSTMCell, or MODULE:CLASS; with +bfloat16, +bits4, +noise0.1, +carry, +signed, +conv4,"
        " +gate, +skip, +rate, +key8, +heads2 or +clock16 a variant of it",
    )
    units: int = knob(8, "hidden width U of each layer", at_least=1, at_most=MOST_UNITS)
    readout: str = knob(
        "dense",
        "read-out: a dense layer, or an LSTM of as many units as outputs",
        choices=READOUTS,
    )
    layers: int = knob(
        1,
        "number of layers of cells; each layer sees the hidden states of the one below",
        at_least=1,
        at_most=MOST_LAYERS,
        before=1,
    )
    initial_carry: str = knob(
        "fixed",
        "carry before the first step: fixed, the cell's own, which is zeros; or learned, which"
        " starts from there and is trained like the weights",
        choices=INITIAL_CARRIES,
        before="fixed",
    )

    def __post_init__(self) -> None:
        check(self, "model")
        if not isinstance(self.cell, str):
            raise UserError(
                f"model.cell={self.cell}: must be text, MODULE:CLASS for a cell of your own"
            )
        object.__setattr__(self, "cell", cells.ALIASES.get(self.cell, self.cell))
        cells.check_name(self.cell)

    def at_width(self, units: int) -> Model:
        """Return the net with another number of units."""
        return replace(self, units=units)

    @property
    def words(self) -> list[str]:
        """The knobs that differ from their defaults, except the width."""
        others = set_words(self, without=("cell", "units"))
        return others if self.cell == type(self).cell else [self.cell, *others]

    @property
    def name(self) -> str:
        """The cell, and the other knobs that differ from their defaults, except the width."""
        layers = [f"{self.layers} layers"] * (self.layers != 1)
        carry = ["learned initial carry"] * (self.initial_carry == "learned")
        others = set_words(self, without=("cell", "units", "layers", "initial_carry"))
        return ", ".join([self.cell, *layers, *carry, *others])

    @property
    def hidden(self) -> int:
        """Size H of a layer's hidden state, which the next layer or the read-out sees:
        U, unless a unit of the cell shows several numbers."""
        return self.units * cells.cell_class(self.cell).hidden_per_unit

"""The network: layers of a cell of some width, and how they are read out. Needs no JAX."""

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

    The first layer sees the task's inputs, each further one the hidden states of the one below it at the same
    step, and the read-out those of the last. `units` is the width of each. `initial_carry` is of all of them,
    of an LSTM read-out, too.
    """

    cell: str = knob(
        "lstm",
        "a cell of memcap/cells such as lstm or LRU, gru, elman, one of Flax NNX such as LSTMCell, or"
        " MODULE:CLASS; with +bfloat16, +bits4, +noise0.1, +carry, +signed, +conv4, +gate, +skip or +rate a"
        " variant of it",
    )
    units: int = knob(8, "hidden width U, of each layer", at_least=1, at_most=MOST_UNITS)
    readout: str = knob("dense", "a dense layer, or an LSTM of as many units as outputs", choices=READOUTS)
    layers: int = knob(
        1,
        "cells one on top of another; each further one sees the hidden states of the one below it",
        at_least=1,
        at_most=MOST_LAYERS,
        before=1,
    )
    initial_carry: str = knob(
        "fixed",
        "the carry before the first step: fixed, the cell's own, which is zeros; or learned, begun there and"
        " trained as the weights are",
        choices=INITIAL_CARRIES,
        before="fixed",
    )

    def __post_init__(self) -> None:
        check(self, "model")
        if not isinstance(self.cell, str):
            raise UserError(f"model.cell={self.cell}: must be text, MODULE:CLASS for a cell of your own")
        object.__setattr__(self, "cell", cells.ALIASES.get(self.cell, self.cell))
        cells.check_name(self.cell)

    def at_width(self, units: int) -> Model:
        """Return the same net with another number of units."""
        return replace(self, units=units)

    @property
    def words(self) -> list[str]:
        """The knobs that have not their defaults, but for the width."""
        others = set_words(self, without=("cell", "units"))
        return others if self.cell == type(self).cell else [self.cell, *others]

    @property
    def name(self) -> str:
        """The cell, and what else is not the default, but for the width."""
        layers = [f"{self.layers} layers"] * (self.layers != 1)
        carry = ["learned initial carry"] * (self.initial_carry == "learned")
        others = set_words(self, without=("cell", "units", "layers", "initial_carry"))
        return ", ".join([self.cell, *layers, *carry, *others])

    @property
    def hidden(self) -> int:
        """Numbers H that a layer shows to the next, or to the read-out: U, but for a cell whose units show
        more than one."""
        return self.units * cells.cell_class(self.cell).hidden_per_unit

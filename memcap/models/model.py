"""The network's knobs, and its initialisers by name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from memcap import cells
from memcap.knobs import UserError, check, knob, set_words

READOUTS = ("dense", "lstm")
MOST_UNITS = 4096
MOST_LAYERS = 8
Params = dict[str, Any]  # a net's weights: arrays by name, nested


@dataclass(frozen=True)
class Model:
    """Layers of a cell of some width, and how they are read out.

    The first layer sees the task's inputs, each further one the hidden states of the
    one below at the same step, and the read-out those of the last.
    """

    cell: str = knob(
        "lstm",
        "a cell of memcap/cells such as lstm or LRU, gru, elman, one of Flax NNX such as"
        " LSTMCell, or MODULE:CLASS; with +bfloat16, +bits4, +noise0.1, +carry, +signed, +conv4,"
        " +gate, +skip, +rate, +key8, +heads2 or +clock16 a variant of it",
        acts="layers",
    )
    units: int = knob(
        8, "hidden width U of each layer", at_least=1, at_most=MOST_UNITS, acts="layers"
    )
    readout: str = knob(
        "dense",
        "read-out: a dense layer, or an LSTM of as many units as outputs",
        choices=READOUTS,
        acts="layers",
    )
    layers: int = knob(
        1,
        "number of layers of cells; each layer sees the hidden states of the one below",
        at_least=1,
        at_most=MOST_LAYERS,
        before=1,
        acts="layers",
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
        return replace(self, units=units)

    @property
    def words(self) -> list[str]:
        """The knobs that differ from their defaults, except the width."""
        others = set_words(self, without=("cell", "units"))
        return others if self.cell == type(self).cell else [self.cell, *others]

    @property
    def name(self) -> str:
        layers = [f"{self.layers} layers"] * (self.layers != 1)
        others = set_words(self, without=("cell", "units", "layers"))
        return ", ".join([self.cell, *layers, *others])

    @property
    def hidden(self) -> int:
        """Size H of a layer's hidden state: U, unless a unit shows several numbers."""
        return self.units * cells.cell_class(self.cell).hidden_per_unit


def cell_names(model: Model) -> tuple[str, ...]:
    """Return the layers' names, from the inputs up: cell, cell_2, ...."""
    return "cell", *(f"cell_{layer}" for layer in range(2, model.layers + 1))


def presets(lag: int, length: int) -> dict[str, cells.Init]:
    bias = math.log(lag + 1) + 1
    return {
        # usual (Jozefowicz et al., 2015); a recipe may set another bias
        "forget_bias": cells.Init(forget=1.0),
        # An LSTM of Keras: the recurrent blocks are drawn together as one orthogonal
        # matrix, so half as large as with forget_bias. With a window of 400 steps, 1,000
        # updates leave 0.67 of the error from this start, and 0.07 from forget_bias (one
        # seed each, sweeps/papers/voelker2019).
        "keras": cells.Init(forget=1.0, together=True),
        # The forget gate is shut, input and output gates are open, with a candidate loop
        # gain of sigmoid(2)^2 * 1.5 = 1.16: an echo state network at the start. With it a
        # delay line of lag 50 trains in seconds.
        "open_gate": cells.Init(input=2.0, forget=-6.0, output=2.0, gain=1.5),
        # the forget gate is half open: for delay lines of short lag
        "open_gate_relaxed": cells.Init(input=2.0, forget=0.0, output=2.0),
        # It is shut a little, with a gain a little above 1: for the curriculum.
        "half_open": cells.Init(input=2.0, forget=-1.0, output=2.0, gain=1.1),
        # each cell sums its inputs, hardly disturbed by the others
        "integrator": cells.Init(forget=5.0, gain=0.1),
        # one unit latches a bit at every lag tried
        "hold": cells.Init(input=-bias, forget=bias),
        # Forget biases are log U(1, T - 1), with T the length, and input biases their
        # negatives (Tallec & Ollivier, 2018).
        "chrono": cells.Init(spread=float(max(length - 1, 2))),
    }


PRESETS = tuple(presets(1, 2))


def preset(name: str, lag: int, length: int, bias: float | None = None) -> cells.Init:
    """Return the initialiser of this name; `bias` is for `forget_bias` only."""
    if name not in PRESETS:
        raise UserError(
            f"recipe.init={name}: no such initialiser; one of {', '.join(PRESETS)}, flax"
        )
    if bias is not None and name != "forget_bias":
        raise UserError(
            f"recipe.forget_bias={bias}: only recipe.init=forget_bias takes it, not"
            f" recipe.init={name}"
        )
    init = presets(lag, length)[name]
    return init if bias is None else replace(init, forget=bias)

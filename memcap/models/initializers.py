"""Initialisers by name; they decide whether a small recurrent net trains at a long lag.

A preset is a function of lag and length that returns the initialiser of a cell's gates
(memcap/cells/gates.py).
"""

import math
from dataclasses import replace

from memcap.cells import Init
from memcap.knobs import UserError


def forget_bias(lag: int, length: int) -> Init:
    """Set forget bias 1, as is usual (Jozefowicz et al., 2015); a recipe may set another bias."""
    return Init(forget=1.0)


def keras(lag: int, length: int) -> Init:
    """Start an LSTM as Keras does: forget bias 1, and recurrent blocks drawn together
    as one orthogonal matrix, so half as large as with forget_bias.

    With a window of 400 steps, 1,000 updates leave .67 of the error from this start,
    and .07 from forget_bias (one seed each, sweeps/voelker2019).
    """
    return Init(forget=1.0, together=True)


def open_gate(lag: int, length: int) -> Init:
    """Shut the forget gate and open the input and output gates, with a candidate loop
    gain of sigmoid(2)^2 * 1.5 = 1.16: an echo state network at the start.

    With it a delay line of lag 50 trains in seconds.
    """
    return Init(input=2.0, forget=-6.0, output=2.0, gain=1.5)


def open_gate_relaxed(lag: int, length: int) -> Init:
    """Open the input and output gates and half open the forget gate, with gain 1: for
    delay lines of short lag."""
    return Init(input=2.0, forget=0.0, output=2.0)


def half_open(lag: int, length: int) -> Init:
    """Open the input and output gates and shut the forget gate a little, with a gain a
    little above 1: for the curriculum."""
    return Init(input=2.0, forget=-1.0, output=2.0, gain=1.1)


def integrator(lag: int, length: int) -> Init:
    """Set forget bias 5 and a small recurrent block for the candidate: each cell sums
    its inputs, hardly disturbed by the others."""
    return Init(forget=5.0, gain=0.1)


def hold(lag: int, length: int) -> Init:
    """Set forget bias log(lag + 1) + 1 and input bias its negative: one unit latches a
    bit at every lag tried."""
    bias = math.log(lag + 1) + 1
    return Init(input=-bias, forget=bias)


def chrono(lag: int, length: int) -> Init:
    """Draw forget biases log U(1, T - 1), input biases their negatives (Tallec &
    Ollivier, 2018), with T the sequence's length."""
    return Init(spread=float(max(length - 1, 2)))


PRESETS = {
    f.__name__: f
    for f in (
        forget_bias,
        keras,
        open_gate,
        open_gate_relaxed,
        half_open,
        integrator,
        hold,
        chrono,
    )
}


def preset(name: str, lag: int, length: int, bias: float | None = None) -> Init:
    """Return the initialiser of this name; `bias` overrides the forget bias of the
    preset "forget_bias"."""
    if name not in PRESETS:
        raise UserError(
            f"recipe.init={name}: no such initialiser; one of {', '.join(PRESETS)}, flax"
        )
    if bias is not None and name != "forget_bias":
        raise UserError(
            f"recipe.forget_bias={bias}: only recipe.init=forget_bias takes it, not"
            f" recipe.init={name}"
        )
    init = PRESETS[name](lag, length)
    return init if bias is None else replace(init, forget=bias)

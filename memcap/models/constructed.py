"""Hand-set weights: LSTMs that solve a task without training, so their width is enough.

Most need one unit at any lag: gates saturated at +-20, where a float32 sigmoid is 1 or
0, keep its cell, add to it or overwrite it, as inputs alone decide.
"""

import math
from collections.abc import Sequence
from functools import singledispatch

import numpy as np

from memcap.models.model import Model, Params
from memcap.tasks.adding import Adding
from memcap.tasks.base import Task
from memcap.tasks.count import Count
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch
from memcap.tasks.pattern import Pattern
from memcap.tasks.selective_copy import SelectiveCopy
from memcap.tasks.temporal_order import TemporalOrder
from memcap.tasks.windows import Windows

Constructed = tuple[Model, Params]
OPEN = 20.0
SHUT = -20.0
KEEP = (SHUT, OPEN, 0.0, OPEN)  # pre-activations of i, f, g, o


@singledispatch
def constructed(task: Task, lag: int) -> Constructed | None:
    """Build a network of one layer that solves `task` at `lag` with weights set by
    hand.

    Returns:
        The model, and weights for `Architecture.build`: float32, gates i, f, g, o,
        kernel (F, 4U), recurrent (U, 4U), bias (4U,), read-out (U, O) and (O,). None if
        no construction is known here, which does not prove that there is none.
    """
    return None


def constructed_units(task: Task, lag: int) -> int | None:
    """Return the width of `constructed`, perhaps not the least; None if unknown."""
    # at a long lag its weights would not fit into memory
    if isinstance(task, DelayLine):
        return shift_register(lag)
    network_there = constructed(task, lag)
    return None if network_there is None else network_there[0].units


def shift_register(lag: int) -> int:
    """Count the units that hold this step's symbol and the last `lag` ones."""
    return lag + 1


@constructed.register
def latch(task: Latch, lag: int) -> Constructed | None:
    """Build one unit: a symbol overwrites the cell with its level, all else keeps it.

    This is the error carousel of Hochreiter & Schmidhuber (1997). Only the read-out,
    whose weights grow as S^2, limits S symbols. None for numbers under noise.
    """
    if task.vocabulary is None:
        return None
    levels = np.linspace(-0.8, 0.8, task.symbols)
    others = task.vocabulary - task.symbols
    return one_unit(
        [write(level) for level in levels] + [KEEP] * others, nearest(np.tanh(levels))
    )


@constructed.register
def windows(task: Windows, lag: int) -> Constructed | None:
    """Build a latch: a 1 overwrites the cell with 0.8, zeros keep it, across windows if
    the carry is kept. So where training fails there, memory is not lacking."""
    if task.reset_carry and lag >= task.window:
        return None
    return one_unit([KEEP, write(0.8)], nearest(np.tanh([0.0, 0.8])))


@constructed.register
def temporal_order(task: TemporalOrder, lag: int) -> Constructed:
    """Build one unit: X and Y halve the cell, by a forget gate at sigmoid(0), and add
    -0.5 or 0.5, so the order is a binary fraction: XY leaves -0.25 + 0.5."""
    # (classes, symbols), earliest first
    bits = np.arange(task.outputs)[:, None] >> np.arange(task.relevant)[::-1] & 1
    levels = (2 * bits - 1) @ 0.5 ** np.arange(task.relevant, 0, -1)
    order = [(OPEN, 0.0, math.atanh(0.5 * sign), OPEN) for sign in (-1, 1)]
    return one_unit(order + [KEEP] * (task.vocabulary - 2), nearest(np.tanh(levels)))


@constructed.register
def pattern(task: Pattern, lag: int) -> Constructed | None:
    """Build one unit, if the middle is zeros: a 1 adds 0.9 to the cell and half shuts
    the output gate; a 0 opens it.

    The cell counts ones, and the output gate tells a single first 1 from a single last
    1. With a random middle the net must also know its place.
    """
    if task.middle == "random":
        return None
    one = np.tanh(0.9)
    two = np.tanh(1.8)
    return one_unit(
        [KEEP, (OPEN, OPEN, math.atanh(0.9), 0.0)],
        nearest([0.0, one, two / 2, one / 2]),
    )


@constructed.register
def count(task: Count, lag: int) -> Constructed:
    """Build one unit: each counted symbol adds a step to the cell, by which the
    read-out divides.

    The step is a power of two, which float32 adds without rounding. h = tanh(c) falls
    short by c^3 / 3; as the step shrinks as lag^-1.5, this is below 1e-4 counts.
    """
    step = 2.0 ** math.floor(math.log2(0.01 * lag**-1.5))
    gates = [add(step)] if task.kind == "time" else [KEEP, add(step)]
    return one_unit(gates, (np.array([1 / (step * (task.scale or lag))]), np.zeros(1)))


@constructed.register
def adding(task: Adding, lag: int) -> Constructed:
    """Build one unit: the marker opens the input gate, and the cell adds up 0.01 times
    the number. The sum s is read as about s - (0.01 s)^2 s / 3, an error below 1e-3."""
    scale = 0.01
    kernel = np.array([[0, 0, scale, 0], [OPEN - SHUT, 0, 0, 0]])
    return network(
        kernel, np.zeros((1, 4)), np.array(KEEP), (np.array([1 / scale]), np.zeros(1))
    )


@constructed.register
def delay_line(task: DelayLine, lag: int) -> Constructed:
    """Build lag + 1 units, a shift register: unit j takes over h of unit j - 1.

    A step maps h to tanh(tanh(gain h)). Two symbols use gain 20, which drives each copy
    back to +-tanh(1), so noise dies out. There is no third stable level, so more
    symbols, and reals, use gain 1: k copies of h lose (2/3) k h^3, which the scale
    keeps below an eighth of the distance between symbols, or at 1e-4 for a real of 1.

    Lag + 1 is Jaeger's (2001) bound for linear reservoirs.
    """
    units = shift_register(lag)
    if task.reals:
        levels, gain = np.ones(1), 1.0
        scale = math.sqrt(1.5 * 1e-4 / units)
        readout = np.array([1 / scale]), np.zeros(1)
    else:
        levels, gain, scale, readout = copied(task.symbols, units)
    kernel = np.zeros((len(levels), 4, units))
    kernel[:, 2, 0] = scale * levels
    recurrent = np.zeros((units, 4, units))
    recurrent[:, 2] = gain * np.eye(units, k=1)
    bias = np.repeat([OPEN, SHUT, 0.0, OPEN], units)
    return network(
        kernel.reshape(-1, 4 * units), recurrent.reshape(units, -1), bias, readout
    )


@constructed.register
def selective_copy(task: SelectiveCopy, lag: int) -> Constructed:
    """Build K + 2 units: a shift register that moves at each symbol and at each step of
    the recall, but not at blanks.

    The cue raises unit 0, by which the register moves at every input. A symbol goes
    into unit 1; at the recall's first step the first is in unit K + 1, which is read.
    """
    units = task.items + 2
    levels, gain, scale, readout = copied(task.symbols, units)
    kernel = np.zeros((task.vocabulary, 4, units))
    kernel[: task.symbols, 2, 1] = scale * levels
    kernel[: task.symbols, :2, 1:] = [[OPEN - SHUT], [SHUT - OPEN]]
    kernel[-1, :, 0] = np.array(write(0.8)) - KEEP
    recurrent = np.zeros((units, 4, units))
    recurrent[1:, 2, 1:] = gain * np.eye(units - 1, k=1)
    recurrent[0, :2, 1:] = np.array([[OPEN - SHUT], [SHUT - OPEN]]) / math.tanh(0.8)
    bias = np.repeat(KEEP, units)
    return network(
        kernel.reshape(-1, 4 * units), recurrent.reshape(units, -1), bias, readout
    )


def copied(
    symbols: int, units: int
) -> tuple[np.ndarray, float, float, tuple[np.ndarray, np.ndarray]]:
    """Return a chain's levels, gain, scale and read-out; see `delay_line`."""
    levels = np.linspace(-1, 1, symbols)
    if symbols == 2:
        return levels, 20.0, 20.0, nearest(math.tanh(1) * levels)
    scale = math.sqrt(1.5 * 0.25 / (symbols - 1) / units)
    return levels, 1.0, scale, nearest(scale * levels)


def add(value: float) -> tuple[float, float, float, float]:
    """Return pre-activations that add `value` to the cell."""
    return OPEN, OPEN, math.atanh(value), OPEN


def write(value: float) -> tuple[float, float, float, float]:
    """Return pre-activations that overwrite the cell with `value`."""
    return OPEN, SHUT, math.atanh(value), OPEN


def nearest(levels: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a read-out (O,), (O,) that finds the nearest of O levels to a number h.

    Its logits are -a (h - l)^2 / 2 without the term of h^2, which all share; at a level
    every other one is at least 20 lower.
    """
    levels = np.asarray(levels)
    sharpness = 40 / np.diff(np.sort(levels)).min() ** 2
    return sharpness * levels, -sharpness * levels**2 / 2


def one_unit(
    gates: Sequence[Sequence[float]], readout: tuple[np.ndarray, np.ndarray]
) -> Constructed:
    """Return a unit whose gates (V, 4) depend on the current symbol only."""
    return network(np.array(gates), np.zeros((1, 4)), np.zeros(4), readout)


def network(
    kernel: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray,
    readout: tuple[np.ndarray, np.ndarray],
) -> Constructed:
    """Return model and weights; the read-out sees the last unit."""
    units = recurrent.shape[0]
    top = np.zeros((units, len(readout[0])))
    top[-1] = readout[0]
    cell = {"kernel": kernel, "recurrent": recurrent, "bias": bias}
    weights = {"cell": cell, "readout": {"kernel": top, "bias": readout[1]}}
    arrays = {
        part: {k: v.astype(np.float32) for k, v in w.items()}
        for part, w in weights.items()
    }
    return Model(units=units), arrays

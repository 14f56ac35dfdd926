"""Boxes that hold an LSTM's carries over all sequences of a task's machine, in real
numbers and in the float32 that runs."""

from typing import NamedTuple

import numpy as np

from memcap.tasks.base import Machine

# Float64 arrays. Intervals: (2, ...), the lower ends and the upper ones. Boxes:
# (2, N, 2U), intervals of N carries (c, h).
Array = np.ndarray
UNIT = 2.0**-24  # the most that float32 rounds a result by, as a share of it
# The most by which a float32 gate or tanh of a loop is off, with the step's roundings of
# products and sums. tests/proofs/test_lstm.py measures less than half of this.
ACTIVATION = 16 * UNIT
SIDES = np.array([-1.0, 1.0])[:, None, None]
MOST = 65_536  # boxes after a step; and sequences of a size, where all are tried


class BoundedLSTM(NamedTuple):
    """An LSTM of one layer with a dense read-out, in float64.

    Args:
        kernel (F, 4U), recurrent (U, 4U), bias (4U,): of the gates i, f, g, o.
        readout (U, O), readout_bias (O,).
    """

    kernel: Array
    recurrent: Array
    bias: Array
    readout: Array
    readout_bias: Array

    def step(self, boxes: Array, symbols: Array) -> Array:
        """Return boxes that hold all carries after a step, from N boxes on N symbols.

        Interval arithmetic works as each gate rises with its argument. Within the step
        float64 rounds by 2^-53 where `rounding` allows for 2^-24; a hundredth of that
        covers it.
        """
        c, h = np.split(boxes, 2, -1)
        z = self.kernel[symbols] + self.bias + h.mean(0) @ self.recurrent
        spread = np.ptp(h, 0) / 2 @ np.abs(self.recurrent)
        # sigmoid(z) = tanh(z / 2) / 2 + 1/2
        half = np.repeat([0.5, 0.5, 1.0, 0.5], c.shape[-1])
        tanh = np.tanh(half * (z + SIDES * spread))
        i, f, g, o = np.split(half * tanh + 1 - half, 4, -1)
        c = product(f, c) + product(i, g)
        h = product(o, np.tanh(c))
        return np.concatenate([c, h], -1) + SIDES * self.rounding(boxes)

    def rounding(self, boxes: Array) -> Array:
        """Bound the distance of float32 steps from the real ones, (N, 2U).

        In any order, with or without fused products, the sum of a gate's n = U + 3
        terms (an input, two biases, U products with |h| <= 1) is off by at most n u /
        (1 - n u) times the sum of their sizes, where u is `UNIT` (Higham 2002, section
        3.1). Gates and tanh have slopes and values up to 1. So c' = f c + i g is off by
        |c| + 2 errors of a gate; h' = o tanh(c') by that, and an error of o and of
        tanh. Two hundredths more cover 1 / (1 - n u), products of two errors, and
        float64.
        """
        terms = np.abs(self.kernel).max(0) + np.abs(self.bias)
        terms += np.abs(self.recurrent).sum(0)
        gate = (len(self.recurrent) + 3) * UNIT * terms.max() + ACTIVATION
        c = np.abs(boxes).max(0)[:, : len(self.recurrent)]
        return 1.02 * gate * np.tile(c + 4, 2)

    def margins(self, boxes: Array, classes: Array) -> Array:
        """Return the least lead of the logit of each of N classes over all others,
        (N,), also in float32."""
        h = boxes[..., len(self.readout) :]
        rows = self.readout.T
        weights = rows[classes][:, None] - rows  # (N, O, U)
        margins = (h[:, :, None] * weights).min(0).sum(-1)
        margins += self.readout_bias[classes][:, None] - self.readout_bias
        margins[np.arange(len(classes)), classes] = np.inf
        terms = np.abs(self.readout).sum(0) + np.abs(self.readout_bias)
        # as in `rounding`, of two logits
        error = 2.04 * (len(self.readout) + 1) * UNIT * terms.max()
        return margins.min(1) - error


def product(a: Array, b: Array) -> Array:
    """Return the product of intervals, (2, N, U)."""
    ends = a[:, None] * b
    return np.stack([ends.min((0, 1)), ends.max((0, 1))])


def extend(
    net: BoundedLSTM, machine: Machine, states: Array, boxes: Array
) -> tuple[Array, ...]:
    """Continue paths through a machine by every edge.

    Args:
        states: (N,), names.
        boxes: (2, N, 2U), of the carry there.

    Returns:
        For each longer path: the index of the one before, the symbol, the new state,
        its box, and its least margin, infinite where no answer is due.
    """
    source, symbol, target = map(np.array, zip(*machine.edges, strict=True))
    parents, edges = np.nonzero(states[:, None] == source)
    symbols = symbol[edges]
    targets = target[edges]
    boxes = net.step(boxes[:, parents], symbols)
    classes = np.array([machine.answers.get(state, -1) for state in targets])
    margins = np.where(classes < 0, np.inf, net.margins(boxes, classes))
    return parents, symbols, targets, boxes, margins


def least_margin(net: BoundedLSTM, machine: Machine, steps: int, cells: int) -> float:
    """Return a lower bound of the right logit's lead over all sequences within `steps`
    steps; at most 0 where nothing is shown.

    The boxes of a state hold all carries there, by `cover`. Several are halved before a
    step, as bounds of parts are closer.
    """
    states = np.array(["start"])
    boxes = np.zeros((2, 1, 2 * len(net.recurrent)))
    least = np.inf
    for _ in range(steps):
        if cells > 1:
            states = np.tile(states, 2)
            boxes = halves(boxes)
        _, _, targets, images, margins = extend(net, machine, states, boxes)
        least = min(least, margins.min())
        if least <= 0 or len(targets) > MOST:
            return min(least, 0)
        states, boxes = cover(targets, images, cells)
    return least


def halves(boxes: Array) -> Array:
    """Halve each of N boxes, (2, 2N, 2U), along its widest h: on h all gates depend, so
    the least i may not go with the least f."""
    units = boxes.shape[-1] // 2
    widest = units + np.ptp(boxes[..., units:], 0).argmax(1)
    cut = np.arange(len(widest)), widest
    low = boxes.copy()
    high = boxes.copy()
    low[1][cut] = high[0][cut] = boxes.mean(0)[cut]
    return np.concatenate([low, high], 1)


def cover(states: Array, boxes: Array, cells: int) -> tuple[Array, Array]:
    """Replace the boxes of a state by the hulls of those whose middles lie in the same
    cell of a grid, with `cells` cells along each axis."""
    _, state = np.unique(states, return_inverse=True)
    low, high = hulls(state, boxes)[:, state]
    cell = cells * (boxes.mean(0) - low) // (high - low)
    _, first, group = np.unique(
        np.column_stack([state, cell]), return_index=True, return_inverse=True, axis=0
    )
    return states[first], hulls(group, boxes)


def hulls(groups: Array, boxes: Array) -> Array:
    ends = np.full((groups.max() + 1, 2, boxes.shape[-1]), -np.inf)
    np.maximum.at(ends, groups, (SIDES * boxes).swapaxes(0, 1))
    return SIDES * ends.swapaxes(0, 1)


def worst_sequence(
    net: BoundedLSTM, machine: Machine, steps: int
) -> tuple[float, list[int], str]:
    """Search for the sequence within `steps` steps with the least margin, by a beam
    that keeps paths with the least or largest c or h of a unit: they find what drifts.

    Returns:
        The margin, the symbols (T,), and the state after them.
    """
    states = np.array(["start"])
    boxes = np.zeros((2, 1, 2 * len(net.recurrent)))
    sequences = np.zeros((1, 0), int)
    worst = (np.inf, [0], "start")
    for _ in range(steps):
        parents, symbols, targets, images, margins = extend(net, machine, states, boxes)
        sequences = np.column_stack([sequences[parents], symbols])
        k = margins.argmin()
        worst = min(worst, (margins[k], sequences[k].tolist(), targets[k]))
        carries = images.mean(0)
        beam = []
        for state in np.unique(targets):
            paths = np.flatnonzero(targets == state)
            least_and_largest = carries[paths].argsort(0)[[0, -1]]
            beam += [*paths[least_and_largest].flat]
        beam = np.unique(beam)
        states = targets[beam]
        sequences = sequences[beam]
        # points, as the bounds of rounding would add up
        boxes = np.stack(2 * [carries[beam]])
    return worst

"""Prove a net right, by trials, bounds of its carry, and a search for mistakes."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from memcap.config.member import Member
from memcap.models.export import export
from memcap.models.model import Model
from memcap.proofs.lstm import MOST, BoundedLSTM, least_margin, worst_sequence
from memcap.tasks.base import Batch, Machine, random_key
from memcap.tasks.chance import sequences
from memcap.terminal.words import number
from memcap.trained import Trained

BLOCK = 1024  # sequences that run at once
BLOCKS = 256  # that are drawn, where there are more sequences
CELLS = 1, 4, 8, 16  # per axis of the carry, until bounds are close enough

Sizes = list[tuple[int, int]]  # lags and lengths


class Proof(NamedTuple):
    """A verdict on a net.

    Args:
        verdict: "proved", "counterexample" or "unknown".
        sequences: how many there are; None: not counted.
        reason: how it was found, in words.
        counterexample: the sequence, T symbols, or numbers (T, F).
    """

    verdict: str
    sequences: float | None
    reason: str
    counterexample: list | None = None


def prove(net: Trained, anywhere: bool = True) -> Proof:
    """Prove that a net is right on all sequences of all lags up to its own, or find one
    on which it is wrong.

    Up to `MOST` sequences of a lag and length are all tried; otherwise some are drawn.
    If the net is right on these, is one LSTM layer, and its task has a machine, a beam
    searches for a mistake; if it finds none, the carry is bounded.

    Args:
        anywhere: True: with any filler before what counts, up to the length of the
            net's own sequences; False: with none.
    """
    task = net.member.task
    model = net.member.model
    if task.reset_carry:
        return Proof("unknown", None, "its task sets the carry to zero")
    sizes = sizes_of(net.member, anywhere)
    totals = [task.sequences_in_all(*size) or MOST + 1 for size in sizes]
    are_few = max(totals) <= MOST
    if not are_few:
        sizes = np.random.default_rng(0).permutation(sizes)[:BLOCKS].tolist()
    if mistake := disproof(net, sizes, are_few):
        return mistake
    if are_few:
        return Proof("proved", sum(totals), "each was tried")
    if task.machine is None or model != Model("lstm", model.units):
        return Proof("unknown", None, "those that were drawn are right")
    return bound(net, task.machine if anywhere else task.machine.without_filler)


def sizes_of(member: Member, anywhere: bool) -> Sizes:
    task = member.task
    least = task.smallest_lag if task.has_other_lags(member.lag) else member.lag
    sizes = []
    for lag in range(least, member.lag + 1):
        first, last = member.lengths_at(lag)
        lengths = range(first, last + 1) if anywhere else [first]
        sizes += [(lag, length) for length in lengths]
    return sizes


def blocks(net: Trained, sizes: Sizes, every: bool) -> Iterator[tuple[int, int, Batch]]:
    """Lay out every sequence of some sizes in blocks, the last one filled up with the
    first ones; or draw the same block at each call."""
    task = net.member.task
    steps = net.member.length
    lay_out = jax.jit(partial(task.enumerated, steps=steps))
    draw = jax.jit(partial(task.unseen, steps=steps, batch=BLOCK))
    for size in sizes:
        if not every:
            yield *size, draw(random_key(0, *size), *size)
            continue
        total = task.sequences_in_all(*size) or 0
        for start in range(0, total, BLOCK):
            yield *size, lay_out((start + np.arange(BLOCK)) % total, *size)


def disproof(net: Trained, sizes: Sizes, every: bool) -> Proof | None:
    """Return the first sequence of `blocks` on which the net is wrong, as a verdict."""
    task = net.member.task
    for lag, length, batch in blocks(net, sizes, every):
        inputs, targets, due = sequences(task, batch, length)
        outputs = net.run(batch.inputs)[0].swapaxes(0, 1)[:, :length]
        if task.loss == "classes":
            right = outputs.argmax(-1) == targets
        else:
            squares = (outputs - targets.reshape(outputs.shape)) ** 2
            right = squares.mean(-1) <= task.facts(lag, length).threshold
        wrong = (due & ~right).any(1)
        if wrong.any():
            reason = f"wrong on {wrong.mean():.1%} of lag {lag}, length {length}"
            allowed = net.member.criterion.allowed
            if task.higher_is_better and wrong.mean() <= allowed:
                reason = f"right in {1 - allowed:.0%}, not on all: {reason}"
            return Proof(
                "counterexample", None, reason, inputs[wrong.argmax()].tolist()
            )
    return None


def bound(net: Trained, machine: Machine) -> Proof:
    arrays = export(net.member.model, net.weights, "keras").values()
    lstm = BoundedLSTM(*(array.astype(np.float64) for array in arrays))
    steps = net.member.length
    total = machine.paths(steps)
    margin, sequence, state = worst_sequence(lstm, machine, steps)
    outputs, _ = net.run(np.array(sequence)[:, None])
    if outputs[-1, 0].argmax() != machine.answers[state]:
        return Proof("counterexample", total, "by a search", sequence)
    for cells in CELLS:
        if (least := least_margin(lstm, machine, steps, cells)) > 0:
            return Proof(
                "proved", total, f"bounds of the carry, margin {number(least)}"
            )
    reason = f"bounds are too wide, least margin of a search {number(margin)}"
    return Proof("unknown", total, reason)

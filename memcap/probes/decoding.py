"""Linear decoding of the input k steps ago: how many numbers of the past does the state hold?

Memory curves of Jaeger (2001), "Short term memory in echo state networks": r^2 of a
linear regression of x[t - k] on the state, on unseen sequences. Its sum, the memory
capacity MC, is at most the number of numbers read if inputs are independent. The null,
inputs of another sequence, is subtracted: (r^2 - null) / (1 - null). Normal equations
in float32 would lose close to half of the MC of 50 linear units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from memcap.figures.style import COLOURS
from memcap.probes import (
    NotForThis,
    Probed,
    carry_name,
    fresh_batch,
    numbers,
    titled,
    trace,
    vectors,
)
from memcap.store.columns import Row
from memcap.terminal.words import plural
from memcap.trained import Trained

SAMPLES = 100  # least samples in each half, per lag and number
# samples in each half
LEAST = 20_000
MOST = 1 << 20
CHUNK = 1 << 22  # about how many numbers a run keeps at once
FLOAT32 = 1e-7  # directions of the state below this share of it are rounding
RANK = 1e-4  # least size of an input's directions, relative to the largest


@dataclass(frozen=True)
class ReadingPlan:
    """The steps at which the state is read, and the inputs that are read from it."""

    first: int  # the first of these steps
    end: int  # the one after the last
    lags: int  # inputs k = 0 .. lags - 1 steps ago are read
    at: tuple[int, int]  # lag and length of the sequences


def reading_plan(net: Trained) -> ReadingPlan:
    """Read a stream once its start is forgotten, and other tasks at the first answer
    due from `lag` on."""
    member = net.member
    lag = net.member.lag
    if member.task.stream:
        first = 4 * lag
        most = 2 * lag
        end = first + max(most, 64)
        return ReadingPlan(first, end, most + 1, (lag, end))
    due = member.length - 1
    mask = fresh_batch(net, 1).mask
    if mask is not None:
        steps = np.flatnonzero(np.asarray(mask).any(1))
        due = int(next((t for t in steps if t >= lag), steps[-1]))
    return ReadingPlan(due, due + 1, due + 1, (lag, member.length))


class Half:
    """QR factors of a regression X = Q R, fed in chunks; it keeps R, Q'Y and squares of
    Y."""

    r: np.ndarray
    qty: np.ndarray
    squares: Any = 0.0
    samples = 0

    def add(self, states: np.ndarray, targets: np.ndarray) -> None:
        """Take in states (n, N) and targets (n, M)."""
        # the constant first, so that R's first row holds means
        x = np.concatenate([np.ones((len(states), 1)), states], 1)
        if not self.samples:
            self.r = x[:0]
            self.qty = targets[:0]
        q, self.r = np.linalg.qr(np.concatenate([self.r, x]))
        self.qty = q.T @ np.concatenate([self.qty, targets])
        self.squares = self.squares + (targets**2).sum(0)
        self.samples += len(x)


def explained(fitted: Half, held_out: Half) -> np.ndarray:
    """Return r^2 (M,) on one half of the regression fitted on the other."""
    scale = np.linalg.norm(fitted.r, axis=0)
    scale[scale == 0] = 1
    weights, *_ = np.linalg.lstsq(fitted.r / scale, fitted.qty, rcond=FLOAT32)
    weights = weights / scale[:, None]
    outside = held_out.squares - (held_out.qty**2).sum(0)
    error = outside + ((held_out.r @ weights - held_out.qty) ** 2).sum(0)
    total = held_out.squares - held_out.qty[0] ** 2
    varies = total > 1e-9 * held_out.samples
    return np.where(varies, 1 - error / np.where(varies, total, 1), 0.0)


def memory(halves: Sequence[Half], lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Return r^2 (K, D) by lag and coordinate without the null, and the null; of the
    halves' targets the first are real, the rest shuffled."""
    first, second = halves
    both = (explained(first, second) + explained(second, first)) / 2
    real, null = both.reshape(2, lags, -1)
    return (real - null) / (1 - null), null


def probe(net: Trained) -> Probed:
    when = reading_plan(net)
    member = net.member
    carried = member.architecture.carry_numbers()
    hidden = member.model.hidden
    samples = int(np.clip(SAMPLES * when.lags * max(carried, hidden), LEAST, MOST))
    per_sequence = when.at[1] * (carried + hidden + member.task.features)
    needed = -(-samples // (when.end - when.first))
    sequences = min(int(np.clip(CHUNK // per_sequence, 16, 4096)), needed)
    chunks = -(-needed // sequences)
    lift = coordinates(net, when)
    if not any(basis.shape[1] for basis in lift):
        raise NotForThis(
            "decoding: all inputs are the same at all steps that are read, so there is nothing to"
            " decode"
        )
    halves = {name: (Half(), Half()) for name in ("h", carry_name(net))}
    for half in (0, 1):
        indices = range(1 + half * chunks, 1 + (half + 1) * chunks)
        for states, targets in read(net, when, sequences, indices, lift):
            if same(*states):
                halves.pop(carry_name(net), None)
            for name, values in zip(halves, states, strict=False):
                halves[name][half].add(values, targets)
    return draw_memory(net, when, halves, [basis.shape[1] for basis in lift])


def same(hidden: np.ndarray, carry: np.ndarray) -> bool:
    return hidden.shape == carry.shape and np.array_equal(
        np.sort(hidden, 1), np.sort(carry, 1)
    )


def past(net: Trained, when: ReadingPlan, inputs: np.ndarray) -> np.ndarray:
    """Return inputs k = 0 .. K - 1 steps before each step read, (steps, B, K, F)."""
    places = np.arange(when.first, when.end)[:, None] - np.arange(when.lags)
    return np.moveaxis(vectors(net, inputs)[places], 1, 2)


def coordinates(net: Trained, when: ReadingPlan) -> list[np.ndarray]:
    """Return for each lag a basis (F, D_k) in which inputs are uncorrelated with
    variance 1."""
    inputs = np.asarray(fresh_batch(net, 4096, 0, when.at).inputs)
    first_step = past(net, replace(when, end=when.first + 1), inputs)[0]
    bases = []
    for rows in np.moveaxis(first_step, 1, 0):
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows, rowvar=False)))
        varies = values > RANK * max(values[-1], 1e-12)
        bases.append(vectors[:, varies] / np.sqrt(values[varies]))
    return bases


def input_scale(net: Trained, when: ReadingPlan) -> str:
    if net.member.task.vocabulary is not None:
        return "one-hot symbols"
    inputs = np.asarray(fresh_batch(net, 4096, 0, when.at).inputs)
    sizes = inputs.reshape(-1, inputs.shape[-1]).std(0)
    ends = dict.fromkeys(f"{size:.2g}" for size in (sizes.min(), sizes.max()))
    return f"numbers with a standard deviation of {' to '.join(ends)}"


def read(
    net: Trained,
    when: ReadingPlan,
    sequences: int,
    indices: Sequence[int],
    lift: Sequence[np.ndarray],
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """Yield ((h (n, H), carry (n, N)), targets (n, 2 K D)), which are inputs, then
    another sequence's."""
    widest = max(basis.shape[1] for basis in lift)
    full = np.zeros((len(lift), len(lift[0]), widest))  # (K, F, D)
    for basis, padded in zip(lift, full, strict=True):
        padded[:, : basis.shape[1]] = basis
    steps = slice(when.first, when.end)
    for index in indices:
        batch = fresh_batch(net, sequences, index, when.at)
        run = trace(net, batch)
        inputs = past(net, when, np.asarray(batch.inputs))
        targets = np.einsum("tbkf,kfd->tbkd", inputs, full)
        targets = np.stack([targets, np.roll(targets, 1, axis=1)], 2)
        hidden, carry = (
            np.float64(states[steps]).reshape(-1, states.shape[-1])
            for states in (run.hidden, numbers(run.carries, 2))
        )
        yield (hidden, carry), targets.reshape(len(hidden), -1)


def draw_memory(
    net: Trained,
    when: ReadingPlan,
    states: dict[str, tuple[Half, Half]],
    ranks: Sequence[int],
) -> Probed:
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    curves, sums = figure.subplots(1, 2)
    frames = []
    table: list[Row] = []
    rank = np.asarray(ranks)
    lags = np.arange(when.lags)
    varies = rank > 0
    for colour, (name, halves) in zip(COLOURS, states.items(), strict=False):
        r2, null = memory(halves, when.lags)
        bound = halves[0].r.shape[1] - 1
        samples = halves[0].samples
        total = r2.sum(1)
        capacity = total.sum()
        mean = total / np.maximum(rank, 1)
        columns = {
            "state": name,
            "k": lags,
            "r2": mean,
            "coordinates": rank,
            "numbers": total,
            "null": [null[k, : max(rank[k], 1)].mean() for k in lags],
            "bound": bound,
            "samples": samples,
        }
        frames.append(pl.DataFrame(columns))
        half = np.flatnonzero(mean > 0.5)
        row = {
            "state": name,
            "MC": capacity,
            "bound": bound,
            "share": capacity / bound,
            "above_half": int(half[-1]) if len(half) else None,
            "samples": samples,
        }
        table.append(row)
        look = {"color": colour, "label": f"from {name}"}
        curves.plot(lags[varies], mean[varies], "o-", ms=3, lw=1.2, **look)
        look["label"] = f"from {name}: MC {capacity:.2f}"
        sums.plot(lags, np.cumsum(total), lw=1.4, **look)
        look["label"] = f"bound of {name}: {plural(bound, 'number')}"
        sums.axhline(bound, lw=0.9, ls="--", **look)
    curves.set(
        xlabel="k, steps ago",
        ylabel="r² of the input k steps ago, null subtracted",
        ylim=(-0.05, 1.08),
    )
    curves.axvline(net.member.lag, color="grey", lw=0.8, ls=":", label="lag")
    sums.set(
        xlabel="k, steps ago",
        ylabel="numbers of the past, up to k steps ago",
        ylim=(0, None),
    )
    for axes, loc in ((curves, "best"), (sums, "lower right")):
        axes.grid(color="#dddddd", lw=0.5)
        axes.legend(frameon=False, fontsize=8, loc=loc)
    moment = f"after step {when.first + 1} of {when.at[1]}"
    if net.member.task.stream:
        moment = "at every step"
    caption = (
        f"Linear regression on the state {moment}, judged on the other half of"
        f" {2 * table[0]['samples']:,} samples. The bounds hold where the inputs of different"
        " steps are independent."
    )
    titled(figure, net, "What the state holds", caption)
    notes = (
        (
            "MC: numbers of the past that a linear read-out finds; at most the bound where the"
            " inputs of different steps are independent. above_half: the last k with r² above 0.5."
        ),
        f"Inputs: {input_scale(net, when)}, as in training; at another scale MC differs.",
    )
    return Probed(figure, pl.concat(frames), pl.DataFrame(table), notes)

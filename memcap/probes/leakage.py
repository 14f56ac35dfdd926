"""The carry of another sequence, put in midway: is the carry all that the net knows of the past?

In its middle every sequence takes over its neighbour's carry. Answers that depend on
the past must then be the neighbour's: a sequence's own score falls to chance, and the
score on its neighbour's answers stays. If its own score does not fall, the answer was
not in the carry: it came through the input, or from elsewhere in the batch, which would
be a leak.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from memcap.figures.style import COLOURS
from memcap.probes import (
    SEQUENCES,
    NotForThis,
    Probed,
    blocks,
    finish,
    fresh_batch,
    titled,
    trace,
)
from memcap.tasks import Batch
from memcap.tasks.chance import sequences
from memcap.trained import Trained


def swapped(carry: Any, step: jax.Array, operands: Any) -> Any:
    """Continue sequence b after step `operands` with the carry of sequence b - 1."""
    return jax.tree.map(
        lambda leaf: jnp.where(step == operands, jnp.roll(leaf, 1, 0), leaf), carry
    )


def probe(net: Trained) -> Probed:
    """Draw the scores against a sequence's own answers and its neighbour's, by step if
    answers are due at several."""
    task = net.member.task
    middle = net.member.length // 2
    total = np.zeros((4, net.member.length))
    for index, block in enumerate(blocks(net)):
        batch = fresh_batch(net, block, index)
        disturbed = trace(net, batch, swapped, np.int32(middle - 1)).outputs
        undisturbed = trace(net, batch).outputs
        targets, due = answers(net, batch)
        partners = np.roll(targets, 1, axis=1)
        total[0] += (marks(net, disturbed, targets) * due).sum(1)
        total[1] += (marks(net, disturbed, partners) * due).sum(1)
        total[2] += (marks(net, undisturbed, targets) * due).sum(1)
        total[3] += due.sum(1)
    steps = np.flatnonzero(total[3])
    steps = steps[steps >= middle]
    if not len(steps):
        raise NotForThis(
            "leakage: no answer is due after the middle of the sequence, where carries are"
            " exchanged"
        )
    own, partner, undisturbed = total[:3, steps] / total[3, steps]
    columns = {
        "step": steps,
        "after": steps - middle,
        "own": own,
        "partner": partner,
        "undisturbed": undisturbed,
        "answers": total[3, steps].astype(int),
    }
    data = pl.DataFrame(columns)
    within = data.filter(pl.col("after") < net.member.lag)
    window = data if within.is_empty() else within
    weight = pl.col("answers") / pl.col("answers").sum()
    table = window.select(
        (pl.col("own", "partner", "undisturbed") * weight).sum(),
        pl.lit(net.member.facts.chance).alias("chance"),
        pl.col("answers").sum(),
    )
    note = (
        f"{task.metric}, carries exchanged after {middle} of {net.member.length} steps"
    )
    if len(within):
        note += ", over the answers due in the next `lag` steps"
    note += (
        "; undisturbed: nothing is exchanged. Answers that hang on inputs of both halves are"
        " neither's."
    )
    return Probed(_plot(net, data, middle), data, table, (note,))


def answers(net: Trained, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return targets (T, B), or (T, B, O) for several values, and where an answer is
    due, (T, B)."""
    _, targets, due = sequences(net.member.task, batch, net.member.length)
    return np.swapaxes(targets, 0, 1), due.T


def marks(net: Trained, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return 1 for a hit and 0 for a miss, or the squared error, (T, B), of outputs (T, B, O)."""
    if net.member.task.loss == "classes":
        return (outputs.argmax(-1) == targets).astype(np.float64)
    return ((outputs - targets.reshape(*outputs.shape)) ** 2).mean(-1)


def _plot(net: Trained, data: pl.DataFrame, middle: int) -> Figure:
    figure = Figure(figsize=(6.8, 4.4), layout="constrained")
    axes = figure.add_subplot()
    facts = net.member.facts
    metric = net.member.task.metric
    step = data["step"]
    lines = {
        "own": "its own answers",
        "partner": "its neighbour's answers",
        "undisturbed": "its own, nothing exchanged",
    }
    for colour, (name, label) in zip(COLOURS, lines.items(), strict=False):
        # rings, so that marks below stay visible
        look: dict[str, Any] = {"ls": "--", "ms": 8, "mfc": "none"}
        if name != "undisturbed":
            look = {"ls": "-", "ms": 4}
        look |= {"color": colour, "label": label}
        axes.plot(step, data[name], marker="o", lw=1.2, **look)
    axes.axhline(facts.chance, color="grey", lw=0.9, ls=":", label="chance")
    axes.axvline(middle - 0.5, color="grey", lw=0.9, ls="--", label="carries exchanged")
    axes.set(xlabel="step", ylabel=metric, xlim=(middle - 2, net.member.length))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axes, net)
    caption = (
        f"After {middle} of {net.member.length} steps each sequence goes on with its neighbour's"
        f" carry; {SEQUENCES:,} fresh sequences."
    )
    return titled(figure, net, "The carry of another sequence", caption)

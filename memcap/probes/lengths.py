"""The score at 1, 2, 5, 10 and 20 times the trained lag or length: does the net hold
on, or did it learn a clock?"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from memcap.config.member import Member
from memcap.figures.style import COLOURS
from memcap.probes import NotForThis, Probed, finish, key, titled
from memcap.rule import Criterion
from memcap.runtime import jax_setup
from memcap.trained import Trained
from memcap.training.step import EvalOperands, Trainer, TrainSpec

FACTORS = (1, 2, 5, 10, 20)
SEQUENCES = 512


def probe(net: Trained) -> Probed:
    """Draw the score at each factor, with chance, criterion, and for classes the share
    of whole sequences right.

    A stream keeps its lag and gets longer; other tasks' lags grow."""
    member = net.member
    task = net.member.task
    pairs = {factor: longer(member, factor) for factor in FACTORS}
    if len(set(pairs.values())) == 1:
        raise NotForThis(
            f"lengths: {task.name} has no longer sequences than those it was trained on"
        )
    rows: list[dict[str, Any]] = []
    for (factor, at), (score, whole) in zip(
        pairs.items(), scores(net, list(pairs.values())), strict=True
    ):
        facts = task.facts(*at)
        rows.append(
            {
                "times": factor,
                "lag": at[0],
                "length": at[1],
                task.metric: score,
                "chance": facts.chance,
            }
        )
        if task.loss == "classes":
            rows[-1]["whole"] = whole
        criterion = Criterion(task.metric, facts.threshold)
        passes = "yes" if criterion.passes(score) else "no"
        rows[-1] |= {"criterion": facts.threshold, "passes": passes}
    table = pl.DataFrame(rows)
    return Probed(_plot(net, table), table, table.drop("criterion"))


def longer(member: Member, factor: int) -> tuple[int, int]:
    """Return lag and length at a factor."""
    if factor == 1 or member.task.stream:
        return member.lag, factor * member.length
    return member.task.stretched(member.lag, factor)


def scores(net: Trained, pairs: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Return the score and the share of whole sequences right on fresh sequences of
    these lags and lengths, evaluated as for a verdict, by one program."""
    member = net.member
    longest = max(length for _, length in pairs)
    trainer = Trainer(TrainSpec.of(member), member.length, longest)
    weights = member.architecture.flatten(net.weights)
    blocks = np.int32(-(-SEQUENCES // trainer.spec.evaluation.block))
    with jax_setup.precision():
        evaluate = jax.jit(trainer.evaluate_sequences)
        units = np.int32(member.model.units)
        return [
            tuple(
                evaluate(
                    weights,
                    EvalOperands(key(net, 0), *map(np.int32, at), blocks, units),
                ).tolist()
            )
            for at in pairs
        ]


def _plot(net: Trained, data: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    metric = net.member.task.metric
    grows = data["lag"].n_unique() > 1
    axes.plot(data["times"], data[metric], "o-", ms=4, color=COLOURS[0], label="score")
    axes.plot(
        data["times"],
        data["criterion"],
        color="grey",
        lw=0.9,
        ls="--",
        label="criterion",
    )
    axes.plot(
        data["times"], data["chance"], color="grey", lw=0.9, ls=":", label="chance"
    )
    axes.set_xscale("log")
    ticks = [
        f"{row['times']}\n{row['lag' if grows else 'length']}"
        for row in data.to_dicts()
    ]
    axes.set_xticks(data["times"], ticks)
    axes.set_xticks([], minor=True)
    what = (
        "times the trained lag; below: the lag"
        if grows
        else "times the trained length; below: the steps"
    )
    axes.set(xlabel=what, ylabel=metric)
    finish(axes, net)
    caption = f"{SEQUENCES} fresh sequences a mark; weights and read-out as trained."
    return titled(figure, net, "Longer than trained", caption)

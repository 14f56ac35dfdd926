"""The score at 1, 2, 5, 10 and 20 times the trained lag or length: does the net hold
on, or did it learn a clock?"""

from collections.abc import Sequence
from functools import partial
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
from memcap.store.columns import Row
from memcap.trained import Trained
from memcap.training.evaluation import DrawnAtLength, EvalOperands
from memcap.training.step import Trainer, TrainSpec

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
    results = scores(net, list(pairs.values()))
    rows = []
    for (factor, (lag, length)), (score, whole) in zip(
        pairs.items(), results, strict=True
    ):
        facts = task.facts(lag, length)
        row: Row = {"times": factor, "lag": lag, "length": length}
        row |= {task.metric: score, "chance": facts.chance}
        if task.loss == "classes":
            row["whole"] = whole
        criterion = Criterion(task.metric, facts.threshold)
        row["criterion"] = facts.threshold
        row["passes"] = "yes" if criterion.passes(score) else "no"
        rows.append(row)
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
    units = np.int32(member.model.units)
    evaluate = jax.jit(partial(trainer.evaluate, whole=True))
    results = []
    for pair in pairs:
        lag, length = map(np.int32, pair)
        operands = EvalOperands(DrawnAtLength(key(net, 0), lag, length), blocks, units)
        with jax_setup.precision():
            of_pair = evaluate(weights, operands)
        results.append((float(of_pair.mean), float(of_pair.whole)))
    return results


def _plot(net: Trained, data: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    metric = net.member.task.metric
    times = data["times"]
    axes.plot(times, data[metric], "o-", ms=4, color=COLOURS[0], label="score")
    grey: dict[str, Any] = {"color": "grey", "lw": 0.9}
    axes.plot(times, data["criterion"], ls="--", label="criterion", **grey)
    axes.plot(times, data["chance"], ls=":", label="chance", **grey)
    axes.set_xscale("log")
    sizes = data["length"]
    what = "times the trained length; below: the steps"
    if data["lag"].n_unique() > 1:
        sizes = data["lag"]
        what = "times the trained lag; below: the lag"
    ticks = [f"{time}\n{size}" for time, size in zip(times, sizes, strict=True)]
    axes.set_xticks(times, ticks)
    axes.set_xticks([], minor=True)
    axes.set(xlabel=what, ylabel=metric)
    finish(axes, net)
    caption = f"{SEQUENCES} fresh sequences a mark; weights and read-out as trained."
    return titled(figure, net, "Longer than trained", caption)

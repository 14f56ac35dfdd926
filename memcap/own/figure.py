"""Held-out loss against width, for your own sequences (task.criterion=best)."""

import textwrap

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, write_below
from memcap.knobs import UserError
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.references import WINDOW
from memcap.own.words import as_dict
from memcap.terminal.words import plural

STYLES = "--", ":", "-.", (0, (3, 1, 1, 1))  # of references


def draw(rows: pl.DataFrame) -> Drawn:
    curves = [curve for curve in loss_curves(rows) if curve.widths]
    if not curves:
        raise UserError(
            "no rows with task.criterion=best: nothing to draw; train them by: memcap fit FILE"
        )
    curve = max(curves, key=lambda curve: curve.lag)  # of several, the first
    data = pl.DataFrame(as_dict(curve)["widths"])
    return Drawn(_plot(curve, data), data)


def _plot(curve: LossCurve, data: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(6.4, 4.2))
    unit = "nats"
    if curve.task.loss == "values":
        unit = "share of the variance" if curve.task.scale_targets else "squared error"
    axes = figure.add_subplot(xlabel="units", ylabel=f"loss ({unit})")
    low = curve.best.on_validation.mean
    axes.axhspan(low, low + curve.margin, color=COLOURS[0], alpha=0.15, lw=0)
    units = data["units"].to_list()
    axes.plot(
        units, data["validation_loss"], color=COLOURS[0], marker="o", label="validation"
    )
    axes.errorbar(
        units,
        data["loss"],
        data["error"],
        color=COLOURS[3],
        marker="s",
        capsize=3,
        label="held out",
    )
    references = [*curve.references.items()][1:]  # a constant is far above all
    for (kind, loss), style in zip(references, STYLES, strict=False):
        label = f"{kind} of {WINDOW}" if kind == "window" else kind
        label = f"{label}, no net"
        axes.axhline(loss.mean, color=COLOURS[1], ls=style, label=label)
    if curve.units is not None:
        label = f"{plural(curve.units, 'unit')}: enough"
        axes.axvline(curve.units, color=COLOURS[2], lw=1, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(units, [str(width) for width in units])
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=8)
    recipe = f"{curve.recipe.name}, lr {curve.recipe.lr:g}, budget {curve.recipe.budget} steps"
    fold = "repeat" if curve.task.has_own_split else "fold"
    text = (
        f"Marks show means over {plural(len(curve.folds), fold)}, and standard errors."
        f" In each {fold} the net that is best on validation counts. Validation chooses the width:"
        f" the narrowest in the band, {curve.margin:.2g} above the best of {units[0]} to"
        f" {units[-1]} units, unless it is worse in every {fold}. Recipe: {recipe}."
    )
    write_below(figure, "\n".join(textwrap.wrap(text, 110)))
    figure.subplots_adjust(left=0.13)
    return figure

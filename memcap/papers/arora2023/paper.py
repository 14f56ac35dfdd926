"""Does recall of key-value pairs ask for width, the more the more pairs there are?

Protocol: N pairs of a key and a value, then each key again, and its value is due (multi-query associative
recall). Arora et al. vary the width of attention, gated convolutions and recurrent nets from 64 to 512, with
4 pairs in 64 steps to 64 pairs in 512, of a vocabulary of 8,192; two layers, AdamW, the best of four learning
rates, 100,000 sequences. Their next paper, "Based", pools models by the bytes of their state.

Ours (memcap/tasks/mqar.py), scaled down: LSTMs of one layer and 2 to 32 units, 1, 2 and 4 pairs of 8 keys and
8 values, queries within 16 steps, fresh sequences, one recipe (conf/recipe/hold.yaml, 3,000 steps). Nobody is
tuned: a net that fails has not been trained, which is not to say that its state could not hold the pairs.
"""

import itertools
import textwrap
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from scipy import stats

from memcap.figures import Drawn
from memcap.figures.style import colour_and_marker, legend_in_order, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper, bars, knob, over_seeds
from memcap.terminal.words import plural

TASK = "mqar"
RECALLS = 0.9  # accuracy of the median net
TOGETHER = 0.7  # least rank correlation of accuracy and bytes of state a pair


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Median and extreme accuracies over the seeds, by pairs, symbols and units, with the bytes of the
    state."""
    knobs = [knob(k).cast(pl.Int64) for k in ("pairs", "symbols")]
    own = rows.filter(pl.col("task") == TASK).with_columns(*knobs)
    return (
        own.group_by("pairs", "symbols", "units")
        .agg(*over_seeds("accuracy"), (4 * pl.col("carry_numbers")).max().alias("bytes"))
        .sort("pairs", "symbols", "units")
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Accuracy against units, a panel a number of pairs; and all of them against the bytes of the state."""
    data = curves(rows)
    panels = list(data.group_by("pairs", "symbols", maintain_order=True))
    picture = Figure(figsize=(2.6 * (len(panels) + 1), 4.2))
    picture.suptitle("Recall of key-value pairs by an LSTM, by width and by state", y=0.98)
    pooled = picture.add_subplot(
        1, len(panels) + 1, len(panels) + 1, xlabel="state, bytes", xscale="log", ylim=(0, 1.04)
    )
    for k, ((pairs, symbols), own) in enumerate(panels):
        axes = picture.add_subplot(1, len(panels) + 1, k + 1, xlabel="units", xscale="log", ylim=(0, 1.04))
        colour, marker = colour_and_marker(k)
        shape: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "ms": 5,
            "lw": 1.2,
            "label": plural(pairs, "pair"),
        }
        axes.errorbar(own["units"], own["accuracy"], yerr=bars(own, "accuracy"), **shape)
        pooled.plot(own["bytes"], own["accuracy"], **shape)
        if 1 < pairs < symbols:
            axes.axhline(1 / pairs, color="grey", lw=0.8, ls="--", label="one of the values seen")
        axes.axhline(1 / symbols, color="grey", lw=0.8, ls=":", label="chance")
        axes.set_xticks(own["units"].to_list(), [str(units) for units in own["units"]])
        axes.minorticks_off()
        axes.set_title(f"{plural(pairs, 'pair')} of {symbols} symbols", fontsize=10)
        # white over the lines of chance
        labels = (shape["label"], "one of the values seen", "chance")
        legend_in_order(axes, labels, framealpha=1, edgecolor="none", fontsize=7, loc="lower right")
    pooled.set_xticks(ticks := data["bytes"].unique().sort().to_list(), [str(size) for size in ticks])
    pooled.tick_params("x", labelsize=8)
    pooled.minorticks_off()
    pooled.set_title("all, by bytes of state", fontsize=10)
    pooled.legend(frameon=False, fontsize=7, loc="lower right")
    picture.axes[1].set_ylabel("accuracy of recalled values")
    seeds = data["seeds"].max() or 0
    caption = (
        f"Points: median of up to {seeds} seeds; bars: all of them. A net stops once it is right at 99 %."
        " After Arora et al.,"
        " Zoology (2023), fig. 2, and Based (2024), fig. 2, scaled down, and with LSTMs of one layer and"
        " one recipe."
    )
    write_below(picture, textwrap.fill(caption, 150))
    picture.subplots_adjust(left=0.065, right=0.985, top=0.85, wspace=0.24)
    return Drawn(picture, data)


def _wider_for_more(rows: pl.DataFrame) -> Finding:
    enough = pl.col("units").filter(pl.col("accuracy") >= RECALLS).min()
    widths = (
        curves(rows)
        .group_by("pairs", maintain_order=True)
        .agg(enough.alias("enough"), pl.col("units").max().alias("widest"))
    )
    if widths.height < 2 or widths["enough"].is_null().all():
        return NOT_MEASURED
    text = ", ".join(
        f"{units} units for {plural(pairs, 'pair')}"
        if units
        else f"over {widest} units for {plural(pairs, 'pair')}"
        for pairs, units, widest in widths.iter_rows()
    )
    needed = [units or float("inf") for units in widths["enough"]]
    return Finding(text, all(few < more for few, more in itertools.pairwise(needed)))


def _by_state(rows: pl.DataFrame) -> Finding:
    data = curves(rows).drop_nulls("bytes")
    if data["pairs"].n_unique() < 2 or data["accuracy"].n_unique() < 3 or data["units"].n_unique() < 2:
        return NOT_MEASURED
    together = float(
        stats.spearmanr((data["bytes"] / data["pairs"]).to_numpy(), data["accuracy"].to_numpy()).statistic
    )
    return Finding(f"rank correlation {together:.2f}", together >= TOGETHER)


PAPER = Paper(
    source="Arora, Eyuboglu, Timalsina, Johnson, Poli, Zou, Rudra & Ré, Zoology: measuring and improving"
    " recall in efficient"
    " language models, ICLR 2024 (2312.04927); Arora et al., Based, ICML 2024 (2402.18668)",
    cost="2 minutes on one core that some ten jobs shared, compiling aside (60 members)",
    claims=(
        Claim(
            f"more pairs ask for more units (here: the narrowest tried whose median net recalls {RECALLS:.0%}"
            " rises with the pairs)",
            "without attention: .5 to .9 at width 64 with 4 pairs; .1 to .7 at width 512 with 64 pairs (by"
            " eye)",
            "Zoology, fig. 2",
            _wider_for_more,
        ),
        Claim(
            "what is recalled follows the size of the state (here: rank correlation with bytes per"
            f" pair at least {TOGETHER:g})",
            '"a key tradeoff between a model\'s state size and recall"',
            "Based, abstract and fig. 2",
            _by_state,
        ),
    ),
)

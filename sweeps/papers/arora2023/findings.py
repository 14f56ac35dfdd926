"""Does recall of key-value pairs ask for width, the more the more pairs there are?

Protocol: N pairs of a key and a value, then each key again, and its value is due
(multi-query associative recall). Attention, gated convolutions and recurrent nets, but
no LSTM, have widths from 64 to 512, with 4 pairs in 64 steps to 64 pairs in 512, so
that pairs and length grow together. A vocabulary of 8,192, two layers (in the code,
those without attention had four until May 2024), AdamW, the best of four learning
rates, 100,000 sequences. The accuracies beside the first claim were read by eye
(by_eye.csv). The paper's own claim about that figure, as notes quote it, is that gated
convolutions need a width that grows with the length.

Ours (memcap/tasks/mqar.py) is smaller: LSTMs of one layer and 2 to 32 units; 1, 2 and 4
pairs of 8 keys and 8 values; queries within 16 steps; fresh sequences; one recipe
(conf/recipe/hold.yaml, 3,000 steps), not tuned for any net. A net that fails may have
failed to train: its state could still hold the pairs.
"""

import itertools
import math

import polars as pl

from memcap.figures import Drawn
from memcap.figures.style import legend_in_order
from memcap.findings import NOT_MEASURED, Finding, Paper, StandIn, by_eye, marks, plural
from memcap.findings.claims import knob, least_widths, over_seeds, rank_correlation

PASS = 0.9  # accuracy of the median net that recalls
CORRELATION = 0.7  # least rank correlation of accuracy and bytes of state per pair
GUESS = "one of the values seen"
THEIRS = "; ".join(
    f"{low:g} to {high:g} at width {width} with {pairs} pairs"
    for pairs, width, low, high in by_eye(__file__).iter_rows()
)


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return accuracies over the seeds, and the bytes of the state, by pairs, symbols and units."""
    by = "pairs", "symbols", "units"
    own = rows.filter(task="mqar").with_columns(knob(name, pl.Int64) for name in by[:2])
    size = (4 * pl.col("carry_numbers")).max().alias("bytes")
    return own.group_by(by).agg(*over_seeds("accuracy"), size).sort(by)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy against units, a panel per number of pairs; and all of them against
    bytes of state."""
    data = curves(rows)
    kinds = list(data.group_by("pairs", "symbols", maintain_order=True))
    number = len(kinds) + 1
    picture, (panels,) = marks.panels((2.6 * number, 4.2), 1, number, squeeze=False)
    picture.suptitle(
        "Recall of key-value pairs by an LSTM, by width and by state", y=0.98
    )
    for axes in panels:
        axes.set(xscale="log", ylim=(0, 1.04))
    for k, ((pairs, symbols), own) in enumerate(kinds):
        axes = panels[k]
        look = marks.look(k, lw=1.2, label=plural(pairs, "pair"))
        marks.with_bars(axes, own, "units", "accuracy", **look)
        panels[-1].plot(own["bytes"], own["accuracy"], **look)
        if 1 < pairs < symbols:
            marks.level(axes, 1 / pairs, GUESS, "--")
        marks.level(axes, 1 / symbols, "chance")
        marks.number_x(axes, own["units"])
        axes.set_xlabel("units")
        axes.set_title(f"{plural(pairs, 'pair')} of {symbols} symbols", fontsize=10)
        # white over the lines of chance
        place = {
            "framealpha": 1,
            "edgecolor": "none",
            "fontsize": 7,
            "loc": "lower right",
        }
        legend_in_order(axes, (look["label"], GUESS, "chance"), **place)
    marks.number_x(panels[-1], data["bytes"])
    panels[-1].tick_params("x", labelsize=8)
    panels[-1].set_xlabel("state, bytes")
    panels[-1].set_title("all, by bytes of state", fontsize=10)
    marks.legend(panels[-1], fontsize=7, loc="lower right")
    panels[0].set_ylabel("accuracy of recalled values")
    caption = (
        "The figure shows how accurately nets of each width recall pairs. Points are the median"
        f" of up to {marks.greatest(data, 'seeds')} seeds, and bars reach to all of them. A net"
        " stops once it is right at 99 %. After Arora et al., Zoology (2023), fig. 2, and Based"
        " (2024), fig. 2, scaled down, with LSTMs of one layer and one recipe."
    )
    return marks.finish(
        picture,
        rows,
        data,
        caption,
        150,
        left=0.065,
        right=0.985,
        top=0.85,
        wspace=0.24,
    )


def _wider_for_more(data: pl.DataFrame) -> Finding:
    widths = least_widths(data, "pairs", pl.col("accuracy") >= PASS)
    if len(widths) < 2 or math.isinf(min(widths.values())):
        return NOT_MEASURED
    tried = least_widths(data, "pairs", pl.col("units") == pl.col("units").max())
    words = {
        k: f"over {tried[k]}" if math.isinf(units) else str(units)
        for k, units in widths.items()
    }
    text = ", ".join(
        f"{units} units for {plural(pairs, 'pair')}" for pairs, units in words.items()
    )
    rises = all(few < more for few, more in itertools.pairwise(widths.values()))
    lines = data.sort("pairs").group_by("units").agg("accuracy")["accuracy"]
    falls = sum(
        all(few > more for few, more in itertools.pairwise(line)) for line in lines
    )
    text += f"; at {falls} of {len(lines)} widths more pairs are recalled less well"
    return Finding(text, rises and falls == len(lines))


def _by_state(data: pl.DataFrame) -> Finding:
    own = data.drop_nulls("bytes")
    if (
        own["pairs"].n_unique() < 2
        or own["accuracy"].n_unique() < 3
        or own["units"].n_unique() < 2
    ):
        return NOT_MEASURED
    correlation = rank_correlation(own["bytes"] / own["pairs"], own["accuracy"])
    return Finding(f"rank correlation {correlation:.2f}", correlation >= CORRELATION)


PAPER = Paper(
    source=(
        "Arora, Eyuboglu, Timalsina, Johnson, Poli, Zou, Rudra & Ré, Zoology: measuring and"
        " improving recall in efficient language models, ICLR 2024 (2312.04927); Arora et al.,"
        " Based, ICML 2024 (2402.18668)"
    ),
    cost="2 minutes on one core of a busy machine, without compilation (60 members)",
    read="code",
    table=curves,
    claims=(
        StandIn(
            "more pairs ask for more units (here: the narrowest tried whose median net recalls"
            f" {PASS:.0%} rises with the pairs, and at each width more pairs are recalled less"
            " well)",
            f"without attention: {THEIRS} (by eye)",
            "Zoology, fig. 2; of pairs its appendix F, as a note quotes it",
            _wider_for_more,
            within=("units",),
            post_hoc=True,
        ),
        StandIn(
            "what is recalled follows the size of the state (here: of an LSTM, whose weights grow"
            f" with its state, rank correlation with bytes per pair at least {CORRELATION:g})",
            '"a key tradeoff between a model\'s state size and recall ability"',
            "Based, abstract and fig. 2",
            _by_state,
            within=("pairs", "symbols"),
        ),
    ),
)

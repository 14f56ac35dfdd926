"""Does one layer follow the product of a group whose elements do not commute, if its step is diagonal?

Protocol: elements of a group of order 60 come one by one, up to 20 of them, and at every step the product so
far is due. A5 and A4 x Z5 do not commute, Z60 does. A sequence is right if all its products are; a net has
learnt a length at .9 of the sequences. A plain recurrent net (ReLU, 2,048 units) learns all groups at all
lengths in one layer; S4, Mamba and a transformer need more layers the longer the sequence, in the groups that
do not commute and not in Z60. A million sequences of each length, and all of two elements, are trained on.

Ours: A4, the factor of theirs that does not commute, and Z12, which does, both of order 12; one layer of 32
units, of the ReLU net 64; at most 4,000 steps, of the ReLU net 10,000, of 64 sequences of 16 elements,
without a start symbol; tested at 2 to 64. `selective_LRU` has a complex diagonal step that depends on the
input; minGRU, as Mamba by default, a positive one. With short sequences first, lengths are drawn up to a
front that rises from 3 elements as a net learns: of 16 alone the ReLU net learnt nothing.
"""

import textwrap

import polars as pl
from matplotlib.figure import Figure

from memcap.capacity.lengths import over_lengths
from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper, knob

GROUPS = {"Z12": "Z12: commutes", "A4": "A4: does not commute"}
CELLS = {
    "OptimizedLSTMCell": "LSTM",
    "irnn": "ReLU RNN",
    "selective_LRU": "selective LRU",
    "minGRU": "minGRU",
}
DIAGONAL = ("selective_LRU", "minGRU")
TRAINED = 16  # elements
LEARNT = 0.9  # share of whole sequences
NET = ["group", "cell", "front", "seed"]


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Each net at each length: group, cell, whether short sequences came first, seed, elements of a sequence;
    the share of whole sequences right, and that of products."""
    own = rows.filter(pl.col("task") == "word_problem", pl.col("cell").is_in([*CELLS]))
    elements = (pl.col("number") + 1).alias("elements")
    front = pl.col("curriculum").is_not_null().alias("front")
    columns = (knob("group"), "cell", front, "seed", elements, "whole", pl.col("score").alias("products"))
    return over_lengths(own).select(*columns).sort(*NET, "elements")


def draw(rows: pl.DataFrame) -> Drawn:
    """Share of whole sequences right by length, a line per net, a panel per group."""
    data = lines(rows)
    picture = Figure(figsize=(8, 4))
    for axes, (group, title) in zip(picture.subplots(1, 2, sharey=True), GROUPS.items(), strict=True):
        for k, cell in enumerate(CELLS):
            own = data.filter(pl.col("group") == group, pl.col("cell") == cell)
            for number, net in enumerate(own.partition_by(NET, maintain_order=True)):
                beside = 1.05 ** (k - 1)  # marks of cells stand beside each other
                look = {"color": COLOURS[k], "marker": MARKERS[k], "ms": 4, "lw": 1, "alpha": 0.75}
                look["ls"] = "--" if net["front"][0] else "-"
                label = "_again" if number else CELLS[cell]
                axes.plot(net["elements"] * beside, net["whole"], label=label, **look)
        axes.axhline(LEARNT, color="grey", lw=0.8, ls="--")
        axes.axvline(TRAINED, color="grey", lw=0.8, ls=":")
        axes.set(title=title, xscale="log", xlabel="elements", ylim=(-0.03, 1.05))
        axes.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
        axes.set_xticks([], minor=True)
    picture.axes[0].set_ylabel("share of whole sequences right")
    picture.axes[0].legend(frameon=False, fontsize=8)
    caption = (
        "A line is a net of one layer, trained at 16 elements (dotted) for at most"
        f" {rows['budget'].max() or 0:,} steps; dashed, short sequences came first. Grey, across: learnt."
        " After Merrill et al. (2024), whose groups are of order 60."
    )
    write_below(picture, textwrap.fill(caption, 125))
    picture.subplots_adjust(left=0.09, right=0.98, top=0.92, wspace=0.06)
    return Drawn(picture, data)


def _shares(rows: pl.DataFrame, cell: str, group: str) -> list[float]:
    """The share of whole sequences that each net of a cell has right at the trained length."""
    own = pl.col("elements") == TRAINED, pl.col("cell") == cell, pl.col("group") == group
    return lines(rows).filter(*own)["whole"].to_list()


def _in_all_seeds(rows: pl.DataFrame, cell: str, *groups: str) -> Finding:
    """Whether each net of a cell learns each of the groups."""
    shares = {group: _shares(rows, cell, group) for group in groups}
    if not all(shares.values()):
        return NOT_MEASURED
    text = ", ".join(f"{group} {min(each):.2f} to {max(each):.2f}" for group, each in shares.items())
    return Finding(text, all(share >= LEARNT for each in shares.values() for share in each))


def _diagonal(rows: pl.DataFrame) -> Finding:
    """Whether the LSTM learns A4 in all seeds, and no net with a diagonal step does."""
    best = {cell: max(_shares(rows, cell, "A4"), default=None) for cell in DIAGONAL}
    lstm = _in_all_seeds(rows, "OptimizedLSTMCell", "A4")
    scores = [score for score in best.values() if score is not None]
    if lstm.holds is None or len(scores) < len(best):
        return NOT_MEASURED
    text = ", ".join(f"{CELLS[cell]} at most {score:.2f}" for cell, score in best.items())
    return Finding(f"{text}; LSTM, {lstm.ours}", lstm.holds and max(scores) < LEARNT)


def _sign(rows: pl.DataFrame) -> Finding:
    """Whether the selective LRU learns Z12 in all seeds, and no minGRU does."""
    lru, positive = _in_all_seeds(rows, "selective_LRU", "Z12"), _shares(rows, "minGRU", "Z12")
    if lru.holds is None or not positive:
        return NOT_MEASURED
    text = f"selective LRU, {lru.ours}; minGRU at most {max(positive):.2f}"
    return Finding(text, lru.holds and max(positive) < LEARNT)


PAPER = Paper(
    source="Merrill, Petty & Sabharwal, The illusion of state in state-space models, ICML 2024 (2404.08819)",
    cost="2 core minutes; 6 minutes on two cores of a busy machine",
    claims=(
        Claim(
            "a plain recurrent net (ReLU) learns both groups in one layer, in all seeds",
            "one layer learns all groups at all lengths tried",
            "figure and text",
            lambda rows: _in_all_seeds(rows, "irnn", *GROUPS),
            expected=False,
            why="10,000 steps of 64 sequences are short for it: it has .87 to .99 of single products right by"
            " then, where theirs has 2,048 units, and up to 500 epochs of 800,000 sequences",
        ),
        Claim(
            "one layer whose step is diagonal does not learn the group that does not commute at 16 elements,"
            " and one whose step sees the state does, an LSTM in all seeds",
            "S4 and Mamba take more layers the longer the sequence, for A5 and A4 x Z5",
            "figure and text",
            _diagonal,
        ),
        Claim(
            "an LSTM learns both groups in one layer, in all seeds",
            "a cell that is not in the paper",
            "our own question",
            lambda rows: _in_all_seeds(rows, "OptimizedLSTMCell", *GROUPS),
            whose="ours",
        ),
        Claim(
            "of the group that commutes, a complex diagonal step learns 16 elements in one layer, in all"
            " seeds, and a positive one does not",
            "Z60 takes S4 and Mamba no more layers at a greater length",
            "figure and text",
            _sign,
            whose="ours",
        ),
    ),
)

"""Does a linear recurrence learn parity, if its eigenvalues may be negative?

Protocol: is the number of ones odd? Sequences of 3 to 40 bits train a net of two layers, 128 numbers wide;
ones of 40 to 256 test it, at the best of four rates. Eigenvalues of DeltaNet and of Mamba lie in [0, 1];
twice the strength of a write, or of the gate, lets them lie in [-1, 1]. The score goes from chance, 0, to 1:
(accuracy - .5) / .5.

Ours: one layer without what is around it (memcap/cells/matrix.py), 2 to 8 units, one rate. Sequences grow to
16 bits by a curriculum, and are tested at 16 and 64. A net trains until it is right at both, or its budget is
over.
"""

import math
import textwrap

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper

POSITIVE = ("linear_attention", "delta_net", "gated_delta_net", "minGRU")
OTHERS = ("signed_delta_net", "selective_LRU", "OptimizedLSTMCell")
CHANCE = 0.5
SHARE = 0.75  # of the nets that a claim speaks of
LEARNT = 0.95  # the score from which a net has learnt what it was trained on
GOES_ON = 0.8  # and from which it goes on beyond that
UNLEARNT = 0.15  # the score up to which a net has learnt nothing
LENGTHS = {"trained": "final", "longer": "stretched"}


def scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Each net: cell, units, seed; its score at the trained length and at the longer one; whether it was
    solved."""
    scaled = [((pl.col(old) - CHANCE) / (1 - CHANCE)).alias(new) for new, old in LENGTHS.items()]
    return (
        rows.filter(
            pl.col("task") == "parity",
            pl.col("cell").is_in([*POSITIVE, *OTHERS]),
            pl.col("final").is_not_null(),
        )
        .select("cell", "units", "seed", *scaled, "solved")
        .sort("cell", "units", "seed")
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Scores of all nets by cell, a mark per net, at the trained length and at four times as many bits; after
    the paper's table 3."""
    data = scores(rows)
    picture = Figure(figsize=(7.2, 4.4))
    panels, cells = picture.subplots(1, 2, sharey=True), [*OTHERS[::-1], *POSITIVE[::-1]]
    widths = data["units"].unique().sort().to_list()
    for axes, length, title in zip(panels, LENGTHS, ("16 bits, as trained", "64 bits"), strict=True):
        for k, units in enumerate(widths):
            own = data.filter(units=units)
            places = [cells.index(cell) + 0.2 * (len(widths) // 2 - k) for cell in own["cell"]]
            look = {"c": COLOURS[k], "marker": MARKERS[k], "s": 22, "alpha": 0.7}
            axes.scatter(own[length], places, label=f"{units} units", **look)
        axes.axhline(len(OTHERS) - 0.5, color="grey", lw=0.8)
        axes.axvline(0, color="grey", lw=0.8, ls=":")
        axes.set(title=title, xlabel="score: 0 is chance", xlim=(-1.05, 1.05))
        axes.set_yticks(range(len(cells)), cells)
    panels[0].legend(frameon=False, fontsize=8, loc="lower left")
    caption = (
        "Above the line all eigenvalues are positive. A mark is a net of one layer, of at most"
        f" {rows['budget'].max() or 0:,} training steps. After Grazzi et al. (2024), table 3, whose"
        " nets have two layers."
    )
    write_below(picture, textwrap.fill(caption, 110))
    picture.subplots_adjust(left=0.22, top=0.93, wspace=0.08)
    return Drawn(picture, data)


def _most(data: pl.DataFrame, length: str) -> float:
    """The score that three of four nets reach."""
    return data[length].sort(descending=True)[math.ceil(SHARE * data.height) - 1]


def _signed(rows: pl.DataFrame, length: str, least: float) -> Finding:
    data = scores(rows).filter(cell="signed_delta_net")
    if data.is_empty() or data[length].null_count():
        return NOT_MEASURED
    return Finding(f"{_most(data, length):.2f}", _most(data, length) >= least)


def _positive(rows: pl.DataFrame) -> Finding:
    data = scores(rows)
    own = {cell: data.filter(cell=cell)["trained"].to_list() for cell in ("delta_net", "gated_delta_net")}
    if not all(own.values()):
        return NOT_MEASURED
    best = {cell: max(each) for cell, each in own.items()}
    text = ", ".join(f"{cell} {score:.2f}" for cell, score in best.items())
    return Finding(text, all(score <= UNLEARNT for score in best.values()))


def _decides(rows: pl.DataFrame) -> Finding:
    shares = dict(scores(rows).group_by("cell").agg(pl.col("solved").mean()).iter_rows())
    if set(shares) != {*POSITIVE, *OTHERS}:
        return NOT_MEASURED
    text = ", ".join(f"{cell} {shares[cell]:.0%}" for cell in (*POSITIVE, *OTHERS))
    holds = all(shares[cell] == 0 for cell in POSITIVE) and all(shares[cell] >= 0.5 for cell in OTHERS)
    return Finding(f"solved: {text}", holds)


PAPER = Paper(
    source="Grazzi, Siems, Zela, Franke, Hutter & Pontil, Unlocking state-tracking in linear RNNs through"
    " negative eigenvalues, 2024 (2411.12537)",
    cost="7 minutes on one core of a busy machine",
    claims=(
        Claim(
            "DeltaNet with eigenvalues in [-1, 1] learns parity (three of four nets score at least .95)",
            "1.000 best, .999 median, at 40 to 256 bits",
            "tables 3 and 5",
            lambda rows: _signed(rows, "trained", LEARNT),
        ),
        Claim(
            "and goes on beyond what it was trained on (at four times as many bits at least .8)",
            "1.000 best, .999 median, at 40 to 256 bits",
            "tables 3 and 5",
            lambda rows: _signed(rows, "longer", GOES_ON),
        ),
        Claim(
            "DeltaNet with eigenvalues in [0, 1], gated or not, learns nothing (best net at most .15)",
            ".017 best, .010 median, at 40 to 256 bits",
            "tables 3 and 5",
            _positive,
        ),
        Claim(
            "in one layer of 2 to 8 units no net with positive eigenvalues is solved, and at least half of"
            " those are that have a sign, a phase or a gate that sees the state",
            "Mamba .000 and 1.000 with a sign, sLSTM 1.000",
            "table 3",
            _decides,
            whose="ours",
        ),
    ),
)

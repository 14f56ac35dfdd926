"""Does recall by a state of one size fall as there are more pairs and more steps?

Protocol: pairs of key and value, and then their keys, whose values are due, in 128, 256
and 512 steps, of which a quarter are pairs. Two layers of DeltaNet of one head and 32
or 64 numbers get worse the longer the sequence is; the same layers with states that
grow with the log of its length do not, nor does attention (section 4.1, figure 5).
10,000 sequences, 100 epochs, the best of several rates. We read the text; accuracies
are in a figure alone.

Ours: 16, 32 and 64 steps (memcap/tasks/mqar.py), 32 keys and 32 values, and blanks
between the queries. One layer with the parts of the published one, keys of 8 numbers
and values of 8, or of 16; 2,000 steps of 64 fresh sequences at one rate, three nets.
GLA has no convolution, as published; linear attention stands for the sum rule, with a
kernel over two inputs.
"""

import itertools

import polars as pl

from memcap.figures import Drawn
from memcap.findings import Finding, OurClaim, Paper, StandIn, marks
from memcap.findings.claims import all_of, compare, having, knob, pick

DELTA = "delta_net+conv4+key8"
GATED = "gated_delta_net+conv4+gate+rate+key8"
OTHERS = {
    "linear_attention+key8": "linear attention",
    "gla+gate+key8": "GLA",
    "mamba2+conv4+gate+skip+key8": "Mamba-2",
}
CELLS = {DELTA: "DeltaNet", GATED: "Gated DeltaNet", **OTHERS}
PAIRS = (4, 8, 16)
COMPARED = 8  # pairs at which the cells are compared
UNITS = 8  # numbers of a value
ABOVE = "{name}: {a.least:.2f} to {a.most:.2f} against {b.least:.2f} to {b.most:.2f}"


def accuracies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net with the accuracy of the values that it recalls."""
    own = rows.filter(having(task="mqar", cell=CELLS))
    columns = own.select(
        "cell", "units", knob("pairs", pl.Int64), "seed", accuracy="final"
    )
    return columns.sort("cell", "units", "pairs", "seed")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the accuracy of recall by pairs, a line per cell and width."""
    data = accuracies(rows)
    picture, axes = marks.panels((6.4, 4.2))
    lines = data.group_by("cell", "units", maintain_order=True)
    for k, ((cell, units), nets) in enumerate(lines):
        beside = 1.03 ** (k - 2)  # marks stand beside each other
        label = f"{CELLS[cell]}, values of {units}"
        marks.with_nets(axes, nets, "pairs", "accuracy", k, label, beside)
    axes.set(xscale="log", xlabel="pairs, a quarter of the steps", ylim=(-0.03, 1.05))
    axes.set_ylabel("accuracy of recalled values")
    marks.number_x(axes, PAIRS)
    marks.legend(axes, loc="lower left")
    caption = (
        "Each mark shows one net of one layer after at most"
        f" {marks.greatest(rows, 'budget'):,} training steps, and lines their medians."
        " After Guo et al. (2025), figure 5."
    )
    return marks.finish(picture, rows, data, caption, 100, left=0.1, right=0.97)


def _above(more: list[float], less: list[float]) -> bool:
    return min(more) > max(less)


def _falls(data: pl.DataFrame) -> Finding:
    own = pick(data.filter(cell=DELTA, units=UNITS), "accuracy", "pairs", PAIRS)
    pairs = {
        f"{few} pairs and {many}": (own[few], own[many])
        for few, many in itertools.pairwise(PAIRS)
    }
    return compare(pairs, ABOVE, _above)


def _best(data: pl.DataFrame) -> Finding:
    own = pick(data.filter(pairs=COMPARED), "accuracy", "cell", CELLS)
    delta = own["DeltaNet"]
    others = {name: (delta, own[name]) for name in OTHERS.values()}
    gated = {"Gated DeltaNet": (delta, own["Gated DeltaNet"])}
    medians = "{name}: {a.median:.2f} against {b.median:.2f}"
    return all_of(
        compare(others, ABOVE, _above),
        compare(gated, medians, lambda a, b: a.median >= b.median),
    )


def _wider(data: pl.DataFrame) -> Finding:
    own = data.filter(cell=DELTA, pairs=max(PAIRS))
    wide, narrow = (
        own.filter(pl.col("units") == units)["accuracy"].to_list()
        for units in (2 * UNITS, UNITS)
    )
    return compare({"values of 16 and of 8": (wide, narrow)}, ABOVE, _above)


PAPER = Paper(
    source=(
        "Guo, Yang, Goel, Xing, Dao & Kim, Log-linear attention, 2025 (arXiv 2506.04761)"
    ),
    cost="8 minutes on one of two busy cores (24 members)",
    table=accuracies,
    claims=(
        StandIn(
            "as there are more pairs and more steps, DeltaNet recalls less (here: each net with"
            " a state of 64 numbers recalls a smaller share of 16 pairs than any of 8, and of"
            " 8 than any of 4)",
            "degrades significantly as steps grow from 128 to 512, and pairs with them",
            "section 4.1, figure 5",
            _falls,
            within=("cell", "units"),
        ),
        StandIn(
            "of linear attentions DeltaNet without a gate recalls best (here: each net recalls"
            f" more of {COMPARED} pairs than any of linear attention, GLA and Mamba-2, and the"
            " median at least that of Gated DeltaNet)",
            "performs best; without numbers",
            "section 4.1",
            _best,
            within=("pairs", "units"),
        ),
        OurClaim(
            "each DeltaNet with values twice as long, so with twice the state and more weights,"
            " recalls more of 16 pairs",
            "32 and 64 numbers, in two panels",
            "figure 5",
            _wider,
            within=("cell",),
        ),
    ),
)

"""Does one layer follow the product of a group whose elements do not commute, if its
step is diagonal?

Protocol: elements of a group of order 60 come one by one, up to 20 of them, and at
every step the product so far is due. A5 and A4 x Z5 do not commute, Z60 does. A
sequence is right if all its products are; a net has learnt a length at 0.9 of the
sequences. A plain recurrent net (ReLU, 2,048 units) learns all groups at all lengths in
one layer. S4, Mamba and a transformer need more layers the longer the sequence is, in
the groups that do not commute and not in Z60. They train on a million sequences of each
length, and on all of two elements.

Ours: A4, the factor of theirs that does not commute, and Z12, which does, both of order
12. One layer of 32 units, of the ReLU net 64; at most 4,000 steps, of the ReLU net
10,000, of 64 sequences of 16 elements, without a start symbol; tested at 2 to 64.
`selective_LRU` and minGRU stand for S4 and Mamba: the first has a complex diagonal step
that depends on the input, the second a positive one, as Mamba by default. The LSTM is
ours. "Short sequences first" means that lengths are drawn up to a front, which rises
from 3 elements as a net learns: from 16 alone the ReLU net learnt nothing.
"""

import polars as pl

from memcap.figures import Drawn
from memcap.findings import Finding, OurClaim, Paper, StandIn, marks, over_lengths
from memcap.findings.claims import all_of, at_least, below, each, having, knob, pick

GROUPS = {"Z12": "Z12: commutes", "A4": "A4: does not commute"}
LSTM = {"OptimizedLSTMCell": "LSTM"}
DIAGONAL_CELLS = {"selective_LRU": "selective LRU", "minGRU": "minGRU"}
CELLS = LSTM | {"irnn": "ReLU RNN"} | DIAGONAL_CELLS
LENGTH = 16  # elements in training
PASS = 0.9  # share of whole sequences from which on a net has learnt a length
NET = ["group", "cell", "front", "seed"]
SPAN = "{name} {nets.least:.2f} to {nets.most:.2f}"
MOST = "{name} at most {nets.most:.2f}"


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net (`front`: short sequences came first) at each length, with what
    it has right."""
    own = over_lengths(rows.filter(having(task="word_problem", cell=CELLS)))
    front = pl.col("curriculum").is_not_null().alias("front")
    elements = (pl.col("number") + 1).alias("elements")
    products = pl.col("score").alias("products")
    columns = own.select(
        knob("group"), "cell", front, "seed", elements, "whole", products
    )
    return columns.sort(*NET, "elements")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the share of whole sequences right by length, a line per net, a panel per group."""
    data = lines(rows)
    picture, panels = marks.panels((8, 4), 1, 2, sharey=True)
    for axes, (group, title) in zip(panels, GROUPS.items(), strict=True):
        for k, (cell, name) in enumerate(CELLS.items()):
            own = data.filter(group=group, cell=cell)
            for number, net in enumerate(own.partition_by(NET, maintain_order=True)):
                look = marks.look(
                    k, ms=4, lw=1, alpha=0.75, ls="--" if net["front"][0] else "-"
                )
                beside = 1.05 ** (k - 1)  # marks of cells stand beside each other
                axes.plot(
                    net["elements"] * beside,
                    net["whole"],
                    label="_again" if number else name,
                    **look,
                )
        marks.level(axes, PASS, ls="--")
        axes.axvline(LENGTH, color="grey", lw=0.8, ls=":")
        axes.set(title=title, xscale="log", xlabel="elements", ylim=(-0.03, 1.05))
        marks.number_x(axes, [2, 4, 8, 16, 32, 64])
    panels[0].set_ylabel("share of whole sequences right")
    marks.legend(panels[0])
    caption = (
        "Each line shows one net of one layer, trained at 16 elements (dotted) for at most"
        f" {marks.greatest(rows, 'budget'):,} steps. Dashed lines show nets that saw short"
        " sequences first. Nets above the horizontal grey line have learnt the task. After"
        " Merrill et al. (2024), whose groups are of order 60."
    )
    return marks.finish(
        picture, rows, data, caption, 125, left=0.09, right=0.98, top=0.92, wspace=0.06
    )


def _learns_both(nets: pl.DataFrame, cell: str) -> Finding:
    shares = pick(
        nets.filter(elements=LENGTH, cell=cell), "whole", "group", ["Z12", "A4"]
    )
    return each(shares, SPAN, at_least(PASS), join=", ")


def _diagonal(nets: pl.DataFrame) -> Finding:
    own = nets.filter(elements=LENGTH, group="A4")
    diagonal = each(
        pick(own, "whole", "cell", DIAGONAL_CELLS), MOST, below(PASS), join=", "
    )
    lstm = pick(own, "whole", "cell", {"OptimizedLSTMCell": "LSTM, A4"})
    return all_of(diagonal, each(lstm, SPAN, at_least(PASS)))


def _sign(nets: pl.DataFrame) -> Finding:
    own = nets.filter(elements=LENGTH, group="Z12")
    lru = each(
        pick(own, "whole", "cell", {"selective_LRU": "selective LRU, Z12"}),
        SPAN,
        at_least(PASS),
    )
    return all_of(lru, each(pick(own, "whole", "cell", ["minGRU"]), MOST, below(PASS)))


PAPER = Paper(
    source=(
        "Merrill, Petty & Sabharwal, The illusion of state in state-space models, ICML 2024"
        " (2404.08819)"
    ),
    cost="2 core minutes; 6 minutes on two cores of a busy machine",
    table=lines,
    claims=(
        StandIn(
            "a plain recurrent net (ReLU) learns both groups in one layer, in all seeds",
            "one layer learns all groups at all lengths tried",
            "figure and text",
            lambda nets: _learns_both(nets, "irnn"),
            within=("group",),
            why=(
                "10,000 steps of 64 sequences are short for it: it has 0.87 to 0.99 of single"
                " products right by then, where theirs has 2,048 units, and up to 500 epochs of"
                " 800,000 sequences"
            ),
            reached=False,
        ),
        StandIn(
            "one layer whose step is diagonal does not learn A4, a group that does not commute, at"
            " 16 elements, and one whose step sees the state does, an LSTM in all seeds",
            "S4, whose step is the same at all inputs, and Mamba need more layers the longer the"
            " sequence, for A5 and for A4 x Z5, which is solvable as A4 is",
            "figure and text",
            _diagonal,
            within=("group",),
        ),
        OurClaim(
            "an LSTM learns both groups in one layer, in all seeds",
            "a cell that is not in the paper",
            "our own question",
            lambda nets: _learns_both(nets, "OptimizedLSTMCell"),
            within=("group",),
        ),
        OurClaim(
            "of the group that commutes, a complex diagonal step learns 16 elements in one layer,"
            " in all seeds, and a positive one does not",
            "Z60 takes S4 and Mamba no more layers at a greater length",
            "figure and text",
            _sign,
            within=("group",),
        ),
    ),
)

"""Does a net follow a state only where its hidden state reaches its gates, and recall
pairs better with a matrix?

Protocol: sLSTM is an LSTM with an exponential input gate, whose gates see the last
hidden state. The memory of mLSTM is a matrix, and its gates see the input alone. All
nets have two blocks, or of a plain LSTM two layers. Formal languages: lengths up to 40
in training, 40 to 256 in the test; the accuracy is scaled so that 0 is chance and 1 is
right. AdamW, 100,000 steps of 256 sequences, three rates with two seeds each. Recall
(MQAR): 4 to 256 pairs in 64 to 2,048 steps, 64 epochs of 100,000 sequences, the best of
four rates. We read the text; scores of recall are in figures alone.

Ours: two layers without residual connections, norms or MLPs around them, Adam, and
three seeds. mLSTM, and Mamba-2, which stands in for Mamba, have the parts of their
published layers (memcap/cells/layer_parts.py), with one head, and keys of 16 numbers.
sLSTM starts with recurrent weights of 0. Parity and even pairs: 8 units, one rate, at
most 3,000 steps of 64 sequences whose longest length rises from 6 to 40 as the net
learns. A net trains until five evaluations in a row are right at 40 bits and at 160, or
to the end of its budget. The score is the mean over five lengths of the paper's test.
Recall: 4 pairs of 16 keys and 16 values, whose queries come within 16 steps, by 16
units. LSTM and sLSTM, neither with a convolution, train for 6,000 steps of 64
sequences, eight seeds at the better of two rates; sLSTM with its convolution too, three
seeds at the rate that is better on seed 0. mLSTM, which has 16 numbers of state a unit,
trains for at most 2,000. Our own claim has 32 units and 2,000 steps.

At first an sLSTM with its convolution met an LSTM without one; the claim held, and told
nothing of the gate. Nets that do not follow parity beyond the
trained length do not learn it at that length, either, in these steps. A claim that
mLSTM and Mamba-2 learn even pairs of 40 bits was dropped once it held: shuffled
outcomes did not deny it.
"""

from functools import partial

import polars as pl
from matplotlib.axes import Axes

from memcap.figures import Drawn
from memcap.findings import (
    Claim,
    Finding,
    OurClaim,
    Paper,
    StandIn,
    marks,
    over_lengths,
)
from memcap.findings.claims import (
    all_of,
    at_least,
    at_most,
    compare,
    each,
    having,
    knob,
    pick,
)

LSTM = "OptimizedLSTMCell"
SLSTM = "slstm"
SLSTM_LAYER = "slstm+conv4"
MLSTM = "mlstm+conv4+gate+skip"
MAMBA = "mamba2+conv4+gate+skip"
CELLS = {
    LSTM: "LSTM",
    SLSTM: "sLSTM",
    SLSTM_LAYER: "sLSTM, convolution",
    MLSTM: "mLSTM",
    MAMBA: "Mamba-2",
}
LANGUAGES = {"parity": "parity", "even_pairs": "even pairs"}
IN_LANGUAGES = (LSTM, SLSTM, MLSTM, MAMBA)
PAIRS = 4
NARROW = 16
WIDE = 32
AT_WIDTHS = {NARROW: (LSTM, SLSTM, SLSTM_LAYER, MLSTM), WIDE: (LSTM, SLSTM)}
TRAINED = 40  # bits, the longest in training
SOLVED = 0.9  # least score of a net that has solved a language
NOTHING = 0.15  # greatest score of a net that has learnt nothing
RECALLED = 0.95  # least accuracy of a net that recalls its pairs
LEAD = 0.05  # accuracy by which nets of one cell recall more than those of another
CONDITION = ["task", "cell", "units"]
SPAN = "{name}: {nets.least:.2f} to {nets.most:.2f}"
MOST = "{name}: at most {nets.most:.2f}"
LEADS = "{name}: {a.least:.2f} or more, {b.most:.2f} or less"


def scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net with its score: the accuracy of recall, or the mean over the
    lengths of a language's test, where 0 is chance, with the one at the longest length
    in training, `trained`. `best` is whether no other rate has a greater mean over the
    seeds."""
    own = rows.filter(having(cell=CELLS))
    net = [*CONDITION, "lr", "seed"]
    tested = over_lengths(own.filter(having(task=LANGUAGES)))
    trained = pl.col("scaled").filter(number=TRAINED).first().alias("trained")
    mean = pl.col("scaled").mean().alias("score")
    languages = tested.group_by(net).agg(mean, trained)
    pairs = knob("pairs", pl.Int64)
    recall = own.filter(pl.col("task") == "mqar", pairs == PAIRS)
    recall = recall.select(*net, score="final", trained=pl.lit(None, pl.Float64))
    nets = pl.concat([languages, recall]).drop_nulls("score").sort(net)
    of_rate = pl.col("score").mean().over(*CONDITION, "lr")
    best = (of_rate == of_rate.max().over(CONDITION)).alias("best")
    return nets.with_columns(best)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw each net's score by cell, a panel per language, and one of recall."""
    data = scores(rows)
    picture, panels = marks.panels((10, 4.2), 1, 3, sharey=True)
    for axes, (task, title) in zip(panels, LANGUAGES.items(), strict=False):
        for place, cell in enumerate(IN_LANGUAGES):
            nets = data.filter(task=task, cell=cell)
            _dots(axes, place - 0.17, cell, nets["trained"], facecolors="none")
            _dots(axes, place + 0.17, cell, nets["score"])
        axes.set_xticks(
            range(len(IN_LANGUAGES)), [CELLS[each] for each in IN_LANGUAGES]
        )
        axes.set(title=title, xlim=(-0.5, len(IN_LANGUAGES) - 0.5))
    for axes, limit in (
        (panels[0], NOTHING),
        (panels[0], SOLVED),
        (panels[-1], RECALLED),
    ):
        marks.level(axes, limit, ls="--")
    recall = panels[-1]
    places = [(units, cell) for units, cells in AT_WIDTHS.items() for cell in cells]
    for place, (units, cell) in enumerate(places):
        nets = data.filter(task="mqar", cell=cell, units=units)
        others = nets.filter(~pl.col("best"))
        _dots(recall, place - 0.17, cell, others["score"], facecolors="none")
        _dots(recall, place + 0.17, cell, nets.filter("best")["score"])
    names = [CELLS[cell].replace(", ", ",\n") for _, cell in places]
    recall.set_xticks(range(len(places)), names)
    recall.axvline(len(AT_WIDTHS[NARROW]) - 0.5, color="grey", lw=0.8, ls=":")
    recall.set(
        title=f"{PAIRS} pairs, {NARROW} units | {WIDE} units", ylim=(-0.15, 1.06)
    )
    for axes in panels:
        axes.tick_params("x", labelsize=8)
    panels[0].set_ylabel("score of a language, accuracy of recall")
    caption = (
        "Each mark shows one net of two layers. Languages: filled marks show the mean score at"
        f" 40 to 256 bits, where 0 is chance, and open ones that at {TRAINED}, the longest length"
        " in training. Recall: filled marks are of the cell's better rate, open ones of the"
        " other. Dashed lines are limits of the claims. After Beck et al. (2024), figures 4 and"
        " 13, scaled down, with Mamba-2 for Mamba."
    )
    return marks.finish(
        picture, rows, data, caption, 165, left=0.07, right=0.99, top=0.92, wspace=0.06
    )


def _dots(axes: Axes, place: float, cell: str, values: pl.Series, **look: str) -> None:
    """Draw nets of a cell side by side about a place."""
    step = 0.07 * min(1, 4 / max(1, len(values)))
    places = [place + step * (k - (len(values) - 1) / 2) for k in range(len(values))]
    dots = marks.dots([*CELLS].index(cell), **look)
    if look:
        dots["edgecolors"] = dots.pop("color")
    axes.scatter(places, values, **dots)


def _parity(nets: pl.DataFrame, *cells: str) -> dict[str, list[float]]:
    """Return scores of these cells at parity, by cell."""
    names = {cell: CELLS[cell] for cell in cells}
    return pick(nets.filter(task="parity"), "score", "cell", names)


def _recall(nets: pl.DataFrame, units: int, *cells: str) -> dict[str, list[float]]:
    """Return accuracies of recall of these cells at their best rates, by cell."""
    names = {cell: CELLS[cell] for cell in cells}
    own = nets.filter("best", task="mqar", units=units)
    return pick(own, "score", "cell", names)


def _mixing(nets: pl.DataFrame, without: str) -> Finding:
    """Judge whether LSTM and sLSTM solve parity, and a cell without memory mixing does
    not."""
    solve = _parity(nets, LSTM, SLSTM)
    fail = _parity(nets, without)
    return all_of(
        each(solve, SPAN, at_least(SOLVED)), each(fail, MOST, at_most(NOTHING))
    )


def _leads(nets: pl.DataFrame, units: int, more: str, *less: str) -> Finding:
    """Judge whether each net of a cell recalls more than all nets of the others."""
    own = _recall(nets, units, more)[CELLS[more]]
    both = {
        f"{CELLS[more]} and {name}": (own, accuracies)
        for name, accuracies in _recall(nets, units, *less).items()
    }
    return compare(both, LEADS, lambda a, b: min(a) >= max(b) + LEAD)


def _matrix(nets: pl.DataFrame) -> Finding:
    recalls = each(_recall(nets, NARROW, MLSTM), SPAN, at_least(RECALLED))
    return all_of(recalls, _leads(nets, NARROW, MLSTM, SLSTM, SLSTM_LAYER, LSTM))


RECALL_FIGURE = "appendix B.1.2, on figure 13"
PAPER = Paper(
    source=(
        "Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter &"
        " Hochreiter, xLSTM: extended long short-term memory, NeurIPS 2024 (2405.04517)"
    ),
    cost="44 minutes of one core by the rows, beside other jobs (74 members)",
    table=scores,
    claims=(
        Claim(
            "nets with memory mixing solve parity, and mLSTM, which has none, does not (here, at"
            f" 40 to 256 bits: all nets of LSTM and of sLSTM score {SOLVED:g} or more, and those"
            f" of mLSTM {NOTHING:g} or less)",
            "models without memory mixing cannot solve parity: LSTM 1.0, sLSTM 1.0, mLSTM 0.04",
            "section 4.1, figure 4",
            partial(_mixing, without=MLSTM),
            within=("task",),
        ),
        StandIn(
            "nor does a state space model (here: all nets of Mamba-2 score"
            f" {NOTHING:g} or less at 40 to 256 bits, where those of LSTM and sLSTM score"
            f" {SOLVED:g} or more)",
            "Mamba 0.13",
            "section 4.1, figure 4",
            partial(_mixing, without=MAMBA),
            within=("task",),
        ),
        StandIn(
            "exponential gating improves recall: sLSTM recalls more than LSTM (here: of"
            f" {PAIRS} pairs, with {NARROW} units and no convolution in either, each net more than"
            f" each of the LSTM, by {LEAD:g})",
            "improves it, by comparison of both; accuracies in a figure alone",
            RECALL_FIGURE,
            lambda nets: _leads(nets, NARROW, SLSTM, LSTM),
            within=("task", "units"),
            post_hoc=True,
            why=(
                "at the rate that is better for both, half of the LSTMs recall as much in 6,000"
                " steps as nets of sLSTM do, and ranks do not tell the two apart, either; more"
                " steps may, as no net of them has all pairs right"
            ),
            reached=False,
        ),
        StandIn(
            f"sLSTM and LSTM fall short of mLSTM in recall (here: with {NARROW} units all nets of"
            f" mLSTM recall {RECALLED:g} or more of {PAIRS} pairs, and those of both, and of sLSTM"
            f" with a convolution, {LEAD:g} less)",
            "both fall short because of the reduced memory capacity; accuracies in a figure alone",
            RECALL_FIGURE,
            _matrix,
            within=("task", "units"),
        ),
        OurClaim(
            f"with {WIDE} units it does after 2,000 steps: each net of sLSTM without a convolution"
            f" recalls more of {PAIRS} pairs than each of the LSTM, by {LEAD:g}",
            "does not say whether sLSTM has its convolution at recall",
            "appendix B.1.2",
            lambda nets: _leads(nets, WIDE, SLSTM, LSTM),
            within=("task", "units"),
        ),
    ),
)

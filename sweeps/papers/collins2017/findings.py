"""Does a recurrent net hold about one number a unit, whatever the delay, and how many bits
do its weights hold?

Protocol: a vector of n numbers from N(0, 1) is shown once. After a delay of blank steps
the net outputs it, and the mean squared error counts. Collins et al. vary architecture
and depth, tune every net, and draw the error against the hidden units at n = 64.

Ours: n = 16 (collins2017_full.yaml: 64), one LSTM layer, one recipe for all widths and
delays (conf/recipe/integrator.yaml), delays of 1, 10, 25 and 50 steps; the text that we
read does not give the paper's. A net stops once its error is 0.02.

With any cell, a linear read-out of u hidden numbers leaves an error of at least
1 - u / n; we measure whether nets reach this line, at any delay. A second panel has nets whose
read-out sees h and c (`model.cell=lstm+carry`), with the line 1 - 2 u / n.

What the weights hold: vectors of 8 random numbers have labels drawn at random
(memcap/tasks/random_labels.py), and nets are judged on what they trained on. A net that
has a share p of N labels right holds N (1 - H(p)) bits. For each cell and size the best
of three N and two learning rates counts, by the median of four seeds.
"""

from functools import partial

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from memcap.figures import Drawn
from memcap.findings import (
    NOT_MEASURED,
    Claim,
    Effect,
    Finding,
    Paper,
    StandIn,
    marks,
    plural,
)
from memcap.findings.claims import (
    at_most,
    each,
    group,
    having,
    knob,
    least_widths,
    over_seeds,
    within,
)
from memcap.findings.resample import give_narrower
from memcap.findings.tables import claim_here, filled, point, width

# the cells: the read-out sees h, or h and c
H = "lstm"
CARRY = "lstm+carry"
ERROR = 0.02  # of a median net that holds the vector
DISTANCE = 0.1  # from the line, as a share of the variance
MOVE = 0.1  # of n: how far the width that holds a vector may move with the delay
ALIKE = 1.25  # the most that bits per parameter may differ by, as a factor
BITS = (4, 6)  # about five
SIZES = (220, 560)  # parameters of a net, about
CELLS = {"OptimizedLSTMCell": "LSTM", "GRUCell": "GRU", "SimpleCell": "Elman"}


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the error over the seeds, by cell, numbers n, delay and units, with the
    line of the read-out: 1
    - r / n if it sees r numbers, which are u, or 2 u for the whole carry."""
    own = rows.filter(having(task="vector_hold", cell=[H, CARRY])).with_columns(
        knob("numbers", pl.Int64)
    )
    by = "cell", "numbers", "lag", "units"
    seen = pl.when(pl.col("cell") == CARRY).then(2 * pl.col("units")).otherwise("units")
    line = (1 - seen / pl.col("numbers")).clip(0).alias("line")
    return own.group_by(by).agg(*over_seeds("error")).sort(by).with_columns(line)


def labels(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the bits per parameter that nets hold of random labels: the median over the
    seeds, by cell, parameters, labels and learning rate."""
    own = rows.filter(having(task="random_labels", cell=CELLS))
    right = pl.col("final").clip(0.5, 1)
    entropy = -sum((p * p.log(2)).fill_nan(0) for p in (right, 1 - right))
    bits = pl.col("items") * (1 - entropy) / pl.col("parameters")
    by = "cell", "units", "parameters", "items", "lr"
    return (
        own.with_columns(knob("items", pl.Int64))
        .with_columns(pl.col("cell").replace_strict(CELLS), bits=bits)
        .group_by(by)
        .agg(pl.col("bits").median(), pl.len().alias("seeds"))
        .sort(by)
    )


def table(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the errors of vectors, and below them the bits of labels."""
    return pl.concat([curves(rows), labels(rows)], how="diagonal")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the error by units, a colour per delay, with the line of the read-out, after
    the paper's fig. 2c; and bits per parameter by the number of labels."""
    data = curves(rows)
    cells = [cell for cell in (H, CARRY) if cell in data["cell"]]
    bits = labels(rows)
    drawn = pl.concat([data, bits], how="diagonal")
    number = max(1, len(cells) + bool(bits.height))
    picture, (panels,) = marks.panels(
        (3.8 + 3.4 * number, 5.6), 1, number, squeeze=False
    )
    delays = data.select("numbers", "lag").unique().sort("numbers", "lag").rows()
    for axes, cell in zip(panels, cells, strict=False):
        own = data.filter(cell=cell)
        per_unit = 2 if cell == CARRY else 1
        for numbers in own["numbers"].unique().sort():
            at = np.linspace(0, 1.5 * numbers, 200)
            label = f"1 - {'2 ' * (per_unit == 2)}u / {numbers}"
            marks.theirs(
                axes,
                at,
                np.clip(1 - per_unit * at / numbers, 0, None),
                lw=6,
                label=label,
            )
            axes.axvline(numbers, color="grey", lw=0.8, ls=":")
        for (numbers, lag), line in own.group_by("numbers", "lag", maintain_order=True):
            look = marks.look(delays.index((numbers, lag)), ms=4, lw=1)
            label = f"{numbers} numbers, {plural(lag, 'step')}"
            marks.with_bars(axes, line, "units", "error", label=label, **look)
        axes.set_ylim(bottom=0)
        axes.set(
            xlabel="hidden units",
            title="read out of h and c" if cell == CARRY else "read out of h",
        )
        marks.legend(axes)
    panels[0].set_ylabel("mean squared error of the recalled vector")
    if bits.height:
        _draw_labels(panels[-1], bits)
    picture.suptitle("What units hold of a vector, and weights of labels", y=0.98)
    caption = (
        "The figure shows the error of nets of each width on vectors of n numbers. Points are"
        f" the median over up to {marks.greatest(data, 'seeds')} seeds, and bars reach to all of"
        " them. Grey lines show the least error of any linear read-out of so many numbers. A net"
        " stops once its error is 0.02. Right: the better of two learning rates, by the median."
        " After Collins, Sohl-Dickstein & Sussillo (2017), whose nets are tuned one by one."
    )
    return marks.finish(
        picture, rows, drawn, caption, 60 + 60 * number, top=0.89, wspace=0.2
    )


def _draw_labels(axes: Axes, bits: pl.DataFrame) -> None:
    nets = bits.group_by("cell", "units", maintain_order=True)
    for k, ((cell, units), own) in enumerate(nets):
        best = own.group_by("items").agg(pl.col("bits").max()).sort("items")
        look = marks.look(k, ms=4, lw=1, label=f"{cell}, {plural(units, 'unit')}")
        axes.plot(best["items"], best["bits"], **look)
    axes.set(
        xlabel="labels",
        ylabel="bits per parameter",
        title="random labels",
        xscale="log",
        ylim=(0, None),
    )
    marks.number_x(axes, bits["items"])
    marks.legend(axes)


def _largest(data: pl.DataFrame) -> pl.DataFrame:
    """Return the curves at the largest n; empty unless its widths lie on both sides of n."""
    own = data.filter(cell=H).filter(pl.col("numbers") == pl.col("numbers").max())
    return (
        own if {-1, 1} <= set((own["units"] - own["numbers"]).sign()) else own.clear()
    )


def _widths(data: pl.DataFrame) -> dict[int, float]:
    """Return, by delay, the least width, as a share of n, whose median net holds the vector."""
    own = _largest(data).with_columns(share=pl.col("units") / pl.col("numbers"))
    return least_widths(own, "lag", pl.col("error") <= ERROR, "share")


def _on_the_line(data: pl.DataFrame) -> Finding:
    narrow = _largest(data).filter(pl.col("units") < pl.col("numbers"))
    distances = (narrow["error"] - narrow["line"]).abs()
    return each({"": distances}, "at most {nets.most:.3f} from it", at_most(DISTANCE))


def _held_at_n(data: pl.DataFrame) -> Finding:
    return each(
        _widths(data), "{nets:.2f} n after {name}", within(0.9, 1.15), join=", "
    )


def _delay_moves_nothing(data: pl.DataFrame) -> Finding:
    widths = _widths(data)
    if len(widths) < 2:
        return NOT_MEASURED
    move = max(widths.values()) - min(widths.values())
    text = f"the width moves by {move:.2f} n over {min(widths)} to {max(widths)} steps"
    return Finding(text, move <= MOVE)


def _bits(data: pl.DataFrame) -> pl.DataFrame:
    """Return the bits per parameter of each cell and size, by its best number of labels
    and learning rate."""
    own = data.filter(pl.col("bits").is_not_null())
    best = own.group_by("cell", "units", "parameters").agg(pl.col("bits").max())
    return best.sort("parameters")


def _cells_are_alike(data: pl.DataFrame) -> Finding:
    few, many = SIZES
    parameters = pl.col("parameters")
    size = pl.when(parameters < (few + many) / 2).then(few).otherwise(many)
    bits = group(_bits(data).with_columns(size=size), "bits", "{size} parameters")
    if [len(each_cell) for each_cell in bits.values()] != [len(CELLS)] * len(SIZES):
        return NOT_MEASURED
    words = "{name}: {nets.least:.2f} to {nets.most:.2f} bits for each"
    return each(bits, words, lambda nets: max(nets) <= ALIKE * min(nets))


def _linear(data: pl.DataFrame) -> Finding:
    sizes = group(_bits(data), "bits", "{cell}")
    if not all(len(bits) > 1 for bits in sizes.values()):
        return NOT_MEASURED
    ratios = {cell: bits[-1] / bits[0] for cell, bits in sizes.items()}
    words = "{name}: {nets:.2f} times as many per parameter"
    return each(ratios, words, within(1 / ALIKE, ALIKE))


def _five_bits(data: pl.DataFrame) -> Finding:
    words = "{name}: {nets.least:.2f} to {nets.most:.2f}"
    return each(group(_bits(data), "bits", "{cell}"), words, within(*BITS))


PAPER = Paper(
    source=(
        "Collins, Sohl-Dickstein & Sussillo, Capacity and trainability in recurrent neural"
        " networks, ICLR 2017 (1611.09913)"
    ),
    cost="9 minutes of one CPU core; 31 of a very busy one for the labels (144 members)",
    table=table,
    claims=(
        StandIn(
            "below n units the error is that of reconstructing a subspace of as many dimensions"
            " (here: nets of one LSTM layer reach this line, which no linear read-out is below, at"
            " n = 16)",
            "the curve of an n_h-dimensional subspace: 1 - u / n",
            "text beside fig. 2c, and the line drawn there",
            _on_the_line,
            within=("cell", "lag"),
        ),
        StandIn(
            "a random n-dimensional input can be reproduced if and only if there are n units or"
            " more (here: n units of an LSTM are enough, at n = 16; fewer cannot be, by the line)",
            "n_h >= n_in",
            "text beside fig. 2c",
            _held_at_n,
            within=("cell", "lag"),
        ),
        StandIn(
            "the delay does not move the width",
            '"at some time in the future"',
            "text beside fig. 2c; the delays are ours",
            _delay_moves_nothing,
            within=("cell", "units"),
            denies=Effect(
                "18 units in place of 16 after 50 steps",
                partial(give_narrower, steps=2, cell=H, lag=50),
            ),
        ),
        Claim(
            "all common recurrent cells hold nearly as much information about the task (here:"
            f" LSTM, GRU and Elman net of {SIZES[0]} parameters hold equally many bits of random"
            f" labels, within a factor of {ALIKE}, and so do those of {SIZES[1]})",
            "nearly the same per-task capacity bounds",
            "abstract",
            _cells_are_alike,
            within=("cell", "units", "items", "lr"),
            why=(
                "at 220 parameters the Elman net holds more than the gated ones; but what nets hold"
                " at only two learning rates is a lower bound, and the paper tunes each net"
            ),
            reached=False,
        ),
        Claim(
            "this information is linear in the number of parameters (here: nets of 220 and of 560"
            f" hold equally many bits per parameter, within a factor of {ALIKE}, of each cell)",
            "linear in the number of parameters",
            "abstract",
            _linear,
            within=("cell", "units", "items", "lr"),
            why=(
                "the best GRU and LSTM of 220 parameters hold fewer; but what nets hold at only two"
                " learning rates is a lower bound, and the paper tunes each net"
            ),
            reached=False,
        ),
        Claim(
            "this information is about 5 bits per parameter (here:"
            f" {BITS[0]} to {BITS[1]} of each cell)",
            "approximately 5 bits per parameter",
            "abstract",
            _five_bits,
            within=("cell", "units", "items", "lr"),
            why=(
                "all train for 48,000 steps at two rates, where the paper tunes each net, with the"
                " number of labels among what is tuned, and trains for longer; so these bits are"
                " the least that the weights could hold"
            ),
            reached=False,
        ),
    ),
)


def numbers_per_unit() -> str:
    """Vectors that are held."""
    near, far = (
        width(point("vector_hold", lag, "other_tasks").fit.u90) for lag in (2, 50)
    )
    units = claim_here("collins2017", "a random n-dimensional")
    bits = claim_here("collins2017", "this information is about 5 bits")
    return filled(
        f"The units that hold n numbers are {units} steps"
        f" (`memcap reproduce collins2017 --rows`). By thresholds, 16 numbers take {near} units"
        f" for 2 steps and {far} for 50 (u90; `memcap frontier atlas --task vector_hold`)."
        f" Of random labels the weights hold so many bits per parameter: {bits} (LSTM, GRU and"
        " Elman net of 220 and 560 parameters, 48,000 steps)."
    )


TABLES = {"numbers per unit": numbers_per_unit}

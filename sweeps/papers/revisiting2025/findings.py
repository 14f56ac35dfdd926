"""Over how many decades of learning rates do recurrent nets learn to recall?

Protocol: Okpekpe & Orvieto (2025) train attention, Mamba, Hyena, DeltaNet and others to
recall pairs of key and value in up to 512 steps, each at several rates; AdamW, warmup
over a tenth of 50 epochs, three seeds. Both versions of the text were read; they do not
list the rates, and there is no code. Attention and DeltaNet recall over two decades of
rates, Mamba and Hyena in a narrow window.

Ours (memcap/tasks/mqar.py) is smaller: 8 pairs of 32 keys and 32 values, key and value
in one step. One layer with keys of 16 numbers and values of 4; Adam with a cosine and
no warmup, gradients clipped at 1, 1,000 steps of 32 sequences, at eight rates from
0.001 to 3. Mamba-2 stands for Mamba. A cell's window is the decades of rate around its
best one in which the median accuracy over the seeds is at least 0.9 of the best,
interpolated on the logarithm of the rate. One that ends at the lowest or highest rate
tried may be wider.

Rates were meant to be judged cell by cell: over two decades for DeltaNet, its window no
narrower than those of Mamba-2 and GLA, all best rates within a decade. With rates or
cells shuffled these hold in a quarter to two thirds of the cases, so they are no claims
here. Two seeds were planned; three more were trained, because nets at high rates lose
everything or nearly nothing.

Not asked for: linear attention, without a gate, has the widest window. With one decay
for the whole state (Mamba-2, Gated DeltaNet) most nets collapse from 0.3 on; warmup, as
in the paper, might keep some of them.
"""

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.findings import NOT_MEASURED, Finding, OurClaim, Paper, StandIn, marks
from memcap.findings.claims import having, knob, over_seeds

NAMES = {
    "delta_net": "DeltaNet",
    "gated_delta_net": "Gated DeltaNet",
    "mamba2": "Mamba-2",
    "gla": "GLA",
    "linear_attention": "linear attention",
}
PAIRS = 8
SYMBOLS = 32
UNITS = 4
SHARE = 0.9  # of a cell's best accuracy, reached in its window
PAIR = ("mamba2", "delta_net")
RATE = 0.02  # at which sweeps/papers/arora2024 trained every cell


class Window(NamedTuple):
    """Rates at which a cell trains: the best one, the ends, and whether one is an end
    of the rates tried."""

    best: float
    low: float
    high: float
    open: bool

    @property
    def decades(self) -> float:
        """Its width."""
        return math.log10(self.high / self.low)

    def __str__(self) -> str:
        return f"{self.decades:.2f}{' or more' * self.open} ({self.low:.2g} to {self.high:.2g})"


def nets(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net: its cell, rate and seed, and the accuracy of its recall."""
    own = rows.filter(
        having(task="mqar", cell=NAMES, units=UNITS, layout="stacked", pairs=PAIRS)
    )
    once = own.filter(knob("rewrites").fill_null("0") == "0")
    recalled = pl.col("final").fill_null(
        0.0
    )  # a net that diverged has recalled nothing
    return once.select("cell", "lr", "seed", recalled).sort("cell", "lr", "seed")


def curves(nets: pl.DataFrame) -> pl.DataFrame:
    """Return the accuracy over the seeds of each cell at each rate."""
    return nets.group_by("cell", "lr").agg(*over_seeds("accuracy")).sort("cell", "lr")


def windows(data: pl.DataFrame) -> dict[str, Window]:
    """Return the window of each cell of `curves`, in the order of `NAMES`; none for a
    cell with a single rate."""
    lines = {cell: data.filter(cell=cell) for cell in NAMES}
    return {
        c: window(*own["lr", "accuracy"].to_numpy().T)
        for c, own in lines.items()
        if own.height > 1
    }


def window(rates: np.ndarray, accuracies: np.ndarray) -> Window:
    """Return the window around the best of rising rates, (N,), without a gap."""
    best = int(np.argmax(accuracies))
    logs = np.log10(rates)
    enough = SHARE * accuracies[best]
    ends = []
    is_open = False
    for step in (-1, 1):
        k = best
        while 0 <= k + step < len(rates) and accuracies[k + step] >= enough:
            k += step
        if 0 <= k + step < len(rates):
            ends.append(
                10 ** np.interp(enough, accuracies[[k + step, k]], logs[[k + step, k]])
            )
        else:
            ends.append(rates[k])
            is_open = True
    return Window(float(rates[best]), float(ends[0]), float(ends[1]), is_open)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy against learning rate, a line per cell, and below it the window of each."""
    data = curves(nets(rows))
    by_cell = windows(data)
    picture, (above, below) = marks.panels(
        (7.4, 5.8), 2, 1, sharex=True, height_ratios=(3, 1.3)
    )
    for k, (cell, name) in enumerate(NAMES.items()):
        look = marks.look(k, ms=4, lw=1.1, label=name)
        marks.with_bars(above, data.filter(cell=cell), "lr", "accuracy", **look)
        if cell in by_cell:
            own = by_cell[cell]
            below.plot(
                [own.low, own.high],
                [k, k],
                color=look["color"],
                lw=5,
                solid_capstyle="butt",
            )
            below.plot(own.best, k, marker=look["marker"], color="white", ms=3.5)
    marks.level(above, 1 / SYMBOLS)
    above.set(xscale="log", ylim=(0, 1.04), ylabel="accuracy of recalled values")
    marks.legend(above, loc="lower left", bbox_to_anchor=(0.23, 0.05))
    below.set(ylim=(len(NAMES) - 0.4, -0.6), xlabel="learning rate")
    below.set_yticks(range(len(NAMES)), [*NAMES.values()], fontsize=8)
    marks.number_x(below, data["lr"])
    caption = (
        "Above: the accuracy of nets of one layer by learning rate, after at most"
        f" {marks.greatest(rows, 'budget'):,} training steps on {PAIRS} pairs. Points are the"
        f" median of up to {marks.greatest(data, 'seeds')} seeds, and bars reach to all of them."
        " The dotted line shows chance. Below: the rates around the best one (white) at which"
        f" the median is at least {SHARE:g} of the best. After Okpekpe & Orvieto (2025), scaled"
        " down."
    )
    schema = {"cell": pl.String, "low": pl.Float64, "high": pl.Float64}
    ends = pl.DataFrame(
        [(cell, own.low, own.high) for cell, own in by_cell.items()],
        schema,
        orient="row",
    )
    drawn = data.join(ends, on="cell", how="left", maintain_order="left")
    return marks.finish(
        picture, rows, drawn, caption, 115, left=0.16, right=0.98, top=0.97, hspace=0.06
    )


def _narrower(nets: pl.DataFrame) -> Finding:
    """Compare the windows of Mamba-2 and DeltaNet, of all seeds together and of each by itself."""
    of_all = windows(curves(nets))
    by_seed = [
        windows(curves(nets.filter(seed=seed))) for seed in nets["seed"].unique().sort()
    ]
    pairs = [
        [own[cell].decades for cell in PAIR] for own in by_seed if own.keys() >= {*PAIR}
    ]
    if not of_all.keys() >= {*PAIR} or not pairs:
        return NOT_MEASURED
    narrower = sum(mamba < delta for mamba, delta in pairs)
    medians = " against ".join(f"{of_all[cell]} decades" for cell in PAIR)
    return Finding(
        f"in {narrower} of {len(pairs)} seeds; medians {medians}",
        narrower == len(pairs),
    )


def _one_rate(nets: pl.DataFrame) -> Finding:
    by_cell = windows(curves(nets))
    if by_cell.keys() != NAMES.keys():
        return NOT_MEASURED
    inside = [each.low <= RATE <= each.high for each in by_cell.values()]
    low = max(each.low for each in by_cell.values())
    high = min(each.high for each in by_cell.values())
    return Finding(
        f"{sum(inside)} of {len(inside)} cells; all from {low:.2g} to {high:.2g}",
        all(inside),
    )


PAPER = Paper(
    source=(
        "Okpekpe & Orvieto, Revisiting associative recall in modern recurrent models, 2025 (arXiv"
        " 2508.19029; version 1: When recalling in-context, Transformers are not SSMs)"
    ),
    cost="4 core minutes; 25 minutes on two cores of a busy machine (200 members)",
    table=nets,
    claims=(
        StandIn(
            "Mamba trains in a narrower window of rates than DeltaNet (here: Mamba-2, in each"
            " seed)",
            "an extremely narrow window, where DeltaNet has two decades",
            "abstract of version 2, and text; the rates are not listed",
            _narrower,
            within=("lr",),
            post_hoc=True,
        ),
        OurClaim(
            f"{RATE:g}, at which sweeps/papers/arora2024 trained every cell, is in the window of"
            " each",
            "outside of its window a cell's accuracy drops drastically",
            "abstract of version 2",
            _one_rate,
            within=("cell",),
        ),
    ),
)

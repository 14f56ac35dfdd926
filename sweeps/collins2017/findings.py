"""Does a recurrent net hold about one number a unit, whatever the delay?

Protocol: a vector of n numbers from N(0, 1) is shown once. After a delay of blank steps
the net outputs it, and the mean squared error counts. Collins et al. vary architecture
and depth, tune every net, and draw the error against the hidden units at n = 64.

Ours: n = 16 (collins2017_full.yaml: 64), one LSTM layer, one recipe for all widths and delays
(conf/recipe/integrator.yaml), delays of 1, 10, 25 and 50 steps. The text that we read
does not give the paper's delays. A net stops once its error is 0.02.

Below n units the line 1 - u / n says nothing about the state: with any cell, a linear
read-out of u hidden numbers answers in a subspace of u dimensions. The measurement is
that nets reach the line, that the error ends at n units, and that the delay changes
neither. So a second panel has nets whose read-out sees h and c
(`model.cell=lstm+carry`), with the line 1 - 2 u / n: it shows what an LSTM carries
beyond its h.
"""

from functools import partial

import numpy as np
import polars as pl

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


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the error by units, a colour per delay, with the line of the read-out; after
    the paper's fig. 2c."""
    data = curves(rows)
    cells = [cell for cell in (H, CARRY) if cell in data["cell"]]
    number = max(1, len(cells))
    picture, (panels,) = marks.panels(
        (3.8 + 3.4 * number, 5.6), 1, number, sharey=True, squeeze=False
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
    picture.suptitle("Error of holding a random vector, by width and delay", y=0.98)
    caption = (
        "The figure shows the error of nets of each width on vectors of n numbers. Points are"
        f" the median over up to {marks.greatest(data, 'seeds')} seeds, and bars reach to all of"
        " them. Grey lines show the least error of any linear read-out of so many numbers. A net"
        " stops once its error is 0.02. After Collins, Sohl-Dickstein & Sussillo (2017), fig. 2c."
        " Their nets are tuned one by one; here one recipe trains all."
    )
    return marks.finish(
        picture, rows, data, caption, 60 + 60 * number, top=0.89, wspace=0.08
    )


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


PAPER = Paper(
    source=(
        "Collins, Sohl-Dickstein & Sussillo, Capacity and trainability in recurrent neural"
        " networks, ICLR 2017 (1611.09913)"
    ),
    cost="9 minutes of one CPU core",
    table=curves,
    claims=(
        Claim(
            "below n units the error is that of reconstructing a subspace of as many dimensions",
            "the curve of an n_h-dimensional subspace: 1 - u / n",
            "text beside fig. 2c, and the line drawn there",
            _on_the_line,
            within=("cell", "lag"),
        ),
        Claim(
            "a random n-dimensional input can be said again if and only if there are n units",
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
    ),
)


def numbers_per_unit() -> str:
    """Vectors that are held."""
    near, far = (
        width(point("vector_hold", lag, "other_tasks").fit.u90) for lag in (2, 50)
    )
    units = claim_here("collins2017", "a random n-dimensional")
    return filled(
        f"The units that hold n numbers are {units} steps"
        f" (`memcap reproduce collins2017 --rows`). By thresholds, 16 numbers take {near} units"
        f" for 2 steps and {far} for 50 (u90; `memcap frontier atlas --task vector_hold`)."
    )


TABLES = {"numbers per unit": numbers_per_unit}

"""Does a recurrent net hold about one number a unit, whatever the delay?

Protocol: a vector of n numbers from N(0, 1) is shown once; after a delay of blank steps the net says it again, and the mean
squared error counts. Collins et al. vary architecture and depth, tune every net, and draw the error against the hidden units at
n = 64.

Ours: n = 16 (sweeps/collins2017_full.yaml: 64), one LSTM layer, one recipe for all widths and delays
(conf/recipe/integrator.yaml), delays of 1, 10, 25 and 50 steps. Their delay is not said in the text that was read. A net stops
once it is at .02.

Below n units the line 1 - u / n is no measurement of the state: whatever the cell, a linear read-out of u hidden numbers answers
in a u-dimensional subspace. What is measured is that the line is reached, that the error ends at n, and that the delay moves
neither.
"""

import textwrap
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.frontier import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper, bars, knob, over_seeds
from memcap.printing import counted

TASK = "vector_hold"
NEAR = 0.1  # of the line, as a share of the variance
SAME = 0.1  # of n: how far the width that holds a vector may move with the delay


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Median, least and greatest error over the seeds, by numbers n, delay and units, beside the line 1 - u / n."""
    numbers = knob("numbers").cast(pl.Int64)
    return (
        rows.filter(pl.col("task") == TASK)
        .with_columns(numbers)
        .group_by("numbers", "lag", "units")
        .agg(*over_seeds("error"))
        .with_columns((1 - pl.col("units") / pl.col("numbers")).clip(0).alias("line"))
        .sort("numbers", "lag", "units")
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Error against units, a colour a delay, over the line 1 - u / n; after the paper's fig. 2c."""
    data = curves(rows)
    picture = Figure(figsize=(7.2, 5.6))
    axes = picture.add_subplot(xlabel="hidden units", ylabel="mean squared error of the recalled vector")
    for numbers in data["numbers"].unique().sort():
        at = np.linspace(0, 1.5 * numbers, 200)
        axes.plot(at, np.clip(1 - at / numbers, 0, None), color="#bbbbbb", lw=6, alpha=0.6, label=f"1 - u / {numbers}")
        axes.axvline(numbers, color="grey", lw=0.8, ls=":")
    for k, ((numbers, lag), own) in enumerate(data.group_by("numbers", "lag", maintain_order=True)):
        look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "ms": 4, "lw": 1}
        axes.errorbar(
            own["units"], own["error"], yerr=bars(own, "error"), label=f"{numbers} numbers, {counted(lag, 'step')}", **look
        )
    axes.set_ylim(bottom=0)
    axes.set_title("Error of holding a random vector, by width and delay")
    axes.legend(frameon=False, fontsize=8)
    seeds = data["seeds"].max() or 0
    said = (
        f"Points: median over up to {seeds} seeds; bars: all of them. Grey: the least error of any linear read-out of u hidden"
        " numbers. A net stops once its error is .02. After Collins, Sohl-Dickstein & Sussillo (2017), fig. 2c, whose nets are"
        " tuned one by one; here one recipe trains all."
    )
    write_below(picture, textwrap.fill(said, 120))
    return Drawn(picture, data)


def _largest(rows: pl.DataFrame) -> pl.DataFrame:
    """The curves at the largest n there is, if its widths lie on both sides of n."""
    data = curves(rows)
    own = data.filter(pl.col("numbers") == pl.col("numbers").max())
    both = own.filter(pl.col("units") < pl.col("numbers")).height and own.filter(pl.col("units") > pl.col("numbers")).height
    return own if both else own.clear()


def _on_the_line(rows: pl.DataFrame) -> Finding:
    below = _largest(rows).filter(pl.col("units") < pl.col("numbers"))
    if below.is_empty():
        return NOT_MEASURED
    worst = float(np.abs((below["error"] - below["line"]).to_numpy()).max())
    return Finding(f"at most {worst:.3f} from it", worst <= NEAR)


def _widths(rows: pl.DataFrame) -> dict[int, float]:
    """The narrowest width, as a share of n, whose median net holds the vector, by delay; infinite where none does."""
    own = _largest(rows)
    held = own.filter(pl.col("error") <= 0.02).group_by("lag").agg((pl.col("units") / pl.col("numbers")).min().alias("share"))
    shares = dict(held.iter_rows())
    return {lag: shares.get(lag, float("inf")) for lag in own["lag"].unique().sort()}


def _held_at_n(rows: pl.DataFrame) -> Finding:
    widths = _widths(rows)
    if not widths:
        return NOT_MEASURED
    said = ", ".join(f"{share:.2f} n after {lag}" for lag, share in widths.items())
    return Finding(said, all(0.9 <= share <= 1.15 for share in widths.values()))


def _delay_moves_nothing(rows: pl.DataFrame) -> Finding:
    widths = _widths(rows)
    if len(widths) < 2:
        return NOT_MEASURED
    moved = max(widths.values()) - min(widths.values())
    return Finding(f"the width moves by {moved:.2f} n over {min(widths)} to {max(widths)} steps", moved <= SAME)


PAPER = Paper(
    source="Collins, Sohl-Dickstein & Sussillo, Capacity and trainability in recurrent neural networks, ICLR 2017 (1611.09913)",
    cost="6 minutes of one CPU core",
    claims=(
        Claim(
            "below n units the error is that of reconstructing a subspace of as many dimensions",
            "the curve of an n_h-dimensional subspace: 1 - u / n",
            "text beside fig. 2c, and the line drawn there",
            _on_the_line,
        ),
        Claim(
            "a random n-dimensional input can be said again if and only if there are n units",
            "n_h >= n_in",
            "text beside fig. 2c",
            _held_at_n,
        ),
        Claim(
            "the delay does not move the width",
            '"at some time in the future"',
            "text beside fig. 2c; the delays are ours",
            _delay_moves_nothing,
        ),
    ),
)

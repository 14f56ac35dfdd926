"""Does a recurrent net hold about one number a unit, whatever the delay?

Protocol: a vector of n numbers from N(0, 1) is shown once; after a delay of blank steps the net says it
again, and the mean squared error counts. Collins et al. vary architecture and depth, tune every net, and draw
the error against the hidden units at n = 64.

Ours: n = 16 (study_full.yaml: 64), one LSTM layer, one recipe for all widths and delays
(conf/recipe/integrator.yaml), delays of 1, 10, 25 and 50 steps. Their delay is not said in the text that was
read. A net stops once it is at .02.

Below n units the line 1 - u / n is no measurement of the state: whatever the cell, a linear read-out of u
hidden numbers answers in a u-dimensional subspace. What is measured is that the line is reached, that the
error ends at n, and that the delay moves neither. So a second panel has nets whose read-out sees h and c
(`model.cell=lstm+carry`), where the line is 1 - 2 u / n: what an LSTM's carry holds beyond its h.
"""

import textwrap
from typing import Any, cast

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper, bars, knob, over_seeds
from memcap.terminal.words import plural

TASK = "vector_hold"
H, WHOLE = "lstm", "lstm+carry"  # the cells: the read-out sees h, or h and c
NEAR = 0.1  # of the line, as a share of the variance
SAME = 0.1  # of n: how far the width that holds a vector may move with the delay


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Median, least and greatest error over the seeds, by cell, numbers n, delay and units, beside the line
    of the read-out.

    The line is 1 - r / n, where the read-out sees r numbers: u, or 2 u of the whole carry.
    """
    numbers = knob("numbers").cast(pl.Int64)
    seen = pl.when(pl.col("cell") == WHOLE).then(2 * pl.col("units")).otherwise("units")
    return (
        rows.filter((pl.col("task") == TASK) & pl.col("cell").is_in([H, WHOLE]))
        .with_columns(numbers)
        .group_by("cell", "numbers", "lag", "units")
        .agg(*over_seeds("error"))
        .with_columns((1 - seen / pl.col("numbers")).clip(0).alias("line"))
        .sort("cell", "numbers", "lag", "units")
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Error against units, a colour a delay, over the line of the read-out: that sees h, after the paper's
    fig. 2c, or (h, c)."""
    data = curves(rows)
    cells = [cell for cell in (H, WHOLE) if cell in data["cell"]]
    picture = Figure(figsize=(7.2 + 3.4 * (len(cells) - 1), 5.6))
    panels = picture.subplots(1, max(1, len(cells)), sharey=True, squeeze=False)[0]
    colours = {
        key: k
        for k, key in enumerate(data.select("numbers", "lag").unique().sort("numbers", "lag").iter_rows())
    }
    for axes, cell in zip(panels, cells, strict=False):
        own = data.filter(pl.col("cell") == cell)
        per_unit = 2 if cell == WHOLE else 1
        for numbers in own["numbers"].unique().sort():
            at = np.linspace(0, 1.5 * numbers, 200)
            label = f"1 - {'2 ' * (per_unit == 2)}u / {numbers}"
            axes.plot(
                at,
                np.clip(1 - per_unit * at / numbers, 0, None),
                color="#bbbbbb",
                lw=6,
                alpha=0.6,
                label=label,
            )
            axes.axvline(numbers, color="grey", lw=0.8, ls=":")
        for key, line in own.group_by("numbers", "lag", maintain_order=True):
            k = colours[cast(tuple[int, int], key)]
            look: dict[str, Any] = {
                "color": COLOURS[k % len(COLOURS)],
                "marker": MARKERS[k % len(MARKERS)],
                "ms": 4,
                "lw": 1,
            }
            label = f"{key[0]} numbers, {plural(cast(int, key[1]), 'step')}"
            axes.errorbar(line["units"], line["error"], yerr=bars(line, "error"), label=label, **look)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("hidden units")
        axes.set_title("read out of h and c" if cell == WHOLE else "read out of h")
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("mean squared error of the recalled vector")
    picture.suptitle("Error of holding a random vector, by width and delay", y=0.98)
    seeds = data["seeds"].max() or 0
    caption = (
        f"Points: median over up to {seeds} seeds; bars: all of them. Grey: the least error of any linear"
        " read-out of so many"
        " numbers. A net stops once its error is .02. After Collins, Sohl-Dickstein & Sussillo (2017), fig."
        " 2c, whose nets are"
        " tuned one by one; here one recipe trains all."
    )
    write_below(picture, textwrap.fill(caption, 60 + 60 * max(1, len(cells))))
    picture.subplots_adjust(top=0.89, wspace=0.08)
    return Drawn(picture, data)


def _largest(rows: pl.DataFrame) -> pl.DataFrame:
    """The curves at the largest n there is, if its widths lie on both sides of n."""
    data = curves(rows).filter(pl.col("cell") == H)
    own = data.filter(pl.col("numbers") == pl.col("numbers").max())
    both = (
        own.filter(pl.col("units") < pl.col("numbers")).height
        and own.filter(pl.col("units") > pl.col("numbers")).height
    )
    return own if both else own.clear()


def _on_the_line(rows: pl.DataFrame) -> Finding:
    below = _largest(rows).filter(pl.col("units") < pl.col("numbers"))
    if below.is_empty():
        return NOT_MEASURED
    worst = float(np.abs((below["error"] - below["line"]).to_numpy()).max())
    return Finding(f"at most {worst:.3f} from it", worst <= NEAR)


def _widths(rows: pl.DataFrame) -> dict[int, float]:
    """The narrowest width, as a share of n, whose median net holds the vector, by delay; infinite where none
    does."""
    own = _largest(rows)
    held = (
        own.filter(pl.col("error") <= 0.02)
        .group_by("lag")
        .agg((pl.col("units") / pl.col("numbers")).min().alias("share"))
    )
    shares = dict(held.iter_rows())
    return {lag: shares.get(lag, float("inf")) for lag in own["lag"].unique().sort()}


def _held_at_n(rows: pl.DataFrame) -> Finding:
    widths = _widths(rows)
    if not widths:
        return NOT_MEASURED
    text = ", ".join(f"{share:.2f} n after {lag}" for lag, share in widths.items())
    return Finding(text, all(0.9 <= share <= 1.15 for share in widths.values()))


def _delay_moves_nothing(rows: pl.DataFrame) -> Finding:
    widths = _widths(rows)
    if len(widths) < 2:
        return NOT_MEASURED
    moved = max(widths.values()) - min(widths.values())
    return Finding(
        f"the width moves by {moved:.2f} n over {min(widths)} to {max(widths)} steps", moved <= SAME
    )


PAPER = Paper(
    source="Collins, Sohl-Dickstein & Sussillo, Capacity and trainability in recurrent neural networks,"
    " ICLR 2017 (1611.09913)",
    cost="9 minutes of one CPU core",
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

"""Does a window of a smooth signal ask for more units when it has more time steps?

Protocol: white noise below 10 Hz, and its values of 0, 1/4, 1/2, 3/4 and 1 second before; a second has T
steps. An LSTM of 100 units with a linear read-out learns it from 80 sequences of 2.5 seconds by Adam at .001,
1,000 updates of 50, from Keras's start (their code, experiments/capacity.ipynb; its output gives the losses).
They compare it with their own unit, the LMU, which needs no training here; that is not redrawn.

Ours: the same signal and delays (memcap/tasks/bandlimited_delay.py), always fresh; its root mean square is
.37, as theirs is once divided by its peak (.40 at T = 25). Answers count from step T on; in their losses also
before, with zero due where the past has not begun. Three arms: `theirs` (their net, start, rate and updates),
`start` (each recurrent block orthogonal by itself, and so twice as large; all else as in theirs), `ours` (10
to 40 units, recipe `forget_bias` with a bias of 2, a rate of .03 that falls as a cosine, batches of 32, up to
10,000 updates, ended once a twentieth of the variance is left). T = 1,600, where their loss is that of a net
without memory, is in study_full.yaml, which was not run.

Errors are shares of what is left without memory: in their validation losses .0851, that of T = 1,600, at each
T. (Of 2,000 sequences by their generator it is .094 at T = 25 and .081 at the others, so that their shares
would be .21, .21 and .87.) Grey in the figure: the best n numbers of a window, as a linear code, leave this
much of it (Slepian's eigenvalues); at 10 cycles a window little from 20 numbers on, for any T. Nets of 10 and
15 units do worse as T grows, by then at the end of their updates.
"""

import textwrap
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.linalg import toeplitz

from memcap.figures import Drawn
from memcap.figures.style import colour_and_marker, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper, bars, knob, over_seeds
from memcap.tasks.bandlimited_delay import BandlimitedDelay

CYCLES, LEVEL, UNITS = 10, 0.37, 100
SHORT, LONG = (25, 100), 400
TASK = BandlimitedDelay(CYCLES)
SHARE = "error, as a share of that without memory"
ARMS = {
    "theirs": "theirs: 100 units, 1,000 updates",
    "start": "start: recurrent blocks twice as large",
    "ours": "ours: 20 units, up to 10,000 updates",
}
LOSSES = {25: 0.0193, 100: 0.0173, 400: 0.0701, 1600: 0.0851}  # of the validation sequences, after 500 epochs
WITHOUT = LOSSES[1600]
NEAR, MOST, RISE = (
    0.1,
    0.5,
    1.5,
)  # how far a share may be from theirs; what "most" is; how much a width may rise from T to 4 T
FREEDOM = 2 * CYCLES


def leaves(steps: int) -> np.ndarray:
    """(steps + 1,) share of a window's variance that its best 0, 1, ... numbers leave, as a linear code."""
    eigenvalues = np.linalg.eigvalsh(toeplitz(np.sinc(2 * CYCLES / steps * np.arange(steps))))[::-1]
    return 1 - np.append(0, np.cumsum(eigenvalues)) / steps


def shares(rows: pl.DataFrame) -> pl.DataFrame:
    """By arm, T and units: the error as a share of that without memory, over the seeds, and how many of them
    solved it."""
    level = knob("rms").cast(pl.Float64)
    theirs = (level == LEVEL) & (pl.col("units") == UNITS)
    arm = (
        pl.when(theirs & (pl.col("init") == "keras"))
        .then(pl.lit("theirs"))
        .when(theirs)
        .then(pl.lit("start"))
    )
    own = rows.filter((pl.col("task") == TASK.name) & (knob("cycles") == str(CYCLES)))
    without = {lag: TASK.facts(lag, lag).chance for lag in own["lag"].unique()}
    return (
        own.with_columns(
            arm.when(level == TASK.rms).then(pl.lit("ours")).alias("arm"),
            pl.col("final") / level**2 / pl.col("lag").replace_strict(without, return_dtype=pl.Float64),
        )
        .filter(pl.col("arm").is_not_null() & pl.col("final").is_not_null())
        .group_by("arm", "units", pl.col("lag").alias("T"))
        .agg(*over_seeds("share"), pl.col("solved").sum(), pl.col("steps").median())
        .sort("arm", "T", "units")
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Left: errors of 100 units against T, the paper's and ours. Right: ours against units, a line a T."""
    data = shares(rows)
    picture = Figure(figsize=(10, 4.6))
    left = picture.add_subplot(
        1, 2, 1, xlabel="T, steps of a window of 10 cycles", ylabel=SHARE, xscale="log", ylim=(0, 1.05)
    )
    left.plot(
        list(LOSSES),
        [loss / WITHOUT for loss in LOSSES.values()],
        color="#bbbbbb",
        lw=5,
        alpha=0.6,
        label="the paper",
    )
    for k, (arm, label) in enumerate(ARMS.items()):
        own = data.filter((pl.col("arm") == arm) & ((arm != "ours") | (pl.col("units") == FREEDOM)))
        left.errorbar(own["T"], own["share"], yerr=bars(own, "share"), label=label, **_marks(k))
    left.xaxis.set_major_locator(FixedLocator(sorted({*LOSSES, *data["T"]})))
    left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    left.xaxis.set_minor_locator(NullLocator())
    left.set_title("their net of 100 units, and 20 units with our recipe")
    right = picture.add_subplot(1, 2, 2, xlabel="units", xlim=(0, 42), ylim=(0, 1.05))
    line = leaves(10 * FREEDOM)[:45]
    right.plot(
        range(45), line, color="#bbbbbb", lw=5, alpha=0.6, label="left by the best n numbers, n = units"
    )
    right.plot(
        np.arange(45) / 2,
        line,
        color="#bbbbbb",
        lw=5,
        ls=(0, (1, 0.6)),
        alpha=0.6,
        label="n = 2 units, as many as are carried",
    )
    for k, ((steps,), own) in enumerate(data.filter(arm="ours").group_by("T", maintain_order=True)):
        right.errorbar(
            own["units"], own["share"], yerr=bars(own, "share"), label=f"T = {steps}", **_marks(k + len(ARMS))
        )
    right.set_title("ours, by width")
    solved = TASK.facts(UNITS, UNITS)
    for axes in (left, right):
        axes.axhline(
            solved.threshold / solved.chance,
            color="grey",
            lw=0.8,
            ls=":",
            label="solved: 5 % of the variance",
        )
        axes.legend(frameon=False, fontsize=8)
    caption = (
        f"Points: median over up to {data['seeds'].max() or 0} seeds; bars: all of them. Right: at most"
        f" {rows['budget'].max() or 0:,} updates, ended when solved; grey: what a linear code of n numbers"
        " leaves of a window,"
        " a share of its variance. After Voelker, Kajic & Eliasmith (2019); the paper: validation losses of"
        " their code, over that"
        " of T = 1,600."
    )
    write_below(picture, textwrap.fill(caption, 160))
    picture.subplots_adjust(left=0.065, right=0.985, top=0.93, wspace=0.13)
    return Drawn(picture, data)


def _marks(k: int) -> dict[str, Any]:
    colour, marker = colour_and_marker(k)
    return {"color": colour, "marker": marker, "ms": 5, "lw": 1.2}


def _medians(rows: pl.DataFrame, arm: str) -> dict[int, float]:
    """Median share by T, of the nets of 100 units of an arm."""
    return dict(shares(rows).filter(arm=arm).select("T", "share").iter_rows())


def _as_theirs(rows: pl.DataFrame) -> Finding:
    losses = _medians(rows, "theirs")
    if not set(SHORT) <= set(losses):
        return NOT_MEASURED
    text = ", ".join(f"{losses[steps]:.2f} at T = {steps}" for steps in SHORT)
    return Finding(text, all(abs(losses[steps] - LOSSES[steps] / WITHOUT) <= NEAR for steps in SHORT))


def _fails(rows: pl.DataFrame) -> Finding:
    losses = _medians(rows, "theirs")
    if not {*SHORT, LONG} <= set(losses):
        return NOT_MEASURED
    return Finding(f"{losses[LONG]:.2f}", losses[LONG] > max(MOST, *(2 * losses[steps] for steps in SHORT)))


def _start_matters(rows: pl.DataFrame) -> Finding:
    theirs, other = _medians(rows, "theirs"), _medians(rows, "start")
    both = sorted(set(theirs) & set(other))
    if not set(SHORT) <= set(both):
        return NOT_MEASURED
    text = ", ".join(f"{other[steps]:.2f} instead of {theirs[steps]:.2f} at T = {steps}" for steps in both)
    return Finding(text, all(other[steps] <= theirs[steps] / 2 for steps in both))


def _widths(rows: pl.DataFrame) -> dict[int, int | None]:
    """The narrowest width from which on every seed solves it, by T; None where none does."""
    widths: dict[int, int | None] = {}
    for (steps,), own in shares(rows).filter(arm="ours").group_by("T", maintain_order=True):
        enough = None
        for units, solved, seeds in own.sort("units").select("units", "solved", "seeds").iter_rows():
            enough = (enough or units) if solved == seeds else None
        widths[int(str(steps))] = enough
    return widths


def _in_words(widths: dict[int, int | None]) -> str:
    return ", ".join(f"{units or 'none tried'} at T = {steps}" for steps, units in widths.items())


def _same_width(rows: pl.DataFrame) -> Finding:
    widths = _widths(rows)
    first = widths.get(min(widths)) if widths else None
    if first is None or max(widths) < 4 * min(widths):
        return NOT_MEASURED
    return Finding(
        _in_words(widths), all(units is not None and units <= RISE * first for units in widths.values())
    )


def _one_per_degree(rows: pl.DataFrame) -> Finding:
    widths = _widths(rows)
    if not widths:
        return NOT_MEASURED
    return Finding(
        _in_words(widths), all(units is not None and units <= FREEDOM + 1 for units in widths.values())
    )


PAPER = Paper(
    source="Voelker, Kajic & Eliasmith, Legendre memory units: continuous-time representation in recurrent"
    " neural networks,"
    " NeurIPS 2019",
    cost="58 minutes on one core that some ten jobs shared, compiling aside (34 members)",
    claims=(
        Claim(
            f"an LSTM of {UNITS} units, trained as theirs, leaves a fifth of the error without memory at T"
            " = 25 and 100 (their"
            f" shares +- {NEAR:g})",
            f"losses {LOSSES[25]:g} and {LOSSES[100]:g}, of {WITHOUT:g}: {LOSSES[25] / WITHOUT:.2f},"
            f" {LOSSES[100] / WITHOUT:.2f}",
            "output of their code",
            _as_theirs,
        ),
        Claim(
            f"and most of it at T = {LONG} (over {MOST:g}, and twice as much as at the others; one seed)",
            f"loss {LOSSES[LONG]:g}: {LOSSES[LONG] / WITHOUT:.2f}",
            "output of their code",
            _fails,
        ),
        Claim(
            "that is training: recurrent blocks that start twice as large leave less than half as much",
            "one start only",
            "their code",
            _start_matters,
            whose="ours",
        ),
        Claim(
            "content, not steps, sets the width: the least of 10 to 40 units from which on every net solves"
            f" it, at most {RISE:g} times at 4 T",
            "none; all its LSTMs have 100 units",
            "their code",
            _same_width,
            whose="ours",
        ),
        Claim(
            f"a window of {CYCLES} cycles takes at most {FREEDOM} + 1 units, one per degree of freedom,"
            " at every T",
            "its LMU has 100 for such a window",
            "their code",
            _one_per_degree,
            whose="ours",
        ),
    ),
)

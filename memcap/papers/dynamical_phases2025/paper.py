"""How does the largest learning rate that trains depend on the delay?

Protocol (read in the authors' code and its figures; of the text, the abstract): leaky nets of 100 units,
steps of 5 ms and a time constant of 10 ms, see one of two cues for 30 ms and after a delay of 0 to 400 ms say
for 50 ms which it was, silent until then. Gradient descent with momentum .9 on 128 sequences, at learning
rates from .001 to .3, takes the larger of 1,000 steps and 30 over the rate; squared errors of sigmoid
outputs, of which silence and answer weigh the same. 100 seeds each. A net has learned if it is right at .8
over the last tenth of training and does not keep losing it. At each rate they fit the delay at which nets
begin to fail.

Ours: 32 units, delays of 5 to 20 steps (25 to 100 ms), rates about as theirs, their momentum and budgets,
batches of 16, 8 seeds; cross entropy over two cues and silence; the state starts at zero and nothing is
noisy, where theirs draws the state (.1) and adds noise (.001); no weight decay (1e-7 there). A net has
learned, and stops, if it is right at .99 in four successive evaluations, 50 steps apart. At a delay the
largest rate that trains is the rate at which half of the seeds that train at any rate do, from a logistic
curve in the log of one over the rate (memcap/thresholds/curve.py). The power is that of least squares
through these rates in logs; its interval has the seeds' chance in it, not how far the rates are from a power
law. We do not tell limit cycles from slow points.
"""

import textwrap
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.style import colour_and_marker, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper
from memcap.thresholds import curve

TASK, CELL = "cue_discrimination", "leaky"
SCALE = 1000  # one over a rate, in whole numbers, is what takes the place of units
DRAWS = 4000  # of the posterior, for the interval of the power
LEAST_DELAYS = 3  # of which the largest rate is known, for a power
POWERS = (2.0, 5.0)  # set before training, about what is said of both mechanisms: 2 to 3 and 4 to 5


class Power(NamedTuple):
    """The largest rate falls as delay^-power: median and 95 % interval; `rate`, of the line at a delay of one
    step."""

    power: float
    low: float
    high: float
    rate: float


def _counts(rows: pl.DataFrame) -> pl.DataFrame:
    """How many seeds there are, and how many train, by delay and rate."""
    own = rows.filter((pl.col("task") == TASK) & (pl.col("cell") == CELL))
    counted = own.group_by("lag", "lr").agg(
        pl.col("solved").sum().cast(pl.Int64), pl.len().cast(pl.Int64).alias("seeds")
    )
    return counted.sort("lag", "lr")


def _posteriors(rows: pl.DataFrame) -> dict[int, curve.Posterior]:
    """By delay."""
    return {
        int(lag): curve.posterior(
            (SCALE / each["lr"]).round().to_numpy(),
            each["solved"].to_numpy(),
            each["seeds"].to_numpy(),
            curve.INDEPENDENT,
        )
        for (lag,), each in _counts(rows).group_by("lag", maintain_order=True)
    }


def critical(rows: pl.DataFrame) -> pl.DataFrame:
    """By delay the largest rate that trains with its 95 % interval, whether it is beyond those tried, and the
    lapse.

    `censored`: "no"; "below", even the largest rate tried trains; "above", not even the smallest does.
    """
    largest = []
    for lag, posterior in _posteriors(rows).items():
        fitted = curve.fit_of(posterior)
        at = fitted.u50
        low = SCALE / at.high  # 0 where the interval is open
        high = SCALE / at.low if at.low > 0 else float("inf")
        largest.append((lag, SCALE / at.units, low, high, at.censored, fitted.lapse))
    kinds = {
        "rate": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "censored": pl.String,
        "lapse": pl.Float64,
    }
    return pl.DataFrame(largest, schema={"lag": pl.Int64} | kinds, orient="row")


def power(rows: pl.DataFrame) -> Power | None:
    """The power of the delay, least squares through draws of the posteriors; None where too few delays have a
    largest rate."""
    lags = critical(rows).filter(censored="no")["lag"].to_list()
    if len(lags) < LEAST_DELAYS:
        return None
    rng = np.random.default_rng(0)
    samples = []
    for lag, posterior in _posteriors(rows).items():
        if lag in lags:
            weights = posterior.weights.sum(axis=-1)
            samples.append(rng.choice(posterior.mu, DRAWS, p=weights / weights.sum()))
    slopes, starts = np.polyfit(np.log2(lags), np.array(samples), 1)
    low, middle, high = np.quantile(slopes, [0.025, 0.5, 0.975])
    return Power(float(middle), float(low), float(high), float(SCALE / np.exp2(np.median(starts))))


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Seeds that train at each delay and rate, beside the delay's largest rate that trains."""
    return _counts(rows).join(critical(rows), on="lag").sort("lag", "lr")


def draw(rows: pl.DataFrame) -> Drawn:
    """Left, the share of seeds that train against the learning rate, a colour a delay; right, the largest
    rate against delay."""
    data, fits = curves(rows), _posteriors(rows)
    picture = Figure(figsize=(9.4, 4.6))
    left, right = picture.subplots(1, 2)
    for k, ((lag,), own) in enumerate(data.group_by("lag", maintain_order=True)):
        colour, marker = colour_and_marker(k)
        shape: dict[str, Any] = {"color": colour, "marker": marker, "ms": 5}
        left.plot(
            own["lr"] * 1.05 ** (k - 2), own["solved"] / own["seeds"], ls="", label=f"{lag} steps", **shape
        )
        rates = np.geomspace(min(own["lr"].to_list()), max(own["lr"].to_list()), 60)
        left.plot(rates, curve.probability(fits[int(lag)], SCALE / rates).mean, color=colour, lw=1)
        rate, low, high, censored = (
            own.row(0, named=True)["rate"],
            own["low"][0],
            own["high"][0],
            own["censored"][0],
        )
        if censored == "no":
            ends = [[rate - low], [min(high, 10 * rate) - rate]]
            right.errorbar([lag], [rate], yerr=ends, capsize=2, ls="", **shape)
    left.set(
        title="seeds that train, by learning rate",
        xscale="log",
        xlabel="learning rate",
        ylabel="share of seeds that train",
        xlim=(None, 2),
        ylim=(-0.04, 1.04),
    )
    left.legend(frameon=False, fontsize=8, title="delay", title_fontsize=8, loc="upper right")
    line, lags = power(rows), data["lag"].unique().sort()
    right.set(
        title="largest learning rate, by delay",
        xscale="log",
        yscale="log",
        xlabel="delay (steps of 5 ms)",
        ylabel="largest learning rate that trains",
    )
    if line is not None:
        label = f"delay^{-line.power:.1f} [{-line.high:.1f}, {-line.low:.1f}]"
        right.plot(lags, line.rate * lags.cast(pl.Float64) ** -line.power, color="black", lw=1, label=label)
        right.legend(frameon=False, fontsize=9)
    right.set_xticks(lags.to_list(), [str(lag) for lag in lags])
    right.minorticks_off()
    for axes in (left, right):
        axes.grid(color="#dddddd", lw=0.5)
    seeds = data["seeds"].max() or 0
    caption = (
        "Leaky nets that say after a delay which of two cues they saw, trained by gradient descent with"
        " momentum .9,"
        f" {seeds} seeds a point (delays moved sideways a little). Left: lines, a logistic curve with a"
        " share of seeds that no"
        " rate trains. Right: the rate at which half of the other seeds train, with 95 % intervals; line, a"
        " power of the delay."
        " Kurtkaya, Dinc et al. (2025) have powers of -2.7, where nets cease to learn, and -4.1, for slow"
        " points, at delays to 80"
        " steps."
    )
    write_below(picture, textwrap.fill(caption, 160))
    picture.subplots_adjust(left=0.075, right=0.985, top=0.92, wspace=0.24)
    return Drawn(picture, data)


def _falls(rows: pl.DataFrame) -> Finding:
    largest = critical(rows).filter(censored="no")
    if largest.height < LEAST_DELAYS:
        return NOT_MEASURED
    text = ", ".join(f"{rate:.2g} at {lag} steps" for lag, rate in largest["lag", "rate"].iter_rows())
    line = power(rows)
    assert line is not None
    return Finding(text, line.low > 0 and largest["rate"][0] > largest["rate"][-1])


def _power(rows: pl.DataFrame) -> Finding:
    line = power(rows)
    if line is None:
        return NOT_MEASURED
    return Finding(
        f"{-line.power:.1f} [{-line.high:.1f}, {-line.low:.1f}]", POWERS[0] <= line.power <= POWERS[1]
    )


PAPER = Paper(
    source="Kurtkaya, Dinc et al., Dynamical phases of short-term memory mechanisms in RNNs, ICML 2025"
    " (2502.17433)",
    cost="4 minutes on one core of a busy machine, compiling aside (248 members)",
    claims=(
        Claim(
            "the largest learning rate that trains falls with the delay (here: the interval of its power is"
            " above 0)",
            "a scaling law of the delay",
            "abstract",
            _falls,
        ),
        Claim(
            f"as a power of {-POWERS[1]:g} to {-POWERS[0]:g} (here: the estimate lies there)",
            "-2.72 +- 0.07, where nets cease to learn; -4.05 +- 0.10, for slow-point manifolds",
            "titles of the authors' figures, Figures/Figure4/code/nopost/scaling*.pdf in their code",
            _power,
        ),
    ),
)

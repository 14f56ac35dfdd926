"""How does the largest learning rate that trains depend on the delay?

Protocol (from the authors' code and figures; of the text only the abstract was read):
leaky nets of 100 units, with steps of 5 ms and a time constant of 10 ms, see one of two
cues for 30 ms, are silent for a delay of 0 to 400 ms, and then say for 50 ms which cue
it was. Gradient descent with momentum 0.9 on 128 sequences, at learning rates from
0.001 to 0.3; the steps are the larger of 1,000 and 30 over the rate. Squared errors of
sigmoid outputs, in which silence and answer weigh the same; 100 seeds each. A net has
learned if it is right at 0.8 over the last tenth of training and does not keep losing
it.

Ours: 32 units, delays of 5 to 20 steps (25 to 100 ms), about the same rates, the same
momentum and budgets, batches of 16, 8 seeds. The loss is the cross entropy over two
cues and silence. No noise and no weight decay; the state starts at zero. A net has
learned, and stops, if it is right at 0.99 in four successive evaluations, 50 steps
apart.

The largest rate that trains at a delay is the one at which half of the seeds that train
at any rate do, by a logistic curve (memcap/thresholds/curve.py). The power is fitted by
least squares through these rates in logs; its interval covers the chance of the seeds,
not how far the rates are from a power law. We do not claim which of the paper's two
powers it is: our interval contains one and not the other, but so does that of one in
seven shuffles of the delays.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.findings import NOT_MEASURED, Claim, Finding, Paper, curve, marks

SCALE = 1000  # one over a rate, as a whole number, takes the place of units
DRAWS = 4000  # of the posterior, for the interval of the power
DELAYS = 3  # least number of delays with a known largest rate, for a power
FEWER = 0.5  # of the seeds, by which fewer train at the longest delay, on average over the rates


class Power(NamedTuple):
    """The power by which the largest rate falls, its 95 % interval, and the rate at a
    delay of one step."""

    power: float
    low: float
    high: float
    rate: float

    def __str__(self) -> str:
        return f"{-self.power:.1f} [{-self.high:.1f}, {-self.low:.1f}]"


def counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Count the seeds, and those that train, by delay and rate."""
    solved = pl.col("solved").sum().cast(pl.Int64)
    seeds = pl.len().cast(pl.Int64).alias("seeds")
    own = rows.filter(task="cue_discrimination", cell="leaky")
    return own.group_by("lag", "lr").agg(solved, seeds).sort("lag", "lr")


def posteriors(counts: pl.DataFrame) -> dict[int, curve.Posterior]:
    """Fit the share of seeds that train at each delay."""
    fits = {}
    for (lag,), own in counts.group_by("lag", maintain_order=True):
        widths = (SCALE / own["lr"]).round().cast(int)
        numbers = widths, own["solved"], own["seeds"]
        fits[lag] = curve.posterior(
            *(each.to_numpy() for each in numbers), curve.INDEPENDENT
        )
    return fits


def critical(fits: dict[int, curve.Posterior]) -> pl.DataFrame:
    """Return, by delay, the largest rate that trains with its 95 % interval, and the lapse.

    `censored`: "no"; "below", even the largest rate tried trains; "above", not even the
    smallest does.
    """
    largest = []
    for lag, posterior in fits.items():
        fitted = curve.fit_of(posterior)
        at = fitted.u50
        low = SCALE / at.high  # 0 where the interval is open
        high = SCALE / at.low if at.low > 0 else float("inf")
        largest.append((lag, SCALE / at.units, low, high, at.censored, fitted.lapse))
    kinds = dict.fromkeys(
        ("lag", "rate", "low", "high", "censored", "lapse"), pl.Float64
    )
    return pl.DataFrame(
        largest, kinds | {"lag": pl.Int64, "censored": pl.String}, orient="row"
    )


def power(fits: dict[int, curve.Posterior]) -> Power | None:
    """Fit the power of the delay through draws of the posteriors; None if too few
    delays have a rate."""
    lags = critical(fits).filter(censored="no")["lag"].to_list()
    if len(lags) < DELAYS:
        return None
    rng = np.random.default_rng(0)
    samples = []
    for lag in lags:
        weights = fits[lag].weights.sum(axis=-1)
        samples.append(rng.choice(fits[lag].mu, DRAWS, p=weights / weights.sum()))
    slopes, starts = np.polyfit(np.log2(lags), np.array(samples), 1)
    low, middle, high = np.quantile(slopes, [0.025, 0.5, 0.975])
    return Power(
        float(middle),
        float(low),
        float(high),
        float(SCALE / np.exp2(np.median(starts))),
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the share of seeds that train against the learning rate, and the largest
    rate against delay."""
    fits = posteriors(counts(rows))
    data = counts(rows).join(critical(fits), on="lag").sort("lag", "lr")
    line = power(fits)
    picture, (left, right) = marks.panels((9.4, 4.6), 1, 2)
    for k, ((lag,), own) in enumerate(data.group_by("lag", maintain_order=True)):
        look = marks.look(k)
        share = own["solved"] / own["seeds"]
        places = own["lr"] * 1.05 ** (k - 2)
        left.plot(places, share, ls="", label=f"{lag} steps", **look)
        marks.share_bars(left, places, own["solved"], own["seeds"], look["color"])
        rates = np.geomspace(min(own["lr"].to_list()), max(own["lr"].to_list()), 60)
        fitted = curve.probability(fits[int(str(lag))], SCALE / rates)
        left.plot(rates, fitted, color=look["color"], lw=1)
        largest = own.row(0, named=True)
        if largest["censored"] == "no":  # it lies among the rates that were tried
            rate = largest["rate"]
            high = min(largest["high"], 10 * largest["rate"])
            ends = [[rate - largest["low"]], [high - rate]]
            right.errorbar([lag], [rate], yerr=ends, capsize=2, ls="", **look)
    titles = {"title": "seeds that train, by learning rate", "xlabel": "learning rate"}
    left.set(
        xscale="log",
        ylabel="share of seeds that train",
        xlim=(None, 2),
        ylim=(-0.04, 1.04),
        **titles,
    )
    marks.legend(left, title="delay", title_fontsize=8, loc="upper right")
    titles = {
        "title": "largest learning rate, by delay",
        "xlabel": "delay (steps of 5 ms)",
    }
    right.set(
        xscale="log", yscale="log", ylabel="largest learning rate that trains", **titles
    )
    lags = data["lag"].unique().sort()
    if line is not None:
        at = line.rate * lags.cast(pl.Float64) ** -line.power
        right.plot(lags, at, color="black", lw=1, label=f"delay^{line}")
        marks.legend(right, fontsize=9)
    marks.number_x(right, lags)
    right.minorticks_off()
    for axes in (left, right):
        axes.grid(color="#dddddd", lw=0.5)
    caption = (
        "Leaky nets report, after a delay, which of two cues they saw. They train by gradient"
        f" descent with momentum 0.9, with {marks.greatest(data, 'seeds')} seeds per point (delays"
        " are moved sideways a little). Left: bars are 95 % intervals of the shares, and lines"
        " are logistic curves with a share of seeds that no rate trains. Right: points"
        " are the rates at which half of the other seeds train, with 95 % intervals,"
        " and the line is a power of the delay. Kurtkaya, Dinc et"
        " al. (2025) find powers of -2.7, where nets cease to learn, and -4.1, for slow points,"
        " at delays to 80 steps."
    )
    return marks.finish(
        picture,
        rows,
        data,
        caption,
        160,
        left=0.075,
        right=0.985,
        top=0.92,
        wspace=0.24,
    )


def _falls(counts: pl.DataFrame) -> Finding:
    """Judge the interval of the power, and at equal rates the shortest delay and the longest."""
    line = power(posteriors(counts))
    shares = pl.col("solved") / pl.col("seeds")
    if line is None:
        return NOT_MEASURED
    ends = (
        counts.sort("lag")
        .group_by("lr")
        .agg(shares.first().alias("a"), shares.last().alias("b"), pl.len())
    )
    both = (
        ends.filter(pl.col("len") > 1)
        .select(pl.col("a", "b").mean())
        .row(0, named=True)
    )
    text = f"as delay^{line}; at equal rates {both['a']:.0%} and {both['b']:.0%} train"
    return Finding(text, line.low > 0 and both["a"] - both["b"] >= FEWER)


PAPER = Paper(
    source=(
        "Kurtkaya, Dinc et al., Dynamical phases of short-term memory mechanisms in RNNs, ICML"
        " 2025 (2502.17433)"
    ),
    cost="4 minutes on one core of a busy machine, without compilation (248 members)",
    read="code",
    table=counts,
    claims=(
        Claim(
            "the largest learning rate that trains falls with the delay (here: the interval of"
            " its power is above 0, and at equal rates fewer seeds train at the longest delay"
            f" tried than at the shortest, by {FEWER:.0%} of the seeds on average)",
            "as delay^-2.72 +- 0.07, where nets cease to learn (limit cycles, by a note); -4.05"
            " +- 0.10, for slow-point manifolds; -0.38 +- 0.02 without memory, by that note",
            "abstract; titles of the authors' figures, Figures/Figure4/code/nopost/scaling*.pdf"
            " in their code",
            _falls,
            within=("lr",),
            post_hoc=True,
        ),
    ),
)

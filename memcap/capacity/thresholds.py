"""Thresholds: how many units it takes until a given share of seeds solves, with an interval.

Model of one task and lag, for a seed of u units:

    P(solved | u) = (1 - lapse) * logistic(slope * (log2 u - mu))

`lapse` is the share of seeds that no width saves: a failure of training, not of size. `slope` is in logits a
doubling.

Counts such as 0/4 at one width and 4/4 at the next are the normal case. Maximum likelihood has no answer
there (the slope diverges), so thresholds are read from a posterior on a grid. Priors: the slope on [1, 500],
from a transition (10 % to 90 %) that takes 4.4 doublings to one that takes 0.6 % more units, 0.4 of a unit in
64. Up to 25, a factor of 1.13 in units, it is log-uniform; beyond, it is the width of the transition that is
    uniform, so that steps are possible and yet curves that no
design could tell from a step weigh little. mu uniform over the tested widths and two doublings at either end;
the lapse on [0, 0.6], four parts of Beta(1, 15), with mean 0.06, and one part uniform.
Between two widths the data do not say where a steeper transition lies; the prior of mu does.

Of which share? u50 and u90 are the widths at which 50 % and 90 % of the seeds that can train at all solve
(`of="trainable"`), so that a failure of training does not read as a lack of width; the lapse stands beside
them. "Nine in ten of ALL seeds solve" is a stronger statement, and with a lapse above 0.1 no width makes it
true: `of="all"`.

Where the data end, so does the claim. A median outside the tested widths, or inside them without one failure
or without one success in the counts, gives a censored threshold. An end of an interval may lie beyond the
tested widths, carried there by the shape of the curve, but by one doubling at most; further out only the
prior speaks and the end is opened, to 1 (no smaller net exists) or to infinity.

An estimate is the median of the posterior, but not against what counts say plainly of u50. It never lies at
or below a width at which no seed solved, nor at any narrower; nor at or below the narrowest, if fewer than
half solved there and a lapse is not the better explanation; nor above the widest, if more than half solved
there (unless the posterior all but excludes that: `DOUBT`). There it is the median over the curves whose u50
is where these allow. Ends of intervals are those of the whole posterior: 0 of 4 seeds at 46 units and 3 of 4
at 47 and 48 give 46 < u50 <= 48, with an interval that is open below, since by chance and a lapse, or a
shallow transition, 4 seeds may all fail at a width that is enough. 16 seeds close it.

Coverage of the 95 % intervals, by simulation (`pytest -s -k coverage tests/capacity/test_thresholds.py`
prints it): for transitions within a factor 1.2 to 1.6 and a lapse to 0.1, at every width to 16, u50 0.95 to
0.96 and u90 0.97 with 8 or 16 seeds, 0.99 with 4; for those within 1.02 to 1.13, 0.93 to 0.97 and 0.95 to
0.97. Conservative, to 1.0, where widths are as far apart as the transition is wide. A lapse above 0.6 is
beyond its prior, and intervals are then not to be trusted. Seeds are taken as independent: if what they share
makes counts vary more than binomially, intervals are too narrow.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, logit

Floats = NDArray[np.float64]
Share = Literal["trainable", "all"]

MARGIN = 2.0  # doublings by which mu may leave the tested widths
STEP = 1 / 32  # doublings between values of mu, on average from a width to half-way to the next
OUTER = 1 / 8  # the same beyond the tested widths
NEAR, WIDEN = (
    0.15,
    0.4,
)  # logits between values of mu beside a width, and by how much of the distance to it they grow
SLOPES, STEEP = (
    np.geomspace(1, 500, 31),
    25.0,
)  # the prior is flat in log slope to STEEP, and in 1 / slope, the width, beyond it
GOLDEN = (5**0.5 - 1) / 2  # whose multiples, modulo 1, are spread evenly
# how likely u50 must be on the side of an outermost width on which the share of its seeds puts it, to be put
# there
DOUBT = 0.025
LAPSE_MOST, LAPSES = 0.6, 11
LAPSE_RUNS, LAPSE_ODD = 14, 0.2  # Beta(1, 15) weighs as much as 14 solved runs; share of the uniform part


@dataclass(frozen=True)
class Threshold:
    """A width in units, not rounded: ceil(units) is the smallest net that reaches the share. Numbers >= 1,
    none NaN.

    censored = "no": `units` is the posterior median, [low, high] the interval; low = 1 or high = inf where it
    is open. censored = "below": the smallest width tested is enough; `units` is that width, an upper bound;
    low = 1; high is beyond it where the counts leave room for doubt. If that width is 1 nothing is left open:
    1 unit is enough. censored = "above": not reached; `units` is the largest width tested, a lower bound; low
    <= units; high = inf.
    """

    units: float
    low: float
    high: float
    censored: Literal["no", "below", "above"]

    def is_number(self, narrowest: int) -> bool:
        """Whether it was measured: not censored, or enough at a `narrowest` width tried of 1, below which
        there is no net."""
        return self.censored == "no" or (self.censored == "below" and narrowest == 1)


@dataclass(frozen=True)
class Fit:
    """What the counts of one task and lag say.

    u_exist: smallest width that any seed solved.
    bracket: largest width that no seed solved; smallest width from which on all seeds of all tested widths
    solved. u50, u90: widths at which 50 % and 90 % of the seeds that can train at all solve.
    lapse, lapse_low, lapse_high: posterior mean and interval of the share that no width saves. Where no width
    is wide enough to tell, that is the prior, with mean 0.1: only a lapse_low well above 0 is a finding.
    slope: posterior median, in logits per doubling of units.
    runs: seeds counted, over all widths.
    """

    u_exist: int | None
    bracket: tuple[int | None, int | None]
    u50: Threshold
    u90: Threshold
    lapse: float
    lapse_low: float
    lapse_high: float
    slope: float
    runs: int


@dataclass(frozen=True)
class Band:
    """Posterior mean of P(solved) and the ends of its pointwise interval, one number a width."""

    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Posterior:
    """Weights on a grid of (mu, slope, lapse); one study, or many of one design along leading axes.

    widths: (W,), ascending and distinct; solved and runs: (..., W), merged by width.
    mu, slope: (N,), slopes ascending, and mu within each; lapse: (K,).
    weights: (..., N, K), summing to 1 over the last two axes.
    """

    widths: NDArray[np.int64]
    solved: NDArray[np.int64]
    runs: NDArray[np.int64]
    mu: Floats
    slope: Floats
    lapse: Floats
    weights: Floats


@lru_cache(maxsize=8)
def _grid(widths: tuple[int, ...]) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Of one design: mu and slope (N,), lapse (K,), log prior (N, K), log logistic (W, N), log P of failed
    (W, N * K)."""
    x = np.log2(np.asarray(widths, float))
    # A steep curve's likelihood changes where mu is near a width and is flat between widths, so values of mu
    # lie densest beside the widths: at equal steps of log(1 + distance), half-way to the next width. They are
    # staggered from slope to slope, so that quantiles are finer than a step.
    centre, side = np.repeat(x, 2), np.tile([-1.0, 1.0], x.size)
    reach = np.concatenate([[MARGIN], np.repeat(np.diff(x) / 2, 2), [MARGIN]])
    coarsest = np.concatenate([[OUTER], np.full(reach.size - 2, STEP), [OUTER]])
    scale = NEAR / (WIDEN * SLOPES)[:, None]
    warped = np.log1p(reach / scale)
    sizes = np.ceil(np.maximum(warped / WIDEN, reach / coarsest)).astype(int)
    which = np.repeat(np.arange(sizes.size), sizes.ravel())
    at, half = np.divmod(which, reach.size)
    count = np.arange(which.size) - (np.cumsum(sizes) - sizes.ravel())[which]
    part = (count + at * GOLDEN % 1) / sizes.ravel()[which]
    far = warped.ravel()[which] * np.where(side[half] < 0, 1 - part, part)
    mu, slope = centre[half] + side[half] * scale[at, 0] * np.expm1(far), SLOPES[at]
    step = scale[at, 0] * np.exp(far) * (warped / sizes).ravel()[which]
    root = (np.arange(LAPSES) + 0.5) / LAPSES  # lapse = most * root ** 2: finest near 0
    lapse = LAPSE_MOST * root**2
    usual = (LAPSE_RUNS + 1) * (1 - lapse) ** LAPSE_RUNS
    prior = np.log((1 - LAPSE_ODD) * usual + LAPSE_ODD / LAPSE_MOST) + np.log(root)
    prior = prior + np.log(step / (1 + slope / STEEP))[:, None]
    z = slope * (x[:, None] - mu)
    failed = np.log(lapse + (1 - lapse) * expit(-z)[..., None])
    return mu, slope, lapse, prior, log_expit(z), failed.reshape(x.size, -1)


def _counts(name: str, values: ArrayLike) -> NDArray[np.int64]:
    """Values as integers; ValueError if one is not."""
    array = np.asarray(values, float)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name}: must be a sequence of at least one number")
    if not np.all(np.isfinite(array)) or np.any(array != np.round(array)):
        raise ValueError(f"{name}={values}: must be whole numbers")
    return array.astype(np.int64)


def _within(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value}: must be above 0 and below 1")


def posterior(units: ArrayLike, solved: ArrayLike, runs: ArrayLike) -> Posterior:
    """The posterior given `solved` of `runs` seeds at each of `units`.

    Args:
        units: (D,) widths >= 1, whole, in any order; a width that occurs twice is merged.
        solved: (D,), or (..., D) for many studies of one design.
        runs: as `solved`, >= 1.

    Raises:
        ValueError: shapes that do not fit, numbers that are not whole, units or runs < 1, or not 0 <= solved
            <= runs.
    """
    units, solved, runs = _counts("units", units), _counts("solved", solved), _counts("runs", runs)
    if units.ndim != 1 or solved.shape[-1] != units.size or runs.shape[-1] != units.size:
        raise ValueError(
            f"units {units.shape}, solved {solved.shape}, runs {runs.shape}: must be as long on the last axis"
        )
    solved, runs = np.broadcast_arrays(solved, runs)
    if np.any(units < 1) or np.any(runs < 1) or np.any(solved < 0) or np.any(solved > runs):
        raise ValueError("units and runs must be at least 1, and solved from 0 to runs")
    widths = np.unique(units)
    same = (units[:, None] == widths).astype(np.int64)
    solved, runs = solved @ same, runs @ same
    mu, slope, lapse, prior, log_logistic, log_failed = _grid(tuple(widths.tolist()))
    weights = ((runs - solved).astype(float) @ log_failed).reshape(*solved.shape[:-1], *prior.shape)
    weights += (
        prior
        + (solved.astype(float) @ log_logistic)[..., None]
        + solved.sum(axis=-1)[..., None, None] * np.log1p(-lapse)
    )
    weights -= weights.max(axis=(-2, -1), keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=(-2, -1), keepdims=True)
    return Posterior(widths, solved, runs, mu, slope, lapse, weights)


def _ruled_out(post: Posterior) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the counts rule out the smallest width as u50, (...); the curves whose u50 they do not rule
    out, (..., N)."""
    unsolved = np.logical_and.accumulate(post.solved == 0, axis=-1).sum(axis=-1)
    marginal, log_widths = post.weights.sum(axis=-1), np.log2(post.widths)
    wider = post.mu > log_widths[np.maximum(unsolved, 1) - 1][..., None]
    fewer = (2 * post.solved[..., 0] < post.runs[..., 0]) & (np.sum(marginal * wider, axis=-1) > DOUBT)
    smallest = (unsolved > 0) | fewer
    kept = wider | ~smallest[..., None]
    inside = kept & (post.mu <= log_widths[-1])
    most = (2 * post.solved[..., -1] > post.runs[..., -1]) & (np.sum(marginal * inside, axis=-1) > DOUBT)
    return smallest, np.where(most[..., None], inside, kept)


def interval(
    post: Posterior, p: float, confidence: float = 0.95, of: Share = "trainable"
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """`threshold` of many studies: units, low, high and side (-1 below, 0 measured, 1 above), each of shape
    (...)."""
    _within("p", p)
    _within("confidence", confidence)
    ruled_out, possible = _ruled_out(post)
    kept = np.where(possible[..., None], post.weights, 0.0)
    if of == "trainable":
        log_units, weights, kept = (
            post.mu + logit(p) / post.slope,
            post.weights.sum(axis=-1),
            kept.sum(axis=-1),
        )
    elif of == "all":
        odds = np.where(post.lapse < 1 - p, logit(np.minimum(p / (1 - post.lapse), 1)), np.inf)
        log_units, weights = post.mu[:, None] + odds / post.slope[:, None], post.weights
    else:
        raise ValueError(f"of={of}: must be trainable or all")
    order = np.argsort(log_units, axis=None, kind="stable")
    mass, part = (
        np.cumsum(x.reshape(*post.solved.shape[:-1], -1)[..., order], axis=-1) for x in (weights, kept)
    )
    tail = (1 - confidence) / 2
    ranks = [
        (mass < tail).sum(axis=-1),
        (part < part[..., -1:] / 2).sum(axis=-1),
        (mass < 1 - tail).sum(axis=-1),
    ]
    low, middle, high = (
        np.exp2(log_units.ravel()[order[np.minimum(rank, order.size - 1)]]) for rank in ranks
    )
    least, most = float(post.widths[0]), float(post.widths[-1])
    every, none = np.all(post.solved == post.runs, axis=-1), np.all(post.solved == 0, axis=-1)
    below = ((middle < least) & ~ruled_out) | (every & (middle <= most))
    above = (middle > most) | (none & (middle >= least))
    units = np.where(below, least, np.where(above, most, np.maximum(middle, least)))
    low = np.where(below | (low < least / 2), 1.0, np.maximum(np.minimum(low, units), 1.0))
    high = np.where(above | (high > 2 * most), np.inf, np.maximum(high, units))
    return units, low, high, above.astype(np.int64) - below


def threshold(post: Posterior, p: float, confidence: float = 0.95, of: Share = "trainable") -> Threshold:
    """The width at which a share `p` of seeds solves, from the posterior of one study.

    Args:
        post: the posterior of one study.
        p: the share, between 0 and 1.
        confidence: of the interval, between 0 and 1; equal tails.
        of: "trainable", p of the seeds that can train at all; "all", p of all seeds.

    Raises:
        ValueError: `p` or `confidence` out of range, `of` unknown.
    """
    units, low, high, side = interval(post, p, confidence, of)
    return Threshold(float(units), float(low), float(high), ("no", "above", "below")[int(side)])


def enough(post: Posterior, share: float) -> int | None:
    """The smallest whole width at which one more seed, if it trains at all, passes with a chance of at least
    `share`.

    That chance is the mean over the posterior, of one study: it counts how well the curve is known. So it may
    ask for a unit more than the threshold at `share` does, where a shallow transition is not excluded.

    Args:
        post: the posterior of one study.
        share: between 0 and 1.

    Returns:
        The narrowest width tried if the threshold is censored below; None if it is above, or if no width to a
        doubling beyond the widest tried is enough.

    Raises:
        ValueError: `share` out of range.
    """
    censored = threshold(post, share).censored
    if censored != "no":
        return int(post.widths[0]) if censored == "below" else None
    units = np.arange(int(post.widths[0]), 2 * int(post.widths[-1]) + 1)
    weights = post.weights.sum(axis=-1)
    chances = expit(post.slope * (np.log2(units)[:, None] - post.mu)) @ weights
    passing = units[chances >= share]
    return int(passing[0]) if passing.size else None


def probability(post: Posterior, units: ArrayLike, confidence: float = 0.95) -> Band:
    """P(solved) of a seed, lapse included, at each of `units` (any shape, > 0, tested or not), for one study.

    Raises:
        ValueError: `units` or `confidence` out of range.
    """
    _within("confidence", confidence)
    x = np.asarray(units, float)
    if not np.all(x > 0):
        raise ValueError(f"units={units}: must be above 0")
    n, k = np.nonzero(
        post.weights > 1e-8 * np.max(post.weights)
    )  # the rest moves no quantile, and sorting it is slow
    weights = post.weights[n, k]
    curves = (1 - post.lapse[k]) * expit(post.slope[n] * (np.log2(x)[..., None] - post.mu[n]))
    tail = (1 - confidence) / 2
    low, high = np.quantile(curves, [tail, 1 - tail], axis=-1, weights=weights, method="inverted_cdf")
    return Band(np.average(curves, axis=-1, weights=weights), low, high)


def fit(units: ArrayLike, solved: ArrayLike, runs: ArrayLike, confidence: float = 0.95) -> Fit:
    """All that is reported of one task and lag; arguments and errors as `posterior` and `threshold`, one
    study.

    Example: units 4 5 6 7 8, solved 0 0 3 7 8 of 8 each -> u_exist 6, bracket (5, 8), u50 6.1, u90 6.8.
    """
    return fit_of(posterior(units, solved, runs), confidence)


def fit_of(post: Posterior, confidence: float = 0.95) -> Fit:
    """`fit` from the posterior of one study, for who keeps that as well.

    Raises:
        ValueError: `confidence` out of range, or more than one study.
    """
    if post.solved.ndim != 1:
        raise ValueError(
            f"solved {post.solved.shape}: must be one study; use posterior and interval for many"
        )
    none, every = (
        post.widths[post.solved == 0],
        np.logical_and.accumulate((post.solved == post.runs)[::-1])[::-1],
    )
    any_solved = post.widths[post.solved > 0]
    by_lapse, by_slope = np.cumsum(post.weights.sum(axis=0)), np.cumsum(post.weights.sum(axis=1))
    return Fit(
        u_exist=int(any_solved[0]) if any_solved.size else None,
        bracket=(int(none[-1]) if none.size else None, int(post.widths[every][0]) if every.any() else None),
        u50=threshold(post, 0.5, confidence),
        u90=threshold(post, 0.9, confidence),
        lapse=float(post.weights.sum(axis=0) @ post.lapse),
        lapse_low=float(post.lapse[np.searchsorted(by_lapse, (1 - confidence) / 2)]),
        lapse_high=float(post.lapse[np.searchsorted(by_lapse, (1 + confidence) / 2)]),
        slope=float(post.slope[np.searchsorted(by_slope, 0.5)]),
        runs=int(post.runs.sum()),
    )

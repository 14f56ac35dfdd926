"""Thresholds: the units at which a given share of seeds solves the task, with an
interval.

For one task and lag, for a seed with u units:

    P(solved | u) = (1 - lapse) * logistic(slope * (log2 u - mu))

`lapse` is the share of seeds that no width saves; u50 and u90 are the widths at which
50 % and 90 % of the others solve. As 0/4 at one width and 4/4 at the next is the normal
case, for which maximum likelihood has no answer, thresholds are read from a posterior.
Priors:

* The slope (logits per doubling) lies in [1, 500]: log-uniform up to 25, 10 % to 90 %
  within a factor of 1.13; beyond, the transition's width is uniform.
* mu is uniform over the tested widths and two doublings at either end.
* The lapse lies in [0, 0.6], four parts Beta(1, 15) and one part uniform.
* The seeds of a width may be alike (`CORRELATIONS`), which widens intervals.

A threshold is censored if its median lies outside the tested widths, or if the counts
have no failure or no success. An end more than a doubling beyond these widths is open,
as there only the prior decides. The median is over the curves that agree with plain
counts (`_allowed`): 0 of 4 seeds at 46 units and 3 of 4 at 47 give 46 < u50.

`pytest -s -k coverage tests/thresholds/test_curve.py` simulates how often 95 %
intervals hold the truth: in 93 to 99 % of cases, and more if widths are far apart. They
are not to be trusted if the lapse is above 0.6.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Integers = NDArray[np.int64]
MARGIN = 2.0  # doublings by which mu may lie beyond the tested widths
STEP = 1 / 32  # most doublings between values of mu, on average, within these widths
OUTER = 1 / 8  # the same beyond them
NEAR = 0.15  # logits between values of mu beside a width
WIDEN = 0.4  # growth of that step per distance from the width
SLOPES = np.geomspace(1, 500, 31)
STEEP = 25.0  # the prior is flat in log slope to here, and in 1 / slope beyond
GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread evenly
# least probability that u50 is on the side of an outermost width on which the share of
# its seeds puts it, for the estimate to follow that share
DOUBT = 0.025
LAPSE_MOST = 0.6
LAPSES = 11
LAPSE_RUNS = 14  # solved runs as which Beta(1, 15) weighs
LAPSE_ODD = 0.2  # weight of the prior's uniform part
# of a width's seeds, each with its prior
CORRELATIONS = ((0.0, 0.4), (0.1, 0.3), (0.25, 0.3))
INDEPENDENT = ((0.0, 1.0),)
MISFIT = 0.02  # probability of counts below which they do not fit
SURPRISE = 0.05  # step of minus log probability in `misfit`
MOST_SURPRISE = 40.0
SMALLEST = np.finfo(float).tiny  # least probability whose logarithm is taken
LOGIT_STEP = 0.04  # of the beta-binomial's table
LOGIT_MOST = 12.0


# SciPy has these three functions, too, but importing its special functions would take
# a third of the time in which `memcap answer` starts.


def logistic(z: ArrayLike) -> Floats:
    """Compute 1 / (1 + exp(-z)), for any shape."""
    z = np.asarray(z, float)
    small = np.exp(-np.abs(z))
    above = np.where(z < 0, small, 1)
    return above / (1 + small)


def log_logistic(z: ArrayLike) -> Floats:
    z = np.asarray(z, float)
    small = np.exp(-np.abs(z))
    return np.minimum(z, 0) - np.log1p(small)


def logit(p: ArrayLike) -> Floats:
    p = np.asarray(p, float)
    return np.log(p) - np.log1p(-p)


@dataclass(frozen=True)
class Threshold:
    """A width in units, not rounded: ceil(units) is the narrowest net that reaches the
    share. Numbers are at least 1; an open end is 0 or inf.

    censored = "no": `units` is the posterior median, [low, high] the interval.

    censored = "below": the smallest width tested, `units`, is enough; low is open, or 1
    if no width is left between; high is beyond `units` if the counts leave room for
    doubt.

    censored = "above": the largest width tested, `units`, is not enough; high = inf.
    """

    units: float
    low: float
    high: float
    censored: Literal["no", "below", "above"]

    def is_number(self, narrowest: int) -> bool:
        """Return whether it was measured: not censored, or reached at one unit."""
        return self.censored == "no" or (self.censored == "below" and narrowest == 1)


@dataclass(frozen=True)
class Fall:
    """Counts that fall: more seeds pass at `first` to `last` than at `wider` to
    `widest`."""

    first: int
    last: int
    passed: int
    runs: int
    wider: int
    widest: int
    wider_passed: int
    wider_runs: int


@dataclass(frozen=True)
class Fit:
    """The thresholds and the lapse fitted to the counts of one task and lag."""

    # largest width that no seed solved; smallest width from which on all seeds of all
    # tested widths solved
    bracket: tuple[int | None, int | None]
    u50: Threshold  # width at which 50 % of the seeds that can train at all solve
    u90: Threshold
    # Posterior mean and interval of the share that no width saves. If no width is wide
    # enough to tell, this is the prior, with mean 0.1: only a lapse_low well above 0 is
    # a finding.
    lapse: float
    lapse_low: float
    lapse_high: float
    # probability of counts as unlike the fitted curve as these, if all seeds are
    # independent
    misfit: float
    fall: Fall | None = None  # the fit is to the widths before it

    @property
    def fits(self) -> bool:
        return self.misfit >= MISFIT


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of seeds that passed."""

    widths: Integers  # (W,), ascending and distinct
    solved: Integers  # (W,)
    runs: Integers  # (W,)


@dataclass(frozen=True, eq=False)
class Posterior(Counts):
    """The posterior given counts: weights on a grid of (mu, slope, lapse)."""

    mu: Floats  # (N,), ascending within each slope
    slope: Floats  # (N,), ascending
    lapse: Floats  # (K,)
    weights: Floats  # (N, K), summing to 1

    @cached_property
    def curves(self) -> Floats:
        """The weights of mu and slope, (N,), whatever the lapse."""
        return self.weights.sum(axis=-1)


class Grid(NamedTuple):
    """The grid of a posterior, for some widths."""

    mu: Floats  # (N,)
    slope: Floats  # (N,)
    lapse: Floats  # (K,)
    log_prior: Floats  # (N, K)
    logits: Floats  # (W, N), of a pass without a lapse


@lru_cache(maxsize=8)
def _grid(widths: tuple[int, ...]) -> Grid:
    x = np.log2(np.asarray(widths, float))
    # A steep curve's likelihood changes where mu is near a width and is flat between
    # widths. So values of mu are densest beside the widths: on either side of each, at
    # equal steps of log(1 + distance), half-way to the next. They are staggered from
    # slope to slope, so that quantiles are finer than a step.
    centres = np.repeat(x, 2)
    sides = np.tile([-1.0, 1.0], x.size)
    half_way = np.repeat(np.diff(x) / 2, 2)
    reach = np.concatenate([[MARGIN], half_way, [MARGIN]])
    coarsest = np.full(reach.size, STEP)
    coarsest[0] = OUTER
    coarsest[-1] = OUTER
    widening = WIDEN * SLOPES
    scale = NEAR / widening[:, None]
    warped = np.log1p(reach / scale)
    least_sizes = np.maximum(warped / WIDEN, reach / coarsest)
    sizes = np.ceil(least_sizes).astype(int)
    # of each value: its slope, its side of a width, and its number there
    steps = sizes.ravel()
    runs = np.arange(steps.size)
    which = np.repeat(runs, steps)
    row, side = np.divmod(which, reach.size)
    first = np.cumsum(steps) - steps
    number = np.arange(which.size) - first[which]
    stagger = row * GOLDEN % 1
    part = (number + stagger) / steps[which]
    sign = sides[side]
    outward = np.where(sign < 0, 1 - part, part)
    far = warped.ravel()[which] * outward
    near = scale[row, 0]
    mu = centres[side] + sign * near * np.expm1(far)
    slope = SLOPES[row]
    gaps = warped / sizes
    step = near * np.exp(far) * gaps.ravel()[which]
    root = (np.arange(LAPSES) + 0.5) / LAPSES
    lapse = LAPSE_MOST * root**2  # finest near 0
    usual = (LAPSE_RUNS + 1) * (1 - lapse) ** LAPSE_RUNS
    density = (1 - LAPSE_ODD) * usual + LAPSE_ODD / LAPSE_MOST
    lapse_prior = np.log(density) + np.log(root)
    steepness = 1 + slope / STEEP
    curve_prior = np.log(step / steepness)
    return Grid(
        mu=mu,
        slope=slope,
        lapse=lapse,
        log_prior=lapse_prior + curve_prior[:, None],
        logits=slope * (x[:, None] - mu),
    )


@lru_cache(maxsize=1024)
def beta_binomial(
    solved: int, runs: int, lapses: tuple[float, ...], correlations: tuple[float, ...]
) -> Floats32:
    """Compute log P of `solved` of `runs` seeds in a given order, (Z, R, K): by the
    logistic's logit (`nearest` finds the row), correlation and lapse.

    With p = (1 - lapse) * logistic and r = correlation / (1 - correlation), P is the
    product of p + i r over the solved seeds and of 1 - p + j r over the failed ones,
    over that of 1 + k r over all.
    """
    lapse = np.array(lapses)
    logits = np.arange(-LOGIT_MOST, LOGIT_MOST + LOGIT_STEP, LOGIT_STEP)
    z = logits[:, None, None]
    passes = (1 - lapse) * logistic(z)
    fails = lapse + (1 - lapse) * logistic(-z)
    correlation = np.array(correlations)[:, None]
    ratio = correlation / (1 - correlation)
    log_p = np.zeros(np.broadcast_shapes(passes.shape, ratio.shape))
    for k in range(solved):
        log_p += np.log(passes + k * ratio)
    for k in range(runs - solved):
        log_p += np.log(fails + k * ratio)
    for k in range(runs):
        log_p -= np.log1p(k * ratio)
    return log_p.astype(np.float32)


def nearest(z: Floats) -> Integers:
    inside = np.clip(z, -LOGIT_MOST, LOGIT_MOST)
    rows = (inside + LOGIT_MOST) / LOGIT_STEP
    return np.rint(rows).astype(np.int64)


def counts(units: ArrayLike, solved: ArrayLike, runs: ArrayLike) -> Counts:
    """Count `solved` of `runs` seeds at each of `units`, (D,); repeated widths are
    added."""
    units = np.asarray(units)
    # np.unique would import numpy.ma, which takes 0.05 s
    distinct = set(units.tolist())
    widths = np.array(sorted(distinct))
    same = units[:, None] == widths
    groups = same.astype(np.int64)
    return Counts(widths, solved @ groups, runs @ groups)


def posterior(
    units: ArrayLike,
    solved: ArrayLike,
    runs: ArrayLike,
    correlations: Sequence[tuple[float, float]] = CORRELATIONS,
) -> Posterior:
    """Compute the posterior given `solved` of `runs` seeds at each of `units`.

    Args:
        units, solved, runs: as for `counts`.
        correlations: intraclass correlations of the seeds of a width, each with its
            prior; `INDEPENDENT` takes seeds as independent.
    """
    data = counts(units, solved, runs)
    grid = _grid(tuple(data.widths.tolist()))
    weights = np.zeros_like(grid.log_prior)
    shift = None
    for correlation, share in correlations:
        log_p = _log_likelihood(data, grid, correlation)
        log_p += grid.log_prior
        if shift is None:
            shift = log_p.max()
        log_p -= shift
        weights += share * np.exp(log_p, out=log_p)
    weights /= weights.sum()
    return Posterior(
        widths=data.widths,
        solved=data.solved,
        runs=data.runs,
        mu=grid.mu,
        slope=grid.slope,
        lapse=grid.lapse,
        weights=weights,
    )


def _log_likelihood(data: Counts, grid: Grid, correlation: float) -> Floats:
    """Compute the log likelihood of counts on the grid of their widths, (N, K)."""
    if correlation == 0:
        return _log_binomial(data, grid)
    log_p = np.zeros_like(grid.log_prior)
    lapses = tuple(grid.lapse.tolist())
    solved = data.solved.tolist()
    runs = data.runs.tolist()
    for width, rows in enumerate(nearest(grid.logits)):
        table = beta_binomial(solved[width], runs[width], lapses, (correlation,))
        log_p += table[:, 0].take(rows, axis=0)
    return log_p


def _log_binomial(data: Counts, grid: Grid) -> Floats:
    """Compute the log likelihood of counts of independent seeds, (N, K)."""
    log_p = np.zeros_like(grid.log_prior)
    # width by width: new pages of memory for all at once take longer than the sums
    all_failed = data.runs - data.solved
    for failed, logits in zip(all_failed, grid.logits, strict=True):
        if failed:
            trained = np.outer(logistic(-logits), 1 - grid.lapse)
            fails = trained + grid.lapse
            log_p += failed * np.log(fails)
    solved = data.solved.astype(float)
    rises = solved @ log_logistic(grid.logits)
    log_p += rises[:, None]
    log_p += data.solved.sum() * np.log1p(-grid.lapse)
    return log_p


def _allowed(post: Posterior) -> tuple[bool, NDArray[np.bool_]]:
    """Return whether the counts rule out the narrowest width as u50, and which curves
    they allow, (N,)."""
    log_widths = np.log2(post.widths)
    none_solved = np.logical_and.accumulate(post.solved == 0)
    unsolved = int(none_solved.sum())
    narrowest = max(unsolved, 1) - 1
    wider = post.mu > log_widths[narrowest]
    few = 2 * post.solved[0] < post.runs[0]
    is_wider = few and np.sum(post.curves * wider) > DOUBT
    ruled_out = unsolved > 0 or bool(is_wider)
    allowed = wider if ruled_out else np.ones_like(wider)
    inside = allowed & (post.mu <= log_widths[-1])
    most = 2 * post.solved[-1] > post.runs[-1]
    is_inside = most and np.sum(post.curves * inside) > DOUBT
    return ruled_out, inside if is_inside else allowed


def threshold(post: Posterior, p: float, confidence: float = 0.95) -> Threshold:
    """Compute the width at which a share `p` of the seeds that can train solves, with
    an interval of equal tails."""
    ruled_out, allowed = _allowed(post)
    log_units = post.mu + logit(p) / post.slope
    order = np.argsort(log_units, kind="stable")
    mass = np.cumsum(post.curves[order])
    curves_allowed = np.where(allowed, post.curves, 0.0)
    mass_allowed = np.cumsum(curves_allowed[order])

    def quantile(mass: Floats, rank: float) -> float:
        place = int(np.searchsorted(mass, rank))
        last = order.size - 1
        curve = order[min(place, last)]
        return float(np.exp2(log_units[curve]))

    tail = (1 - confidence) / 2
    low = quantile(mass, tail)
    median = quantile(mass_allowed, mass_allowed[-1] / 2)
    high = quantile(mass, 1 - tail)
    narrowest = float(post.widths[0])
    widest = float(post.widths[-1])
    # there is no net narrower than 1, so within a doubling of it no end is open
    least = 1.0 if narrowest <= 2 else 0.0
    if high > 2 * widest:
        high = math.inf
    all_solved = np.all(post.solved == post.runs) and median <= widest
    if all_solved or (median < narrowest and not ruled_out):
        return Threshold(narrowest, least, max(high, narrowest), "below")
    none_solved = np.all(post.solved == 0) and median >= narrowest
    reached = not (none_solved or median > widest)
    units = max(median, narrowest) if reached else widest
    inside = max(min(low, units), 1.0)
    low = least if low < narrowest / 2 else inside
    if not reached:
        return Threshold(units, low, math.inf, "above")
    return Threshold(units, low, max(high, units), "no")


def probability(post: Posterior, units: ArrayLike) -> Floats:
    """Compute the posterior mean of P(solved), including the lapse, at each of `units`
    (any shape, > 0, tested or not)."""
    log_units = np.log2(units)[..., None]
    rise = logistic(post.slope * (log_units - post.mu))
    return rise @ _trained(post)


def _trained(post: Posterior) -> Floats:
    """Compute the weights of mu and slope, (N,), times the share that can train."""
    return post.weights @ (1 - post.lapse)


def fit_of(post: Posterior, confidence: float = 0.95) -> Fit:
    """Fit everything that is reported about one task and lag."""
    none = post.widths[post.solved == 0].tolist()
    # widths from which on all seeds solved
    from_widest = (post.solved == post.runs)[::-1]
    every = np.logical_and.accumulate(from_widest)[::-1]
    all_solved = post.widths[every].tolist()
    by_lapse = post.weights.sum(axis=0)
    ends = np.array([1 - confidence, 1 + confidence]) / 2
    places = np.searchsorted(np.cumsum(by_lapse), ends)
    low, high = post.lapse[places].tolist()
    return Fit(
        bracket=(none[-1] if none else None, all_solved[0] if all_solved else None),
        u50=threshold(post, 0.5, confidence),
        u90=threshold(post, 0.9, confidence),
        lapse=float(by_lapse @ post.lapse),
        lapse_low=low,
        lapse_high=high,
        misfit=misfit(post),
    )


def misfit(post: Posterior) -> float:
    """Compute the probability of counts at most as likely as these, by the mean of
    P(solved) and with independent seeds: a posterior-predictive check."""
    grid = _grid(tuple(post.widths.tolist()))
    means = logistic(grid.logits) @ _trained(post)
    # surprise is minus the log probability, in steps of SURPRISE: that of these counts,
    # and the probability of each, over the widths so far
    surprise = 0
    chances = np.ones(1)
    all_runs = post.runs.tolist()
    for mean, solved, runs in zip(means, post.solved, all_runs, strict=True):
        passed = np.arange(runs + 1)
        factors = np.maximum(passed, 1)
        log_factorials = np.cumsum(np.log(factors))
        log_p = log_factorials[-1] - log_factorials
        log_p -= log_factorials[::-1]
        log_mean = np.log(max(mean, SMALLEST))
        log_fails = (runs - passed) * np.log1p(-mean)
        log_p += passed * log_mean + log_fails
        surprises = -np.maximum(log_p, -MOST_SURPRISE)
        steps = np.rint(surprises / SURPRISE).astype(int)
        surprise += steps[solved]
        size = len(chances)
        sums = np.zeros(size + steps.max())
        for step, chance in zip(steps, np.exp(log_p), strict=True):
            sums[step : step + size] += chance * chances
        chances = sums
    return float(chances[surprise:].sum())


def no_easier(strict: Fit, loose: Fit) -> Fit:
    """Return a strict verdict's fit, with quantiles at least those of the loose one
    that it implies."""
    u50 = _larger(strict.u50, loose.u50)
    u90 = _larger(strict.u90, loose.u90)
    return replace(strict, u50=u50, u90=u90)


def _larger(strict: Threshold, loose: Threshold) -> Threshold:
    # one that was not reached is larger than any
    larger = max(strict, loose, key=lambda t: (t.censored == "above", t.units))
    low = max(strict.low, loose.low)
    high = max(strict.high, loose.high)
    return replace(larger, low=low, high=high)

"""Thresholds: the units at which a given share of seeds solves the task, with an interval.

The model for one task and lag, for a seed with u units:

    P(solved | u) = (1 - lapse) * logistic(slope * (log2 u - mu))

`lapse` is the share of seeds that no width saves: a failure of training, not of size.
`slope` is in logits per doubling.

Counts such as 0/4 at one width and 4/4 at the next are the normal case. Maximum
likelihood has no answer there (the slope diverges), so thresholds are read from a
posterior on a grid. Priors: the slope lies in [1, 500], from a transition (10 % to 90
%) over 4.4 doublings to one over 0.6 % more units, 0.4 of a unit in 64. Up to 25, a
factor of 1.13 in units, it is log-uniform; beyond, the width of the transition is
uniform, so that steps are possible but curves that no design could tell from a step
weigh little. mu is uniform over the tested widths and two doublings at either end. The
lapse lies in [0, 0.6], four parts Beta(1, 15), with mean 0.06, and one part uniform.
Between two widths the data do not say where a steep transition lies; the prior of mu
does.

Shares: u50 and u90 are the widths at which 50 % and 90 % of the seeds that can train at
all solve the task, so that a failure of training is not read as a lack of width; the
lapse is reported beside them.

Claims end with the data. The threshold is censored if its median lies outside the
tested widths, or if the counts have no failure or no success. An end of an interval may
lie beyond the tested widths, because of the curve's shape, but at most by one doubling;
further out only the prior decides, and the end is open.

An estimate is the median of the posterior, unless that contradicts what counts plainly
say about u50. It never lies at or below a width if no seed solved there or at any
narrower one; nor at or below the narrowest, if fewer than half solved there and a lapse
is not the better explanation; nor above the widest, if more than half solved there
(unless the posterior all but excludes that: `DOUBT`). In these cases it is the median
over the curves whose u50 is allowed. Ends of intervals are those of the whole
posterior: 0 of 4 seeds at 46 units and 3 of 4 at 47 and 48 give 46 < u50 <= 48, with an
interval that is open below, since by chance and a lapse, or a shallow transition, 4
seeds may all fail at a width that is enough.

The curve never falls. If counts fall with the width beyond chance,
memcap.thresholds.falls finds it.

The seeds of a width may be alike because of what they share (data, a program, a width
that trains badly): the posterior sums over intraclass correlations (`CORRELATIONS`:
none, .1, .25). The price is wider intervals: they cover u50 in .936 to .956 of cases
with a correlation of .2, and in .978 to 1 if seeds are independent after all. If seeds
with that correlation were taken as independent (`INDEPENDENT`), they would cover it in
78 to 90 %.

Coverage of the 95 % intervals if seeds are independent and taken so, by simulation
(`pytest -s -k coverage tests/thresholds/test_curve.py` prints it): for transitions
within a factor of 1.2 to 1.6 and a lapse up to 0.1, at every width up to 16, u50 0.95
to 0.96 and u90 0.97 with 8 or 16 seeds, 0.99 with 4; for transitions within 1.02 to
1.13, 0.93 to 0.97 and 0.95 to 0.97. Intervals are conservative, up to 1.0, if widths
are as far apart as the transition is wide. A lapse above 0.6 is beyond its prior, and
intervals are then not to be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memcap.thresholds.logistic import log_logistic, logistic, logit

Floats = NDArray[np.float64]
MARGIN = 2.0  # doublings by which mu may lie beyond the tested widths
STEP = (
    1 / 32
)  # doublings between values of mu, on average between a width and half-way to the next
OUTER = 1 / 8  # the same beyond the tested widths
# logits between values of mu beside a width, and their growth per distance from it
NEAR = 0.15
WIDEN = 0.4
# The prior is flat in log slope to STEEP, and in 1 / slope, the width, beyond it.
SLOPES = np.geomspace(1, 500, 31)
STEEP = 25.0
GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread evenly
# least probability that u50 is on the side of an outermost width on which the share of
# its seeds puts it, for the estimate to follow that share
DOUBT = 0.025
LAPSE_MOST = 0.6
LAPSES = 11
# Beta(1, 15) weighs as much as 14 solved runs; share of the uniform part
LAPSE_RUNS = 14
LAPSE_ODD = 0.2
# Intraclass correlation of the seeds of one width, and its prior.
CORRELATIONS = ((0.0, 0.4), (0.1, 0.3), (0.25, 0.3))
INDEPENDENT = ((0.0, 1.0),)  # if seeds have nothing in common
MISFIT = 0.02  # probability of counts below which they do not fit
# steps and range of minus log probability in `misfit`
SURPRISE = 0.05
MOST_SURPRISE = 40.0
SMALLEST = np.finfo(float).tiny  # least probability whose logarithm is taken
# of the beta-binomial's table
LOGIT_STEP = 0.04
LOGIT_MOST = 12.0


@dataclass(frozen=True)
class Threshold:
    """A width in units, not rounded: ceil(units) is the narrowest net that reaches the
    share. Numbers are at least 1 and never NaN; an open end is 0 or inf.

    censored = "no": `units` is the posterior median, [low, high] the interval. censored
    = "below": the smallest width tested is enough; `units` is that width, an upper
    bound; low is open, or 1 if no width is left between; high is beyond it if the
    counts leave room for doubt. If that width is 1, nothing is open: 1 unit is enough.
    censored = "above": not reached; `units` is the largest width tested, a lower bound;
    low <= units; high = inf.
    """

    units: float
    low: float
    high: float
    censored: Literal["no", "below", "above"]

    def is_number(self, narrowest: int) -> bool:
        """Return whether it was measured: not censored, or reached at a `narrowest`
        width of 1, below which there is no net."""
        return self.censored == "no" or (self.censored == "below" and narrowest == 1)


@dataclass(frozen=True)
class Fall:
    """Counts that fall with the width beyond chance: more seeds pass at the widths
    `first` to `last` than at those `wider` to `widest`."""

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

    u_exist: int | None  # smallest width that any seed solved
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
    slope: float  # posterior median, in logits per doubling of units
    runs: int  # seeds counted, over all widths
    # probability of counts as unlike the fitted curve as these, if all seeds are
    # independent
    misfit: float
    fall: Fall | None = (
        None  # beyond it wider nets fail more; the fit is then to the widths before it
    )

    @property
    def fits(self) -> bool:
        """True if the model describes the counts."""
        return self.misfit >= MISFIT


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of seeds that passed, in one study, or in many of one design along leading axes."""

    widths: NDArray[np.int64]  # (W,), ascending and distinct
    solved: NDArray[np.int64]  # (..., W), merged by width
    runs: NDArray[np.int64]  # likewise


@dataclass(frozen=True, eq=False)
class Posterior(Counts):
    """The posterior given counts: weights on a grid of (mu, slope, lapse)."""

    mu: Floats  # (N,), ascending within each slope
    slope: Floats  # (N,), ascending
    lapse: Floats  # (K,)
    weights: Floats  # (..., N, K), summing to 1 over the last two axes


@lru_cache(maxsize=8)
def _grid(widths: tuple[int, ...]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the grid of one design: mu, slope (N,), lapse (K,), log prior (N, K),
    logits (W, N)."""
    x = np.log2(np.asarray(widths, float))
    # A steep curve's likelihood changes if mu is near a width and is flat between
    # widths, so values of mu are densest beside the widths: at equal steps of log(1 +
    # distance), half-way to the next width. They are staggered from slope to slope, so
    # that quantiles are finer than a step.
    centre = np.repeat(x, 2)
    side = np.tile([-1.0, 1.0], x.size)
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
    mu = centre[half] + side[half] * scale[at, 0] * np.expm1(far)
    slope = SLOPES[at]
    step = scale[at, 0] * np.exp(far) * (warped / sizes).ravel()[which]
    root = (np.arange(LAPSES) + 0.5) / LAPSES  # lapse = most * root ** 2: finest near 0
    lapse = LAPSE_MOST * root**2
    usual = (LAPSE_RUNS + 1) * (1 - lapse) ** LAPSE_RUNS
    prior = np.log((1 - LAPSE_ODD) * usual + LAPSE_ODD / LAPSE_MOST) + np.log(root)
    prior = prior + np.log(step / (1 + slope / STEEP))[:, None]
    return mu, slope, lapse, prior, slope * (x[:, None] - mu)


@lru_cache(maxsize=8)
def _binomial(widths: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return the log logistic (W, N) and the log P of failed seeds (W, N * K) of one design."""
    *_, lapse, _, z = _grid(widths)
    failed = (1 - lapse) * logistic(-z)[..., None]
    failed += lapse  # in place, here and below, as new pages of memory take longer than the sums
    return log_logistic(z), np.log(failed, out=failed).reshape(len(widths), -1)


@lru_cache(maxsize=1024)
def beta_binomial(
    solved: int, runs: int, lapses: tuple[float, ...], correlations: tuple[float, ...]
) -> NDArray[np.float32]:
    """Compute log P of `solved` of `runs` seeds in a given order, (Z, R, K): by the
    logistic's logit (`nearest` finds the row), correlation and lapse.

    P(solved) of a width has a beta distribution around p = (1 - lapse) * logistic. So
    with r = correlation / (1 - correlation) the result is the product of p + i r over
    the solved seeds and of 1 - p + j r over the failed ones, divided by that of 1 + k r
    over all.
    """
    lapse = np.array(lapses)
    z = np.arange(-LOGIT_MOST, LOGIT_MOST + LOGIT_STEP, LOGIT_STEP)[:, None, None]
    passes = (1 - lapse) * logistic(z)
    fails = lapse + (1 - lapse) * logistic(-z)
    return log_probability(solved, runs, passes, fails, np.array(correlations)[:, None])


def log_probability(
    solved: int, runs: int, passes: Floats, fails: Floats, correlation: Floats
) -> NDArray[np.float32]:
    """Compute log P of `beta_binomial`, in the shape to which the three arrays broadcast."""
    ratio = correlation / (1 - correlation)
    table = np.zeros(np.broadcast_shapes(passes.shape, correlation.shape))
    for part, count in ((passes, solved), (fails, runs - solved)):
        for k in range(count):
            table += np.log(part + k * ratio)
    for k in range(runs):
        table -= np.log1p(k * ratio)
    return table.astype(np.float32)


def nearest(z: Floats) -> NDArray[np.int64]:
    """Return the rows of `beta_binomial` nearest to some logits."""
    return np.rint(
        (np.clip(z, -LOGIT_MOST, LOGIT_MOST) + LOGIT_MOST) / LOGIT_STEP
    ).astype(np.int64)


def _integers(name: str, values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values, float)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name}: must be a sequence of at least one number")
    if not np.all(np.isfinite(array)) or np.any(array != np.round(array)):
        raise ValueError(f"{name}={values}: must be whole numbers")
    return array.astype(np.int64)


def _within(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}={value}: must be above 0 and below 1")


def counts(units: ArrayLike, solved: ArrayLike, runs: ArrayLike) -> Counts:
    """Return `solved` of `runs` seeds at each of `units` as counts.

    Args:
        units: (D,) integer widths >= 1, in any order; repeated widths are merged.
        solved: (D,), or (..., D) for many studies of one design.
        runs: like `solved`, >= 1.

    Raises:
        ValueError: shapes do not match, a number is not an integer, units or runs < 1,
            or not 0 <= solved <= runs.
    """
    units = _integers("units", units)
    solved = _integers("solved", solved)
    runs = _integers("runs", runs)
    if (
        units.ndim != 1
        or solved.shape[-1] != units.size
        or runs.shape[-1] != units.size
    ):
        raise ValueError(
            f"units {units.shape}, solved {solved.shape}, runs {runs.shape}: must be as long on"
            " the last axis"
        )
    solved, runs = np.broadcast_arrays(solved, runs)
    if (
        np.any(units < 1)
        or np.any(runs < 1)
        or np.any(solved < 0)
        or np.any(solved > runs)
    ):
        raise ValueError("units and runs must be at least 1, and solved from 0 to runs")
    widths = np.array(
        sorted(set(units.tolist()))
    )  # np.unique would import numpy.ma, which takes .05 s
    same = (units[:, None] == widths).astype(np.int64)
    return Counts(widths, solved @ same, runs @ same)


def posterior(
    units: ArrayLike,
    solved: ArrayLike,
    runs: ArrayLike,
    correlations: Sequence[tuple[float, float]] = CORRELATIONS,
) -> Posterior:
    """Compute the posterior given `solved` of `runs` seeds at each of `units`.

    Args:
        units, solved, runs: as for `counts`, with its errors.
        correlations: intraclass correlations of the seeds of a width, each with its
            prior; ((0, 1),) takes seeds as independent.
    """
    data = counts(units, solved, runs)
    widths: tuple[int, ...] = tuple(data.widths.tolist())
    mu, slope, lapse, prior, _ = _grid(widths)
    weights = np.zeros((*data.solved.shape[:-1], *prior.shape))
    shift = None
    for correlation, share in correlations:
        part = _log_likelihood(widths, data.solved, data.runs, correlation)
        part += prior
        shift = part.max(axis=(-2, -1), keepdims=True) if shift is None else shift
        part -= shift
        weights += share * np.exp(part, out=part)
    weights /= weights.sum(axis=(-2, -1), keepdims=True)
    return Posterior(data.widths, data.solved, data.runs, mu, slope, lapse, weights)


def _log_likelihood(
    widths: tuple[int, ...],
    solved: NDArray[np.int64],
    runs: NDArray[np.int64],
    correlation: float,
) -> Floats:
    """Compute the log likelihood of counts (..., W) on the grid of their design, (..., N, K)."""
    _, _, lapse, prior, z = _grid(widths)
    shape = *solved.shape[:-1], *prior.shape
    if correlation == 0:
        log_passed, log_failed = _binomial(widths)
        log_p = ((runs - solved).astype(float) @ log_failed).reshape(shape)
        log_p += (solved.astype(float) @ log_passed)[..., None]
        log_p += solved.sum(axis=-1)[..., None, None] * np.log1p(-lapse)
        return log_p
    rows = nearest(z)
    log_p = np.zeros(shape)
    for study in np.ndindex(*solved.shape[:-1]):
        for k, row in enumerate(rows):
            count = int(solved[study][k]), int(runs[study][k])
            table = beta_binomial(*count, tuple(lapse.tolist()), (correlation,))
            log_p[study] += table[:, 0].take(row, axis=0)
    return log_p


def _ruled_out(post: Posterior) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether the counts rule out the smallest width as u50, (...), and a mask
    of the curves whose u50 they allow, (..., N)."""
    unsolved = np.logical_and.accumulate(post.solved == 0, axis=-1).sum(axis=-1)
    marginal = post.weights.sum(axis=-1)
    log_widths = np.log2(post.widths)
    wider = post.mu > log_widths[np.maximum(unsolved, 1) - 1][..., None]
    fewer = (2 * post.solved[..., 0] < post.runs[..., 0]) & (
        np.sum(marginal * wider, axis=-1) > DOUBT
    )
    smallest = (unsolved > 0) | fewer
    beyond = wider | ~smallest[..., None]
    inside = beyond & (post.mu <= log_widths[-1])
    most = (2 * post.solved[..., -1] > post.runs[..., -1]) & (
        np.sum(marginal * inside, axis=-1) > DOUBT
    )
    return smallest, np.where(most[..., None], inside, beyond)


def interval(
    post: Posterior, p: float, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Compute the `threshold` of many studies, (...): units, low, high, side (-1 below,
    0 no, 1 above)."""
    _within("p", p)
    _within("confidence", confidence)
    ruled_out, possible = _ruled_out(post)
    log_units = post.mu + logit(p) / post.slope
    weights = post.weights.sum(axis=-1)
    order = np.argsort(log_units, kind="stable")
    both = weights, np.where(possible, weights, 0.0)
    mass, part = (np.cumsum(each[..., order], axis=-1) for each in both)
    tail = (1 - confidence) / 2
    ranks = (
        each.sum(axis=-1)
        for each in (mass < tail, part < part[..., -1:] / 2, mass < 1 - tail)
    )
    low, middle, high = (
        np.exp2(log_units[order[np.minimum(rank, order.size - 1)]]) for rank in ranks
    )
    least = float(post.widths[0])
    most = float(post.widths[-1])
    every = np.all(post.solved == post.runs, axis=-1)
    none = np.all(post.solved == 0, axis=-1)
    below = ((middle < least) & ~ruled_out) | (every & (middle <= most))
    above = (middle > most) | (none & (middle >= least))
    units = np.where(below, least, np.where(above, most, np.maximum(middle, least)))
    furthest = (
        1.0 if least <= 2 else 0.0
    )  # there is no net narrower than 1 within a doubling
    low = np.where(
        below | (low < least / 2), furthest, np.maximum(np.minimum(low, units), 1.0)
    )
    high = np.where(above | (high > 2 * most), np.inf, np.maximum(high, units))
    return units, low, high, above.astype(np.int64) - below


def threshold(post: Posterior, p: float, confidence: float = 0.95) -> Threshold:
    """Compute the width at which a share `p` of the seeds that can train at all solves,
    from the posterior of one study, with an interval of equal tails.

    Raises:
        ValueError: `p` or `confidence` is not between 0 and 1.
    """
    units, low, high, side = interval(post, p, confidence)
    return Threshold(
        float(units), float(low), float(high), ("no", "above", "below")[int(side)]
    )


def probability(post: Posterior, units: ArrayLike) -> Floats:
    """Compute the posterior mean of P(solved) of a seed, including the lapse, at each
    of `units` (any shape, > 0, tested or not), for one study.

    Raises:
        ValueError: `units` out of range.
    """
    x = np.asarray(units, float)
    if not np.all(x > 0):
        raise ValueError(f"units={units}: must be above 0")
    return logistic(post.slope * (np.log2(x)[..., None] - post.mu)) @ (
        post.weights @ (1 - post.lapse)
    )


def fit_of(post: Posterior, confidence: float = 0.95) -> Fit:
    """Fit everything that is reported about one task and lag, given the posterior of
    one study, else raise ValueError.

    Example: units 4 5 6 7 8, solved 0 0 3 7 8 of 8 each -> u_exist 6, bracket (5, 8),
    u50 6.1, u90 6.8.
    """
    if post.solved.ndim != 1:
        raise ValueError(
            f"solved {post.solved.shape}: must be one study; use interval for many"
        )
    none = post.widths[post.solved == 0]
    any_solved = post.widths[post.solved > 0]
    every = np.logical_and.accumulate((post.solved == post.runs)[::-1])[::-1]
    by_lapse = np.cumsum(post.weights.sum(axis=0))
    by_slope = np.cumsum(post.weights.sum(axis=1))
    return Fit(
        u_exist=int(any_solved[0]) if any_solved.size else None,
        bracket=(
            int(none[-1]) if none.size else None,
            int(post.widths[every][0]) if every.any() else None,
        ),
        u50=threshold(post, 0.5, confidence),
        u90=threshold(post, 0.9, confidence),
        lapse=float(post.weights.sum(axis=0) @ post.lapse),
        lapse_low=float(post.lapse[np.searchsorted(by_lapse, (1 - confidence) / 2)]),
        lapse_high=float(post.lapse[np.searchsorted(by_lapse, (1 + confidence) / 2)]),
        slope=float(post.slope[np.searchsorted(by_slope, 0.5)]),
        runs=int(post.runs.sum()),
        misfit=misfit(post),
    )


def misfit(post: Posterior) -> float:
    """Compute the probability of counts that are at most as likely as these under the
    fitted curve, with independent seeds: a posterior-predictive check at the mean of
    P(solved), summed over all counts.
    """
    *_, z = _grid(tuple(post.widths.tolist()))
    p = logistic(z) @ (post.weights @ (1 - post.lapse))
    # in steps of SURPRISE; the probability of each, over the widths so far
    surprise = 0
    beside = np.ones(1)
    for mean, solved, runs in zip(p, post.solved, post.runs, strict=True):
        counts = np.arange(int(runs) + 1)
        log_factorials = np.cumsum(np.log(np.maximum(counts, 1)))
        log_p = log_factorials[-1] - log_factorials - log_factorials[::-1]
        log_p += counts * np.log(max(mean, SMALLEST)) + (runs - counts) * np.log1p(
            -mean
        )
        own = np.rint(-np.maximum(log_p, -MOST_SURPRISE) / SURPRISE).astype(int)
        surprise += own[solved]
        wider = np.zeros(len(beside) + own.max())
        for shift, chance in zip(own, np.exp(log_p), strict=True):
            wider[shift : shift + len(beside)] += chance * beside
        beside = wider
    return float(beside[surprise:].sum())


def no_easier(strict: Fit, loose: Fit) -> Fit:
    """Return the fit of a strict verdict, with quantiles at least those of the loose
    one that it implies."""
    return replace(
        strict, u50=_larger(strict.u50, loose.u50), u90=_larger(strict.u90, loose.u90)
    )


def _larger(
    strict: Threshold, loose: Threshold
) -> Threshold:  # one that was not reached is larger than any
    first = max(strict, loose, key=lambda each: (each.censored == "above", each.units))
    return replace(
        first, low=max(strict.low, loose.low), high=max(strict.high, loose.high)
    )

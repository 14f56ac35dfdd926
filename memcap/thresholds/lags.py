"""Thresholds of a task over all its lags, from one model that serves measured and
unmeasured lags alike.

For the seeds of one lag the model is that of memcap.thresholds.curve, with mu = log2
u50. Over lags:

    mu(lag) = trend(lag) + scatter(lag)

The trend never falls. Over log2(lag) it is a straight line whose slope, in doublings of
units per doubling of lag, changes now and then to a neighbour in `RISES`. The scatter
is independent from lag to lag; its size cannot be seen from lags that are far apart, so
it has a prior, with median 4.5 %, taken from adjacent lags of the delay line. The
steepness of the transition and the lapse of each lag vary around values that all lags
share, which have the priors of a single lag.

Everything is summed on fixed grids, without sampling. Trend and rise are the state of a
Markov chain over the lags, so that one pass forward and one back (Rabiner, 1989) give
the trend at any lag. The scatter is a convolution of each lag's likelihood, with a wide
tail for a lag that is out of line. The shared values are a grid; its cells that no lag
supports are dropped before the passes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from memcap.thresholds.curve import (
    CORRELATIONS,
    MARGIN,
    STEEP,
    Counts,
    Floats,
    beta_binomial,
    nearest,
)
from memcap.thresholds.logistic import logit

Floats32 = NDArray[np.float32]

STEP = 1 / 48  # doublings of units between values of mu
SLOPES = np.geomspace(
    2, 200, 12
)  # steepness of a transition, in logits per doubling of units
SLOPE_SPREAD = 0.5  # standard deviation of log steepness from lag to lag
LAPSES = 0.6 * ((np.arange(8) + 0.5) / 8) ** 2  # of a lag; finest near 0
LAPSE_MEANS = np.array([0.02, 0.06, 0.15, 0.3])
LAPSE_PRIOR = np.array([0.3, 0.4, 0.2, 0.1])
LAPSE_RUNS = 15  # seeds for which the mean lapse of all lags counts at one of them
SCATTER = np.log2(
    1 + 0.045 * np.exp(0.6 * np.array([-1.5, -0.5, 0.5, 1.5, 2.5]))
)  # median 4.5 %
SCATTER_PRIOR = np.exp(-0.5 * np.array([-1.5, -0.5, 0.5, 1.5, 2.5]) ** 2)
RISES = np.array([0, 0.15, 0.3, 0.5, 0.7, 0.9, 1.15, 1.5, 2.0])
CHANGES = 1.5  # changes of a rise to one of its neighbours per doubling of the lag
# share of the best cell's weight below which a cell of the shared grid is dropped
NEGLIGIBLE = 5e-3
# share of lags that are out of line, and by how many doublings
ODD_SHARE = 0.01
ODD_SCATTER = 1.0
LEAST = 1e-20  # likelihood relative to the best, so that no lag overrules all others
MOST_LOG_UNITS = 14.0  # end of the grid of mu


@dataclass(frozen=True, eq=False)
class Belief:
    """The posterior at one lag."""

    mu: Floats  # (M,) log2 u50
    slope: Floats  # (S,) steepness, in logits per doubling
    weights: Floats  # (M, S), summing to 1

    def reached(self, share: float, units: Floats) -> Floats:
        """Compute the probability that nets of `units` (any shape) reach a share of the
        trainable seeds."""
        mass = np.cumsum(self.weights, axis=0)
        at = np.log2(units)[..., None] - logit(share) / self.slope
        each = [
            np.interp(at[..., k], self.mu, mass[:, k], left=0.0)
            for k in range(len(self.slope))
        ]
        return np.sum(each, axis=0)

    def quantiles(self, share: float, ranks: Floats) -> Floats:
        """Return the widths that reach the share with these probabilities, (...), at least 1."""
        units = np.exp2(np.arange(0, self.mu[-1] + 4, STEP / 2))
        mass = self.reached(share, units)
        return units[np.minimum(np.searchsorted(mass, ranks), len(units) - 1)]


def believe(
    measured: Mapping[int, Counts], lags: Iterable[int], negligible: float = NEGLIGIBLE
) -> dict[int, Belief]:
    """Compute the posterior at some lags, by lag, ascending.

    Args:
        measured: counts by lag, at least one. A width without runs only says that nets
            may be that wide.
        lags: lags at which to compute it.
        negligible: share of the best cell's weight below which a cell of the shared
            grid is dropped.
    """
    lags = sorted(set(lags))
    mu = _grid(measured, lags[-1])
    tables = {lag: _likelihood(counts, mu) for lag, counts in sorted(measured.items())}
    pooled = _about(SLOPES, SLOPE_SPREAD)
    curves = {
        lag: np.einsum("ts,msp->mtp", pooled, table, optimize=True)
        for lag, table in tables.items()
    }
    steep, lapse = np.nonzero(_supported(curves.values(), negligible))
    supported = {
        lag: each[:, steep, lapse].astype(np.float32) for lag, each in curves.items()
    }
    chain = _Chain(supported, negligible)
    beliefs = {}
    for lag in lags:
        shares, cells, prior = chain.predictive(lag)
        own_steep = steep[cells]
        own_lapse = lapse[cells]
        if lag not in tables:
            weights = (prior * shares) @ pooled[own_steep]
        else:
            # each cell's share is that given all counts; its curves are those given all
            # other lags', times its own likelihood
            shares = shares / np.sum(
                prior * curves[lag][:, own_steep, own_lapse], axis=0
            )
            weights = np.zeros((len(mu), len(SLOPES)))
            for k in sorted(set(own_lapse.tolist())):
                these = own_lapse == k
                part = (prior[:, these] * shares[these]) @ pooled[own_steep[these]]
                weights += part * tables[lag][:, :, k]
        beliefs[lag] = Belief(mu, SLOPES, weights / weights.sum())
    return beliefs


def _grid(measured: Mapping[int, Counts], furthest: int) -> Floats:
    """Return the grid of mu: `MARGIN` beyond the widths tried, and as far as the trend may rise."""
    narrowest = min(int(counts.widths[0]) for counts in measured.values())
    widest = max(int(counts.widths[-1]) for counts in measured.values())
    beyond = max(0.0, float(RISES[-1] * np.log2(furthest / max(measured))))
    top = max(
        np.log2(widest) + MARGIN, min(np.log2(widest) + MARGIN + beyond, MOST_LOG_UNITS)
    )
    return np.arange(np.log2(narrowest) - MARGIN, top + STEP, STEP)


def _about(values: Floats, spread: float) -> Floats:
    """Compute the likelihood of each value at a lag, (V, V), given the value around
    which lags vary."""
    weights = np.exp(-0.5 * (np.log(values[:, None] / values) / spread) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


@lru_cache(maxsize=1)
def _lapses() -> Floats:
    """Compute the likelihood of each lapse at a lag, given the mean of all lags, (K, P)."""
    lapse = LAPSES[:, None]
    solved = LAPSE_RUNS * (1 - LAPSE_MEANS)
    density = lapse ** (LAPSE_RUNS - solved - 1) * (1 - lapse) ** (
        solved - 1
    )  # of Beta(failed, solved)
    weights = density * np.sqrt(lapse)  # the grid's spacing
    return weights / weights.sum(axis=0)


def _likelihood(counts: Counts, mu: Floats) -> Floats:
    """Compute the likelihood of a lag's counts by mu, steepness, mean lapse, (M, S, P),
    about 1 at most."""
    correlations, prior = (tuple(each) for each in zip(*CORRELATIONS, strict=True))
    log_p: NDArray[np.float32] = np.zeros(
        (len(mu), len(SLOPES), len(prior), len(LAPSES)), np.float32
    )
    for units, solved, runs in zip(
        counts.widths, counts.solved, counts.runs, strict=True
    ):
        rows = nearest(SLOPES * (np.log2(units) - mu)[:, None])
        log_p += beta_binomial(
            int(solved), int(runs), tuple(LAPSES.tolist()), correlations
        )[rows]
    return (
        np.tensordot(prior, np.exp(log_p - np.max(log_p)), axes=(0, 2)) @ _lapses()
        + LEAST
    )


def _supported(curves: Iterable[Floats], negligible: float) -> NDArray[np.bool_]:
    """Return a mask of the steepness and mean lapse that the lags support, taken as
    independent, (S, P)."""
    prior = np.log(LAPSE_PRIOR) - np.log1p(SLOPES / STEEP)[:, None]
    evidence = prior + sum(np.log(each.mean(axis=0)) for each in curves)
    return evidence > evidence.max() + np.log(negligible)


class _Chain:
    """The trend over the lags, for each cell (C,) of the shared grid.

    Messages have shape (B, M, C): rise, trend and cell.

    Args:
        curves: by lag, the likelihood given mu, and D pairs of steepness and lapse: (M,
            D). Each pair makes a cell with each scatter.
    """

    def __init__(self, curves: Mapping[int, Floats32], negligible: float):
        self.lags = list(curves)
        rows, kinds = next(iter(curves.values())).shape
        self.which, self.scatter = (
            each.ravel() for each in np.indices((kinds, len(SCATTER)))
        )
        self.start = np.full((len(RISES), rows, 1), 1 / (len(RISES) * rows), np.float32)
        self._spread(curves)
        evidence = np.log(SCATTER_PRIOR)[self.scatter]
        for _, scale in self._passes_forward():
            evidence += np.log(scale)
        shares = np.exp(evidence - evidence.max())
        keep = shares > negligible
        self.which = self.which[keep]
        self.scatter = self.scatter[keep]
        self.shares = shares[keep] / shares[keep].sum()
        self._spread(curves)
        self.ahead = dict(
            zip(
                self.lags,
                (message for message, _ in self._passes_forward()),
                strict=True,
            )
        )
        self.behind = {}
        message = np.ones((len(RISES), rows, keep.sum()), np.float32)
        for lag, after in zip(self.lags[::-1], [None, *self.lags[::-1]], strict=False):
            if after is not None:
                message = _back(
                    self.behind[after] * self.emission[after], np.log2(after / lag)
                )
            self.behind[lag] = message / message.max(axis=(0, 1))

    def _spread(self, curves: Mapping[int, Floats32]) -> None:
        """Compute the likelihood of the trend at each measured lag, (M, C)."""
        self.emission: dict[int, Floats32] = {
            lag: _scatter(each[:, self.which], self.scatter)
            for lag, each in curves.items()
        }

    def _passes_forward(self) -> Iterator[tuple[Floats32, Floats]]:
        """Yield at each measured lag the message from shorter lags, and how likely its
        counts are then."""
        message = np.broadcast_to(self.start, (*self.start.shape[:2], len(self.which)))
        before = None
        for lag in self.lags:
            ahead = (
                message if before is None else _forth(message, np.log2(lag / before))
            )
            message = ahead * self.emission[lag]
            before = lag
            scale = message.sum(axis=(0, 1), dtype=float)
            message /= scale.astype(np.float32)
            yield ahead, scale

    def predictive(self, lag: int) -> tuple[Floats, NDArray[np.int64], Floats32]:
        """Return for one lag the cells' shares (C,), their places among the D pairs,
        and the distribution of mu given other lags (M, C)."""
        if lag in self.ahead:
            ahead = self.ahead[lag]
            behind = self.behind[lag]
        else:
            before = max((each for each in self.lags if each < lag), default=None)
            after = min((each for each in self.lags if each > lag), default=None)
            ahead = self.start
            behind = np.ones(1)
            if before is not None:
                ahead = _forth(
                    self.ahead[before] * self.emission[before], np.log2(lag / before)
                )
            if after is not None:
                behind = _back(
                    self.behind[after] * self.emission[after], np.log2(after / lag)
                )
        trend = np.sum(ahead * behind, axis=0)
        return (
            self.shares,
            self.which,
            _scatter(trend / trend.sum(axis=0), self.scatter),
        )


def _scatter(values: Floats32, scatter: NDArray[np.int64]) -> Floats32:
    """Blur values over mu, (M, C), by each cell's scatter."""
    rows = len(values)
    edge = int(4 * ODD_SCATTER / STEP)
    size = 1 << (rows + 2 * edge).bit_length()
    padded = np.pad(values, ((edge, size - rows - edge), (0, 0)), mode="edge")
    squares = (
        -2 * (np.pi * np.fft.rfftfreq(size)[:, None] / STEP) ** 2
    )  # exponents of normal distributions
    blur = (1 - ODD_SHARE) * np.exp(squares * SCATTER**2) + ODD_SHARE * np.exp(
        squares * ODD_SCATTER**2
    )
    blurred = np.fft.irfft(
        np.fft.rfft(padded, axis=0) * blur[:, scatter].astype(values.dtype),
        size,
        axis=0,
    )
    return np.maximum(blurred[edge : edge + rows], 0)


def _change(message: Floats32, octaves: float) -> Floats32:
    """Pass a message by rise over doublings of the lag, in which rises change to their
    neighbours."""
    steps = max(1, int(np.ceil(2 * octaves)))
    share = np.float32(CHANGES * octaves / steps / 2)
    for _ in range(steps):
        flow = share * np.diff(message, axis=0)
        message = message.copy()
        message[:-1] += flow
        message[1:] -= flow
    return message


def _forth(message: Floats32, octaves: float) -> Floats32:
    moved = np.zeros_like(message)
    rows = message.shape[1]
    for k, rise in enumerate(RISES):
        whole, part = divmod(rise * octaves / STEP, 1)
        for cells, share in ((int(whole), 1 - part), (int(whole) + 1, part)):
            stay = max(rows - cells, 1)
            moved[k, rows - stay :] += np.float32(share) * message[k, :stay]
            moved[k, -1] += np.float32(share) * message[k, stay:].sum(axis=0)
    return _change(moved, octaves)


def _back(message: Floats32, octaves: float) -> Floats32:
    changed = _change(message, octaves)
    moved = np.empty_like(changed)
    rows = changed.shape[1]
    for k, rise in enumerate(RISES):
        whole, part = divmod(rise * octaves / STEP, 1)
        low = min(int(whole), rows - 1)
        high = min(int(whole) + 1, rows - 1)
        moved[k] = np.float32(part) * changed[k, -1]
        moved[k, : rows - high] = np.float32(part) * changed[k, high:]
        moved[k, : rows - low] += np.float32(1 - part) * changed[k, low:]
        moved[k, rows - low :] += np.float32(1 - part) * changed[k, -1]
    return moved

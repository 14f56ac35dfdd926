"""Thresholds of a task over all its lags, from one model for measured and unmeasured
lags.

For one lag the model is that of memcap.thresholds.curve; mu(lag) = trend(lag) +
scatter(lag). The trend never falls: over log2(lag) it is a line whose slope changes now
and then to a neighbour in `RISES`. The scatter is independent from lag to lag, with a
prior from the delay line. Steepness and lapse vary around values that all lags share.

All is summed on grids. Trend and rise are the state of a Markov chain over the lags,
with one pass forward and one back (Rabiner, 1989).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memcap.thresholds.curve import (
    CORRELATIONS,
    MARGIN,
    STEEP,
    Counts,
    Floats,
    Floats32,
    Integers,
    beta_binomial,
    logit,
    nearest,
)

STEP = 1 / 48  # doublings of units between values of mu
SLOPES = np.geomspace(1, 200, 13)  # steepness, in logits per doubling of units
SLOPE_SPREAD = 0.5  # standard deviation of log steepness from lag to lag
LAPSES = 0.6 * ((np.arange(8) + 0.5) / 8) ** 2  # of a lag; finest near 0
LAPSE_MEANS = np.array([0.02, 0.06, 0.15, 0.3])
LAPSE_PRIOR = np.array([0.3, 0.4, 0.2, 0.1])
LAPSE_RUNS = 15  # seeds for which the mean lapse of all lags counts at one of them
SCORES = np.array([-1.5, -0.5, 0.5, 1.5, 2.5])  # of the scatter, in standard deviations
SCATTER = np.log2(1 + 0.045 * np.exp(0.6 * SCORES))  # median 4.5 %
SCATTER_PRIOR = np.exp(-0.5 * SCORES**2)
RISES = np.array([0, 0.15, 0.3, 0.5, 0.7, 0.9, 1.15, 1.5, 2.0])
CHANGES = 1.5  # changes of a rise to one of its neighbours per doubling of the lag
NEGLIGIBLE = 5e-3  # share of the best cell's weight below which a cell is dropped
ODD_SHARE = 0.01  # of lags that are out of line
ODD_SCATTER = 1.0  # by how many doublings they are
LEAST = 1e-20  # likelihood relative to the best, so that no lag overrules all others
PROBABILITY = 0.9  # least probability that a width to take is enough
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
        shifts = logit(share) / self.slope
        log_units = np.log2(units)
        parts = [
            np.interp(log_units - shift, self.mu, by_mu, left=0.0)
            for shift, by_mu in zip(shifts, mass.T, strict=True)
        ]
        return np.sum(parts, axis=0)

    def quantiles(self, share: float, ranks: Floats) -> Floats:
        """Return the widths that reach the share with these probabilities, (...), at
        least 1."""
        most = self.mu[-1] + 4
        units = np.exp2(np.arange(0, most, STEP / 2))
        reached = self.reached(share, units)
        places = np.searchsorted(reached, ranks)
        last = len(units) - 1
        return units[np.minimum(places, last)]


def believe(
    measured: Mapping[int, Counts], lags: Iterable[int], negligible: float = NEGLIGIBLE
) -> dict[int, Belief]:
    """Compute the posterior at some lags, by lag, ascending.

    Args:
        measured: counts by lag, at least one. A width without runs only says that nets
            may be that wide.
        lags: lags at which to compute it.
        negligible: share of the best cell's weight below which a cell is dropped.
    """
    lags = sorted(set(lags))
    mu = _grid(measured, lags[-1])
    tables = {lag: _likelihood(measured[lag], mu) for lag in sorted(measured)}
    spread = _spread(SLOPES, SLOPE_SPREAD)
    curves = {
        lag: np.einsum("ts,msp->mtp", spread, table, optimize=True)
        for lag, table in tables.items()
    }
    supported = _supported(curves.values(), negligible)
    steep, lapse = np.nonzero(supported)
    by_pair = {lag: curve[:, steep, lapse] for lag, curve in curves.items()}
    chain = _Chain(by_pair, negligible)
    rows = steep[chain.pair]
    slopes = spread[rows]
    lapses = lapse[chain.pair]
    beliefs = {}
    for lag in lags:
        prior = chain.predictive(lag)
        if lag in tables:
            # each cell's share is that given all counts; its curves are those given all
            # other lags', times its own likelihood
            likelihood = curves[lag][:, rows, lapses]
            evidence = np.sum(prior * likelihood, axis=0)
            cells = prior * (chain.shares / evidence)
            table = tables[lag]
            weights = np.zeros(table.shape[:2])
            for k in np.flatnonzero(np.bincount(lapses)):
                same = lapses == k
                around = cells[:, same] @ slopes[same]
                weights += around * table[:, :, k]
        else:
            weights = (prior * chain.shares) @ slopes
        total = weights.sum()
        beliefs[lag] = Belief(mu, SLOPES, weights / total)
    return beliefs


def _grid(measured: Mapping[int, Counts], furthest: int) -> Floats:
    """Return the grid of mu: `MARGIN` beyond the widths tried, and as far as the trend
    may rise."""
    narrowest = min(int(counts.widths[0]) for counts in measured.values())
    widest = max(int(counts.widths[-1]) for counts in measured.values())
    octaves = np.log2(furthest / max(measured))
    beyond = max(0.0, float(RISES[-1] * octaves))
    bottom = np.log2(narrowest) - MARGIN
    top = np.log2(widest) + MARGIN
    further = min(top + beyond, MOST_LOG_UNITS)
    top = max(top, further)
    return np.arange(bottom, top + STEP, STEP)


def _spread(values: Floats, spread: float) -> Floats:
    """Compute the likelihood of each value at a lag, (V, V), given the value around
    which lags vary."""
    ratios = values[:, None] / values
    distances = np.log(ratios) / spread
    weights = np.exp(-0.5 * distances**2)
    return weights / weights.sum(axis=1, keepdims=True)


def _lapses() -> Floats:
    """Compute the likelihood of each lapse at a lag, given the mean of all lags, (K,
    P)."""
    lapse = LAPSES[:, None]
    solved = LAPSE_RUNS * (1 - LAPSE_MEANS)
    # the density of Beta(failed, solved), times the grid's spacing
    of_failed = lapse ** (LAPSE_RUNS - solved - 1)
    of_solved = (1 - lapse) ** (solved - 1)
    density = of_failed * of_solved
    weights = density * np.sqrt(lapse)
    return weights / weights.sum(axis=0)


def _likelihood(counts: Counts, mu: Floats) -> Floats:
    """Compute the likelihood of counts by mu, steepness, mean lapse, (M, S, P), about 1
    at most."""
    correlations, prior = zip(*CORRELATIONS, strict=True)
    lapses = tuple(LAPSES.tolist())
    shape = (len(mu), len(SLOPES), len(prior), len(LAPSES))
    log_p: Floats32 = np.zeros(shape, np.float32)
    all_solved = counts.solved.tolist()
    all_runs = counts.runs.tolist()
    for k, log_units in enumerate(np.log2(counts.widths)):
        distances = (log_units - mu)[:, None]
        rows = nearest(SLOPES * distances)
        table = beta_binomial(all_solved[k], all_runs[k], lapses, correlations)
        log_p += table[rows]
    likelihood = np.exp(log_p - np.max(log_p))
    by_lapse = np.tensordot(prior, likelihood, axes=(0, 2))
    return by_lapse @ _lapses() + LEAST


def _supported(curves: Iterable[Floats], negligible: float) -> NDArray[np.bool_]:
    """Return a mask of steepness and mean lapse that the lags support if independent,
    (S, P)."""
    slope_prior = np.log1p(SLOPES / STEEP)
    prior = np.log(LAPSE_PRIOR) - slope_prior[:, None]
    means = (curve.mean(axis=0) for curve in curves)
    evidence = prior + sum(map(np.log, means))
    return evidence > evidence.max() + np.log(negligible)


class _Chain:
    """The trend over the lags, for each cell (C,) of the shared grid; messages have
    shape (B, M, C): rise, trend and cell.

    Args:
        curves: by lag, ascending, the likelihood given mu, and D pairs of steepness and
            lapse: (M, D). Each pair makes a cell with each scatter.

    Attributes:
        pair: the place of each cell among the D pairs, (C,).
        scatter: its place in `SCATTER`.
        shares: its posterior, given all counts.
    """

    def __init__(self, curves: Mapping[int, Floats], negligible: float):
        self.curves = {lag: curve.astype(np.float32) for lag, curve in curves.items()}
        first = next(iter(curves.values()))
        rows, pairs = first.shape
        start = 1 / (len(RISES) * rows)
        shape = (len(RISES), rows, 1)
        self.start = np.full(shape, start, np.float32)
        pair, scatter = np.indices((pairs, len(SCATTER)))
        self.pair = pair.ravel()
        self.scatter = scatter.ravel()
        evidence = self._forward()
        shares = np.exp(evidence - evidence.max())
        large = shares > negligible
        self.pair = self.pair[large]
        self.scatter = self.scatter[large]
        shares = shares[large]
        self.shares = shares / shares.sum()
        self.emission = {lag: each[:, large] for lag, each in self.emission.items()}
        self.ahead = {lag: each[..., large] for lag, each in self.ahead.items()}
        self._backward()

    def _forward(self) -> Floats:
        """Set `emission`, the likelihood of the trend at each measured lag, (M, C), and
        `ahead`, the message from shorter lags; return the log evidence, (C,)."""
        self.emission = {
            lag: _scatter(curve[:, self.pair], self.scatter)
            for lag, curve in self.curves.items()
        }
        self.ahead: dict[int, Floats32] = {}
        evidence = np.log(SCATTER_PRIOR)[self.scatter]
        shape = (*self.start.shape[:2], len(self.pair))
        message = np.broadcast_to(self.start, shape)
        shorter = None
        for lag, emission in self.emission.items():
            if shorter is not None:
                message = _forth(message, np.log2(lag / shorter))
            self.ahead[lag] = message
            message = message * emission
            scale = message.sum(axis=(0, 1), dtype=float)
            message /= scale.astype(np.float32)
            evidence += np.log(scale)
            shorter = lag
        return evidence

    def _backward(self) -> None:
        """Set `behind`, the message from longer lags."""
        self.behind: dict[int, Floats32] = {}
        shape = (*self.start.shape[:2], len(self.pair))
        message = np.ones(shape, np.float32)
        longer = None
        for lag in reversed(self.emission):
            if longer is not None:
                message = message * self.emission[longer]
                message = _back(message, np.log2(longer / lag))
            message = message / message.max(axis=(0, 1))
            self.behind[lag] = message
            longer = lag

    def predictive(self, lag: int) -> Floats32:
        """Return the distribution of mu at a lag, given the counts of other lags, (M,
        C)."""
        ahead = self.ahead.get(lag, self.start)
        behind = self.behind.get(lag, np.ones(1))
        if lag not in self.ahead:
            shorter_lags = [k for k in self.ahead if k < lag]
            longer_lags = [k for k in self.ahead if k > lag]
            if shorter_lags:
                shorter = max(shorter_lags)
                message = self.ahead[shorter] * self.emission[shorter]
                ahead = _forth(message, np.log2(lag / shorter))
            if longer_lags:
                longer = min(longer_lags)
                message = self.behind[longer] * self.emission[longer]
                behind = _back(message, np.log2(longer / lag))
        trend = np.sum(ahead * behind, axis=0)
        total = trend.sum(axis=0)
        return _scatter(trend / total, self.scatter)


def _scatter(values: Floats32, scatter: Integers) -> Floats32:
    """Blur values over mu, (M, C), by each cell's scatter."""
    rows = len(values)
    edge = int(4 * ODD_SCATTER / STEP)
    size = 64 * ((rows + 2 * edge) // 64 + 1)  # of small factors, so that it is fast
    after = size - rows - edge
    padded = np.pad(values, ((edge, after), (0, 0)), mode="edge")
    # normal distributions, transformed
    frequencies = np.fft.rfftfreq(size)[:, None]
    squares = -2 * (np.pi * frequencies / STEP) ** 2
    usual = np.exp(squares * SCATTER**2)
    odd = np.exp(squares * ODD_SCATTER**2)
    blur = (1 - ODD_SHARE) * usual
    blur += ODD_SHARE * odd
    by_cell = blur[:, scatter].astype(values.dtype)
    waves = np.fft.rfft(padded, axis=0) * by_cell
    blurred = np.fft.irfft(waves, size, axis=0)
    return np.maximum(blurred[edge : edge + rows], 0)


def _change(message: Floats32, octaves: float) -> Floats32:
    """Pass a message by rise, in place, as rises change to their neighbours."""
    steps = max(1, int(np.ceil(2 * octaves)))
    share = np.float32(CHANGES * octaves / steps / 2)
    for _ in range(steps):
        flow = np.diff(message, axis=0)
        flow *= share
        message[:-1] += flow
        message[1:] -= flow
    return message


def _shifts(octaves: float) -> Iterable[tuple[int, int, np.float32]]:
    """Yield by how many cells each rise moves the trend: two whole numbers, with the
    share of each."""
    for k, rise in enumerate(RISES):
        whole, part = divmod(rise * octaves / STEP, 1)
        yield k, int(whole), np.float32(1 - part)
        yield k, int(whole) + 1, np.float32(part)


def _forth(message: Floats32, octaves: float) -> Floats32:
    moved = np.zeros_like(message)
    rows = message.shape[1]
    for k, cells, share in _shifts(octaves):
        inside = max(rows - cells, 1)
        part = share * message[k, :inside]
        moved[k, rows - inside :] += part
        beyond = message[k, inside:].sum(axis=0)
        moved[k, -1] += share * beyond
    return _change(moved, octaves)


def _back(message: Floats32, octaves: float) -> Floats32:
    changed = _change(message, octaves)
    moved = np.zeros_like(changed)
    rows = changed.shape[1]
    for k, cells, share in _shifts(octaves):
        inside = max(rows - cells, 1)
        part = changed[k, rows - inside :]
        moved[k, :inside] += share * part
        moved[k, inside:] += share * changed[k, -1]
    return moved

"""The model over all lags against curves that we simulate, measured as a bisection measures them.

`python -m pytest -s -k coverage tests/thresholds/test_lags.py` prints coverage; with
STUDIES = 40 it was:

| lags | correlation | u50 not measured | u90 not measured | u50 measured | u90 measured |
| --- | --- | --- | --- | --- | --- |
| 12 from 1 to 50 | 0 | .972 | .988 | .983 | .985 |
| 12 from 1 to 50 | .2 | .978 | .984 | .956 | .940 |
| 5 from 1 to 50 | 0 | .996 | .993 | .995 | .988 |
| 5 from 1 to 50 | .2 | .994 | .982 | .962 | .952 |

At the width to take 98 % of the seeds that train at all pass there, of all seeds 92 to 94 %.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit
from study_rows import group, table
from test_curve import alike, truths

from memcap.answers.answer import advise
from memcap.designs.bisect import Search
from memcap.frontiers.frontier import frontier
from memcap.thresholds.curve import INDEPENDENT, posterior, threshold
from memcap.thresholds.lags import believe

STUDIES = 6  # of twelve lags; more of five
TWELVE = (1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)
FIVE = (1, 5, 12, 25, 50)
UNMEASURED = (4, 10, 14, 18, 22, 28, 36, 45)
WIDTHS = range(1, 129)
ENDS = np.array([0.025, 0.975])
UP_TO = {"evaluation_until": "up_to"}


def bisected(rng, lag, guess, p_solved, correlation, seeds=8):
    """The counts of one lag, by the search that `design=bisect` makes; and the width
    that it answers."""
    p = alike(rng, p_solved(np.array(WIDTHS)), correlation)
    solved = rng.random((len(WIDTHS), seeds)) < p[:, None]
    name = SimpleNamespace(name="simulated")
    search = Search(
        SimpleNamespace(
            model=SimpleNamespace(units=u),
            seed=s,
            lag=lag,
            length=lag,
            recipe=name,
            task=name,
        )
        for u in WIDTHS
        for s in range(seeds)
    )
    search.begin(guess)
    counts = [0] * len(WIDTHS)
    while missing := {
        place: n for place, n in search.demand().items() if n > counts[place]
    }:
        for place, n in missing.items():
            for seed in range(counts[place], n):
                search.record(WIDTHS[place], bool(solved[place, seed]))
            counts[place] = n
    tried = [place for place, n in enumerate(counts) if n]
    units, passed, runs = zip(
        *((WIDTHS[k], search.solved[k], counts[k]) for k in tried), strict=True
    )
    return posterior(units, passed, runs), search.answer


def trend(rng, lags):
    """A smooth curve of log2 u50: a straight line of units, a flat one, a power, or
    flat and then rising."""
    octaves = np.log2(lags)
    kind = rng.integers(4)
    if kind == 0:
        return np.log2(rng.uniform(0.5, 1.1) * lags + rng.uniform(0.3, 3))
    if kind == 1:
        return rng.uniform(0, 3.5) + rng.uniform(0, 0.15) * octaves
    if kind == 2:
        return rng.uniform(0.3, 2) + rng.uniform(0.3, 0.8) * octaves
    return rng.uniform(1, 3) + np.log2(
        1 + (lags / rng.uniform(5, 40)) ** rng.uniform(0.7, 1.5)
    )


def simulated(rng, lags, correlation):
    """The truth at lags 1 to 50 (log2 u50, slope, lapse), scattered by 5 % about a
    trend, and the counts of some lags."""
    mu = trend(rng, np.arange(1, 51)) + rng.normal(0, np.log2(1.05), 50)
    slope = np.exp(rng.uniform(*np.log([5, 60])) + rng.normal(0, 0.4, 50))
    lapse = rng.uniform(0, 0.1)
    measured = {}
    known = []
    for lag in lags:
        guess = (
            np.polyval(np.polyfit(*zip(*known, strict=True), 1), lag)
            if len(known) > 1
            else 1
        )

        def p_solved(units, k=lag - 1):
            return (1 - lapse) * expit(slope[k] * (np.log2(units) - mu[k]))

        measured[lag], found = bisected(rng, lag, guess, p_solved, correlation)
        known.append((lag, found))
    return mu, slope, lapse, measured


@pytest.mark.slow
@pytest.mark.parametrize("lags", [TWELVE, FIVE], ids=["twelve", "five"])
@pytest.mark.parametrize("correlation", [0.0, 0.2])
def test_coverage(lags, correlation):
    """Of the truth by 95 % intervals, at lags that were measured and lags that were not."""
    rng = np.random.default_rng(5)
    held = {}
    passed = []
    for _ in range(STUDIES if lags is TWELVE else 3 * STUDIES):
        mu, slope, lapse, measured = simulated(rng, lags, correlation)
        for lag, belief in believe(measured, {*lags, *UNMEASURED}).items():
            for share in (0.5, 0.9):
                truth = max(
                    1.0, float(np.exp2(mu[lag - 1] + logit(share) / slope[lag - 1]))
                )
                low, high = belief.quantiles(share, ENDS)
                held.setdefault((lag in lags, share), []).append(
                    low * 0.99 <= truth <= high * 1.01
                )
            width = np.ceil(belief.quantiles(0.9, np.array([0.9]))[0])
            passed.append(
                (1 - lapse) * expit(slope[lag - 1] * (np.log2(width) - mu[lag - 1]))
            )
    rates = {key: np.mean(each) for key, each in held.items()}
    print(
        f"\n{len(lags)} lags, correlation {correlation}: {rates}, of all seeds pass"
        f" {np.mean(passed):.3f}"
    )
    assert min(rates.values()) >= 0.9  # .93 but for the chance of so few studies
    assert np.mean(passed) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("widest", "factor"), [(32, (1.2, 1.6)), (64, (1.02, 1.13))])
def test_coverage_of_one_lag_whose_widths_a_bisection_chooses(widest, factor):
    """Of the truth by 95 % intervals of 600 studies."""
    rng = np.random.default_rng(3)
    held = []
    for mu, slope, lapse in zip(
        *truths(rng, (1, widest), 600, factor, (0.0, 0.1)), strict=True
    ):

        def p_solved(units, mu=mu, slope=slope, lapse=lapse):
            return (1 - lapse) * expit(slope * (np.log2(units) - mu))

        post, _ = bisected(rng, 1, widest, p_solved, 0.0)
        post = posterior(post.widths, post.solved, post.runs, INDEPENDENT)
        for share in (0.5, 0.9):
            found = threshold(post, share)
            truth = max(1.0, np.exp2(mu + logit(share) / slope))
            held.append(found.low <= truth <= found.high)
    rates = np.reshape(held, (-1, 2)).mean(axis=0)
    print(f"\nbisection from {widest}: {rates}", end="")
    assert 0.93 <= rates.min() <= rates.max() <= 0.99


@pytest.mark.slow
def test_nine_in_ten_pass_up_to_a_lag_by_nets_that_were_trained_up_to_a_longer_one():
    """The narrowest of what is enough up to a lag or up to a longer one; it never falls
    with the lag. In 12 studies .981 of the seeds that train at all passed, 28 of 156
    widths were of a longer lag."""
    rng = np.random.default_rng(8)
    passed = []
    longer = 0
    for _ in range(STUDIES):
        mu, slope, _, measured = simulated(rng, FIVE, 0.2)
        rows = []
        for lag, post in measured.items():
            pairs = zip(post.solved.tolist(), post.runs.tolist(), strict=True)
            counts = dict(zip(post.widths.tolist(), pairs, strict=True))
            rows.append(group(lag=lag, counts=counts, **UP_TO))
        points = {p.lag: p for p in frontier(table(*rows)) if p.trains}
        known = []
        for lag in sorted({*FIVE, *UNMEASURED}):
            advice = advise(points, lag, 0.9, up_to=True)
            longer += advice.training_lag > lag
            if advice.units is not None:
                known.append(advice.units)
                k = advice.training_lag - 1
                passed.append(expit(slope[k] * (np.log2(advice.units) - mu[k])))
        assert known == sorted(known)
    enough = np.mean(np.array(passed) >= 0.9)
    print(
        f"\nup to a lag: {np.mean(passed):.3f} pass, {enough:.3f} enough, {longer} of"
        f" {len(passed)} longer"
    )
    assert np.mean(passed) >= 0.93
    assert enough >= 0.88
    assert longer


def sharp(width):
    return posterior([width - 1, width, width + 1], [0, 4, 8], [8, 8, 8])


def u50(belief):
    """The median of u50."""
    return belief.quantiles(0.5, np.array([0.5]))[0]


def spread(belief):
    """The width of the interval of u50, as a logarithm."""
    return np.ptp(np.log(belief.quantiles(0.5, ENDS)))


def test_a_lag_between_two_that_were_measured_lies_between_them_and_is_less_sure():
    found = believe({lag: sharp(lag) for lag in (4, 8, 16, 32)}, [8, 11, 16])
    assert u50(found[8]) < u50(found[11]) < u50(found[16])
    assert u50(found[11]) == pytest.approx(11, rel=0.06)
    assert spread(found[11]) > 1.5 * max(spread(found[8]), spread(found[16]))
    assert 0.05 < spread(found[11]) < 0.6


def test_a_measured_lag_is_sharpened_by_its_neighbours():
    poor = {16: posterior([10, 20], [0, 4], [4, 4])}
    others = {lag: sharp(lag) for lag in (4, 8, 12, 20, 32)}
    alone = believe(poor, [16])[16]
    among = believe(others | poor, [16])[16]
    assert spread(among) < 0.7 * spread(alone)
    assert u50(among) == pytest.approx(16, rel=0.1)


def test_beyond_the_lags_measured_the_interval_grows():
    found = believe({lag: sharp(lag) for lag in (4, 8, 16)}, [20, 40, 80])
    assert spread(found[20]) < spread(found[40]) < spread(found[80])
    low, high = found[40].quantiles(0.5, ENDS)
    assert low < 40 < high


def test_a_lag_out_of_line_does_not_break_the_others():
    odd = posterior([20, 40, 60, 80, 100, 120], [0, 0, 0, 0, 4, 8], [8] * 6)
    found = believe({lag: sharp(8) for lag in (4, 8, 16)} | {12: odd}, [8, 12])
    assert u50(found[8]) == pytest.approx(8, rel=0.1)
    assert np.isfinite(found[12].weights).all()
    assert u50(found[12]) > 50

"""Units at lags that were not measured: what they are, and how often their intervals hold what they
should."""

import math

import numpy as np
import pytest
from scipy import stats
from study_rows import group, table

from memcap.capacity.frontier import frontier
from memcap.capacity.prediction import estimate, predict
from memcap.capacity.thresholds import Threshold


def line(lags, widths):
    """Points whose thresholds grow with the lag."""
    groups = (
        group("delay_line", lag, {w - 1: (0, 8), w: (4, 8), w + 1: (8, 8)})
        for lag, w in zip(lags, widths, strict=True)
    )
    return frontier(table(*groups))


def exact(*widths):
    """Thresholds that are known to the last digit."""
    return [Threshold(w, w, w, "no") for w in widths]


X, Y = [2, 4, 8, 16], [3.0, 5.0, 7.0, 15.0]


def spread(lag):
    """Half of the 95 % prediction interval of least squares, by the book."""
    x, y = np.array(X, float), np.array(Y)
    design, at = np.stack([x, np.ones(4)], 1), np.array([lag, 1.0])
    squares = (y - design @ np.linalg.lstsq(design, y)[0]) ** 2
    error = max(
        squares.sum() / 2, squares[np.argsort(abs(x - lag))[:3]].mean() * 4 / 2
    )  # of all, or of the nearer lags
    return stats.t(2).ppf(0.975) * math.sqrt(error * (1 + at @ np.linalg.inv(design.T @ design) @ at))


def test_outside_it_is_the_least_squares_line_with_its_interval():
    units, low, high, between = estimate(X, exact(*Y), 30)
    assert units == pytest.approx(np.polyval(np.polyfit(X, Y, 1), 30))
    assert (high - units, units - low) == pytest.approx((spread(30), spread(30)))
    assert between is None


def test_between_two_lags_it_is_interpolated_and_the_interval_is_at_least_the_lines():
    units, low, high, between = estimate(X, exact(*Y), 14)
    assert units == pytest.approx(13.0)  # 7 + 3/4 of 8; the line has 12.97
    assert between == (8, 16)
    line = np.polyval(np.polyfit(X, Y, 1), 14)
    assert (low, high) == pytest.approx((line - spread(14), line + spread(14)))


def test_a_frontier_that_bends_is_followed_between_its_lags():
    lags, widths = [1, 2, 4, 8, 16, 32], exact(1, 1, 1, 1, 1, 30)
    assert estimate(lags, widths, 3)[0] == 1
    assert estimate(lags, widths, 24)[0] == pytest.approx(15.5)


def test_the_neighbours_own_intervals_are_in_it():
    sure, unsure = Threshold(7, 6.9, 7.1, "no"), Threshold(15, 2, 40, "no")
    on_the_line = [
        Threshold(v, v - 0.1, v + 0.1, "no") for v in (3, 5)
    ]  # so the line alone has a narrow interval
    _, low, high, _ = estimate(X, [*on_the_line, sure, unsure], 12)
    assert low <= (6.9 + 2) / 2
    assert high >= (7.1 + 40) / 2
    assert math.isinf(estimate(X, [*on_the_line, sure, Threshold(15, 13, math.inf, "no")], 12)[2])


def test_outside_the_thresholds_own_uncertainty_moves_the_ends():
    known = estimate(X, exact(*Y), 30)
    wide = [Threshold(y, y - 1, y + 3, "no") for y in Y]
    units, low, high, _ = estimate(X, wide, 30)
    assert units == pytest.approx(known[0])
    weights = 1 / 4 + (30 - 7.5) * (np.array(X) - 7.5) / ((np.array(X) - 7.5) ** 2).sum()
    up = (np.where(weights > 0, 3, 1) * weights) ** 2
    down = (np.where(weights > 0, 1, 3) * weights) ** 2
    assert (high - units) ** 2 == pytest.approx(spread(30) ** 2 + up.sum())
    assert (units - low) ** 2 == pytest.approx(spread(30) ** 2 + down.sum())
    opened = [*wide[:3], Threshold(15, 14, math.inf, "no")]  # open: as far as the other end
    assert estimate(X, opened, 30)[2] == pytest.approx(
        estimate(X, [*wide[:3], Threshold(15, 14, 16, "no")], 30)[2]
    )


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_prediction_uses_the_thresholds_of_the_share_asked_for(share):
    points = line([2, 4, 8, 16], [3, 5, 7, 15])
    widths = [p.fit.u90 if share == 0.9 else p.fit.u50 for p in points]
    for lag in (6, 30):
        found = predict(points, lag, share)
        assert (found.units, found.low, found.high, found.between) == estimate([2, 4, 8, 16], widths, lag)
        assert found.lags == (2, 4, 8, 16)
        assert found.budget == 1500


def test_a_prediction_needs_two_lags_and_an_interval_three():
    assert predict(line([2], [3]), 4) is None
    for lag in (3, 9):
        found = predict(line([2, 4], [3, 5]), lag)
        assert math.isinf(found.high)
        assert found.low == 1


def test_a_prediction_leaves_out_and_names_lags_that_were_not_reached():
    points = line([2, 4], [3, 5]) + frontier(table(group("delay_line", 8, {4: (0, 8)})))
    found = predict(points, 3)
    assert found.lags == (2, 4)
    assert found.left_out == (8,)
    assert found.units == pytest.approx(predict(points[:2], 3).units)


def covered(scatter, error, lags, lag, draws=2000):
    """How often an interval holds the threshold, where true ones scatter about a line by `scatter`, one
    number or one a lag.

    Each is known with `error`, to an interval that holds it 95 times of 100.
    """
    rng, held = np.random.default_rng(0), 0
    for _ in range(draws):
        truth = 20 + 0.7 * np.array([*lags, lag]) + scatter * rng.normal(size=len(lags) + 1)
        seen = truth[:-1] + error * rng.normal(size=len(lags))
        _, low, high, _ = estimate(
            lags, [Threshold(y, y - 1.96 * error, y + 1.96 * error, "no") for y in seen], lag
        )
        held += low <= truth[-1] <= high
    print(f"scatter {scatter} error {error} {len(lags)} lags, lag {lag}: {held / draws:.3f}")
    return held / draws


MANY = (1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)


@pytest.mark.parametrize("scatter", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("error", [0.1, 1.0])
@pytest.mark.parametrize("lags", [(2, 8, 16, 50), MANY])
@pytest.mark.parametrize("lag", [10, 37, 60])
def test_coverage(scatter, error, lags, lag):
    """Thresholds drawn about a line, by chance alone."""
    assert covered(scatter, error, lags, lag) >= 0.93


@pytest.mark.parametrize(("lag", "least"), [(10, 0.93), (37, 0.88), (60, 0.79)])
def test_coverage_where_thresholds_scatter_in_proportion_to_the_lag(lag, least):
    """The residuals of short lags say little of long ones: worse, and by how much."""
    assert covered(0.05 * np.array([*MANY, lag]), 0.5, MANY, lag) >= least

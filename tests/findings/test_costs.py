"""Costs of families of tasks: least squares over what was measured; lags of one content
are one cluster."""

import math

import numpy as np
import pytest
import scipy.stats
from study_rows import group, table

from memcap.findings import load
from memcap.frontiers.frontier import frontier

atlas = load("atlas")


@pytest.fixture(scope="module")
def rows():
    """Delay lines of 2 and 4 symbols, one not reached, one whose smallest width was
    enough; a latch; a GRU's delay line."""
    edge = {
        lag: {lag - 1: (0, 8), lag: (8, 8), lag + 1: (8, 8)} for lag in (3, 4, 8, 16)
    }
    return table(
        *(group("delay_line", lag, counts) for lag, counts in edge.items()),
        group("delay_line", 4, {7: (0, 8), 8: (8, 8), 9: (8, 8)}, knobs={"symbols": 4}),
        group("delay_line", 20, {10: (0, 8), 12: (0, 8)}),
        group("delay_line", 5, {4: (8, 8), 5: (8, 8)}),
        group("latch", 9, {1: (8, 8), 2: (8, 8)}),
        *(
            group(
                "delay_line",
                lag,
                {2 * u: n for u, n in edge[lag].items()},
                cell="GRUCell",
            )
            for lag in (3, 8, 16)
        ),
    ).with_columns(steady="solved")


def measured(rows):
    return [p for p in frontier(rows) if p.measured]


def test_only_what_was_measured_counts(rows):
    labels = {(p.label, p.lag): p.measured for p in frontier(rows)}
    assert not labels["delay_line", 20]
    assert not labels["delay_line", 5]
    assert labels["latch", 9]
    assert sum(labels.values()) == len(labels) - 2


def test_the_line_of_a_family_is_least_squares_over_its_points_alone(rows):
    points = measured(rows)
    by_family = {cost.family: cost for cost in atlas.costs(points)}
    assert list(by_family) == [
        "delay_line",
        "delay_line (GRUCell)",
    ]  # the others have one content
    for name, cost in by_family.items():
        own = [p for p in points if p.label == name]
        bits, units = np.array([(p.references.bits, p.fit.u90.units) for p in own]).T
        slope, intercept = np.polyfit(bits, units, 1)
        assert (cost.slope, cost.intercept, cost.points) == pytest.approx(
            (slope, intercept, len(bits))
        )
        assert cost.clusters == len(
            bits
        )  # each lag of a stream has a content of its own
        residual = units - slope * bits - intercept
        # one point a cluster: White's error, corrected as for HC1, and the t
        # distribution's quantile
        moments = (bits - bits.mean()) * residual
        n = len(bits)
        error = (
            math.sqrt(n / (n - 2) * (moments**2).sum())
            / ((bits - bits.mean()) ** 2).sum()
        )
        assert (cost.high - cost.low) / 2 == pytest.approx(
            scipy.stats.t.ppf(0.975, n - 1) * error
        )
    assert 0.9 < by_family["delay_line"].slope < 1.1
    assert 1.8 < by_family["delay_line (GRUCell)"].slope < 2.2


def held(*widths):
    """Copies of 1, 2 and 4 items at two lags each; `widths` are the units that each takes."""
    edge = [{u - 1: (0, 8), u: (8, 8), u + 1: (8, 8)} for u in widths]
    places = [(items, lag) for items in (1, 2, 4) for lag in (5, 50)]
    return table(
        *(
            group("copy", lag, counts, knobs={"items": items})
            for (items, lag), counts in zip(places, edge, strict=True)
        )
    )


def test_lags_of_one_content_are_one_cluster():
    points = measured(held(2, 2, 3, 4, 7, 7))
    (cost,) = atlas.costs([point for point in points if point.task.items != 2])
    assert (cost.unit, cost.points, cost.clusters) == ("bit", 4, 2)
    assert (cost.low, cost.high) == (-math.inf, math.inf)
    assert "[" not in atlas.sentence(cost)


def test_a_cluster_that_is_off_widens_the_interval_more_than_its_points_alone_would():
    points = measured(held(2, 2, 6, 6, 7, 7))
    (cost,) = atlas.costs(points)
    assert (cost.points, cost.clusters) == (6, 3)
    x, y = np.array([(p.references.bits, p.fit.u90.units) for p in points]).T
    alone = scipy.stats.linregress(x, y)
    assert (cost.high - cost.low) / 2 > 1.5 * scipy.stats.t.ppf(
        0.975, len(x) - 2
    ) * alone.stderr


# Their figure

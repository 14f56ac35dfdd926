"""Nets of several layers: what is drawn are the frontier's widths, counted in whole nets."""

import math

import pytest
from figure_checks import line
from study_rows import group, row_of, sharp, sized, sizes, table

from memcap.figures.layers import draw
from memcap.frontiers.comparison import shift
from memcap.frontiers.frontier import frontier
from memcap.frontiers.layers import sentence, shapes

EDGES = {
    1: {4: 6, 8: 12},
    2: {4: 5, 8: 6},
}  # units from which on all pass, by layers and lag


def of_layers(layers, lag, counts, symbols=2):
    return sized(
        group("delay_line", lag, counts, layers=layers, knobs={"symbols": symbols})
    )


def counted(layers, units):
    return sizes(row_of(task="delay_line", layers=layers, units=units))


@pytest.fixture(scope="module")
def rows():
    """One layer and two with sharp edges, four that no width was enough for, and another task."""
    known = [
        of_layers(layers, lag, sharp(edge, 16))
        for layers, edges in EDGES.items()
        for lag, edge in edges.items()
    ]
    return table(
        *known,
        of_layers(4, 8, {4: (0, 8), 8: (0, 8), 16: (0, 8)}),
        of_layers(1, 4, sharp(9, 16), 5),
    )


def test_each_number_of_layers_stands_at_the_counts_of_its_whole_nets(rows):
    panels = draw(rows).figure.axes
    assert len(panels) == 4  # two tasks
    for point in frontier(rows):
        if point.task.symbols != 2:
            continue
        for axes, name in zip(panels, ("carry_numbers", "parameters"), strict=False):
            words = (
                "1 layer" if point.model.layers == 1 else f"{point.model.layers} layers"
            )
            ys = line(axes, words)
            if point.model.layers == 4:
                assert not ys
                continue
            width = point.fit.u90.units
            below, above = (
                counted(point.model.layers, at(width))[name]
                for at in (math.floor, math.ceil)
            )
            assert below <= ys[point.lag] <= above
            if name == "carry_numbers":
                assert ys[point.lag] == pytest.approx(2 * point.model.layers * width)


def test_times_are_those_of_the_net_of_the_fewest_layers(rows):
    data = draw(rows).data.filter(label="delay_line")
    at = {(row["layers"], row["lag"]): row for row in data.iter_rows(named=True)}
    assert at[1, 4]["carry_numbers_times"] is None
    for lag in (4, 8):
        one = at[1, lag]
        two = at[2, lag]
        for name in ("carry_numbers", "parameters"):
            assert two[f"{name}_times"] == pytest.approx(
                two[f"{name}_u90"] / one[f"{name}_u90"]
            )
            assert (
                two[f"{name}_times_low"]
                < two[f"{name}_times"]
                < two[f"{name}_times_high"]
            )
    assert at[4, 8]["carry_numbers_times_high"] is None  # a lower bound
    points = {
        (p.model.layers, p.lag): p.posterior
        for p in frontier(rows)
        if p.task.symbols == 2
    }
    widths = shift(points[1, 8], points[2, 8], 0.9)  # twice as many numbers a unit
    assert at[2, 8]["carry_numbers_times_low"] == pytest.approx(2 * widths.low)
    assert at[2, 8]["carry_numbers_times_high"] == pytest.approx(2 * widths.high)


def test_the_words_name_the_shape_that_needs_least_and_whether_that_is_sure(rows):
    first, second, other = (sentence(nets) for nets in shapes(rows))
    units = {
        (p.model.layers, p.lag): p.fit.u90.units
        for p in frontier(rows)
        if p.task.symbols == 2
    }
    assert first.startswith(
        f"delay_line at lag 4: least state 1 layer ({2 * units[1, 4]:.0f});"
    )
    assert "least parameters 1 layer (" in first
    assert "not surely" not in first
    # six units in each of two layers have as many numbers as twelve in one
    assert "least state 2 layers" in second or "least state 1 layer" in second
    assert second.count("not surely") == 1
    assert "least parameters 2 layers (" in second.split(";")[1]
    assert other.startswith("delay_line (symbols=5) at lag 4: least state 1 layer (")
    assert all(
        each in draw(rows).figure.texts[0].get_text() for each in (first, second, other)
    )

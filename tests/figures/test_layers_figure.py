"""Nets of several layers: what is drawn are the frontier's widths, counted in whole nets."""

import pytest
from figure_checks import counts_around, line
from study_rows import group, sharp, sized, table

from memcap.figures.layers import draw
from memcap.frontiers.comparison import shift
from memcap.frontiers.frontier import frontier
from memcap.frontiers.layers import sentence, shapes
from memcap.terminal.words import plural

# units from which on all pass, by layers and lag
EDGES = {(1, 4): 6, (1, 8): 12, (2, 4): 5, (2, 8): 6}


def of_layers(layers, lag, counts, symbols=2):
    knobs = {"symbols": symbols}
    return sized(group("delay_line", lag, counts, layers=layers, knobs=knobs))


@pytest.fixture(scope="module")
def rows():
    """One layer and two with sharp edges, four that no width was enough for, and another task."""
    return table(
        *(of_layers(*net, sharp(edge, 16)) for net, edge in EDGES.items()),
        of_layers(4, 8, {4: (0, 8), 8: (0, 8), 16: (0, 8)}),
        of_layers(1, 4, sharp(9, 16), 5),
    )


@pytest.fixture(scope="module")
def points(rows):
    """Those of the task of two symbols, by layers and lag."""
    points = [p for p in frontier(rows) if p.task.symbols == 2]
    return {(p.model.layers, p.lag): p for p in points}


def test_each_number_of_layers_stands_at_the_counts_of_its_whole_nets(rows, points):
    panels = draw(rows).figure.axes
    assert len(panels) == 4  # two tasks
    assert line(panels[0], "4 layers") == line(panels[1], "4 layers") == {}
    for layers, lag in EDGES:
        width = points[layers, lag].fit.u90.units
        carry, weights = (line(axes, plural(layers, "layer")) for axes in panels[:2])
        assert carry[lag] == pytest.approx(2 * layers * width)
        low, high = counts_around(width, "parameters", layers=layers)
        assert low <= weights[lag] <= high


def test_times_are_those_of_the_net_of_the_fewest_layers(rows, points):
    data = draw(rows).data.filter(label="delay_line")
    found = data.rows_by_key(["layers", "lag"], named=True, unique=True)
    assert found[1, 4]["carry_numbers_times"] is None
    for lag in (4, 8):
        one = found[1, lag]
        two = found[2, lag]
        for name in ("carry_numbers", "parameters"):
            times = two[f"{name}_times"]
            ratio = two[f"{name}_u90"] / one[f"{name}_u90"]
            assert times == pytest.approx(ratio)
            assert two[f"{name}_times_low"] < times < two[f"{name}_times_high"]
    assert found[4, 8]["carry_numbers_times_high"] is None  # a lower bound
    widths = shift(points[1, 8].posterior, points[2, 8].posterior, 0.9)
    ends = [found[2, 8][f"carry_numbers_times_{end}"] for end in ("low", "high")]
    assert ends == pytest.approx([2 * widths.low, 2 * widths.high])


def test_the_words_name_the_shape_that_needs_least_and_whether_that_is_sure(rows):
    sentences = [sentence(nets) for nets in shapes(rows)]
    assert sentences[0].startswith("delay_line at lag 4: least state 1 layer (")
    # six units in each of two layers have as many numbers as twelve in one
    assert [text.count("not surely") for text in sentences[:2]] == [0, 1]
    assert "least parameters 2 layers (" in sentences[1].split(";")[1]
    caption = draw(rows).figure.texts[0].get_text()
    assert all(text in caption for text in sentences)

"""The map of cells: what is drawn are the frontier's widths, in bytes of each cell's own carry."""

import math

import pytest
from study_rows import group, sharp, sized, table

from memcap import findings
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks import task_class

cell_map = findings.load("cell_map")
draw = cell_map.draw
needs = cell_map.needs
CELLS = {"GRUCell": 6, "delta_net": 2, "LRU": 4}  # units from which on all pass


def of_cell(cell, counts, task="latch", **columns):
    return sized(group(task, 5, counts, cell=cell, **columns))


@pytest.fixture(scope="module")
def rows():
    """Three cells with sharp edges, one that no width was enough for, one that nothing
    trained; on another task one alone."""
    return table(
        *(of_cell(cell, sharp(edge, 16)) for cell, edge in CELLS.items()),
        of_cell("SimpleCell", {2: (0, 8), 4: (2, 8), 8: (6, 8)}),
        of_cell("minGRU", {2: (0, 8), 4: (0, 8)}),
        of_cell("GRUCell", sharp(3, 16), task="parity", evaluation_until="steady"),
    )


def test_bytes_are_those_of_the_cells_own_carry(rows):
    data = {
        row["cell"]: row
        for row in draw(rows).data.filter(task="latch").iter_rows(named=True)
    }
    for cell, edge in CELLS.items():
        task = task_class("latch")()
        nets = [
            Architecture(Model(cell, units), task.features, task.outputs)
            for units in (edge - 1, edge)
        ]
        low, high = (net.carry_numbers() * 4 for net in nets)  # float32
        assert low < data[cell]["bytes_u90"] <= high
        assert (
            nets[0].parameters() < data[cell]["parameters_u90"] <= nets[1].parameters()
        )
        assert (
            data[cell]["bytes_u90_low"]
            <= data[cell]["bytes_u90"]
            <= data[cell]["bytes_u90_high"]
        )
    assert data["LRU"]["floor_bytes"] == 1 / 8  # a bit is held
    assert data["SimpleCell"]["u90_censored"] == "above"
    assert data["SimpleCell"]["bytes_widest"] == pytest.approx(32)
    assert (data["minGRU"]["trains"], data["minGRU"]["bytes_u90"]) == (False, None)


def test_what_is_followed_no_further_than_trained_has_a_place_of_its_own():
    counts = {1: (8, 8), 2: (8, 8), 3: (8, 8)}  # at the trained length
    rows = table(
        of_cell(
            "GRUCell",
            counts,
            task="parity",
            evaluation_until="steady",
            stretch=4,
            steady={1: 0, 2: 0},
        )
    )
    places = {need.place: need.point.solved for need in needs(rows)}
    assert places == {
        "parity, lag 5": (8, 8, 8),
        "parity, lag 5, also 4 times as long": (0, 0, 8),
    }


def test_a_cell_of_half_precision_has_half_the_bytes(rows):
    half = of_cell("GRUCell+bfloat16", sharp(6, 16))
    data = {
        row["cell"]: row["bytes_u90"]
        for row in draw(table(half)).data.iter_rows(named=True)
    }
    data_of_latch = draw(rows).data.filter(task="latch")
    whole = {
        row["cell"]: row["bytes_u90"] for row in data_of_latch.iter_rows(named=True)
    }
    assert data["GRUCell+bfloat16"] == pytest.approx(whole["GRUCell"] / 2)


def test_a_box_says_what_is_needed_and_is_dark_where_that_may_be_least(rows):
    drawn = draw(rows)
    axes = drawn.figure.axes[0]
    cells = [text.get_text() for text in axes.get_yticklabels()][1:]
    at = [text.get_text() for text in axes.get_xticklabels()].index(
        "latch, lag\N{NO-BREAK SPACE}5"
    )
    words = {
        text.get_position(): text.get_text()
        for text in axes.texts
        if "[" not in text.get_text()
    }
    inside = {
        cells[round(y)]: text for (x, y), text in words.items() if x == at and y > -0.5
    }
    boxes = [
        bar for bar in axes.patches if round(bar.get_x() + bar.get_width() / 2) == at
    ]
    dark = {
        cells[round(bar.get_y() + bar.get_height() / 2)]
        for bar in boxes
        if sum(bar.get_facecolor()[:3]) < 2
    }
    assert len(boxes) == 3
    assert (inside.pop("minGRU"), inside.pop("SimpleCell")) == ("no: 0.50", "> 32")
    bytes_of_state = {
        "GRUCell": "20 to 24",
        "LRU": "24 to 32",
        "delta_net": "92 to 156",
    }
    assert {cell: inside[cell] for cell in CELLS} == bytes_of_state
    assert dark == {"GRUCell", "LRU"}


def test_what_steady_means_is_said_once_and_few_nets_are_told_from_none():
    lines = {"parity": 4, "delay_line": 20}
    judged = {"evaluation_until": "steady", "steady": {1: 1, 2: 1}}
    counts = {1: (1, 8), 2: (1, 8)}
    rows = table(
        *(
            of_cell("LRU", counts, task=name, stretch=n, **judged)
            for name, n in lines.items()
        )
    )
    drawn = draw(rows)
    error = -0.01 * math.log2(0.01) - 0.99 * math.log2(
        0.99
    )  # of one bit, at an accuracy of .99
    (floor,) = drawn.data.filter(task="delay_line")["floor_bytes"]
    assert floor == pytest.approx(
        (5 - 6 * error) / 8
    )  # less than the 5 bits that it holds
    figure = drawn.figure
    assert {
        text.get_text() for text in figure.axes[0].texts if ":" in text.get_text()
    } == {"few: 1.00"}
    caption = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert caption.count("Steady:") == 1
    assert "8 seeds per mark. Seeds 0 to 7. Budgets" in caption
    assert "on sequences of 4 (parity) or 20 (delay_line) times the lag" in caption


def test_cells_that_may_need_fewest_bytes_come_first(rows):
    """Also those that wider nets may be enough of."""
    there = [need for need in needs(rows) if need.point.task.name == "latch"]
    assert [need.cell for need in there] == [
        "GRUCell",
        "LRU",
        "SimpleCell",
        "delta_net",
        "minGRU",
    ]
    assert [cell_map.band(need, there) for need in there] == [
        (1, 3),
        (1, 3),
        (1, 4),
        (3, 4),
        (5, 5),
    ]


def test_a_guest_is_told_from_the_others(rows):
    guest = of_cell("memcap.cells.leaky:Leaky", sharp(3, 16))
    drawn = table(guest, of_cell("LRU", sharp(3, 16)))
    all_needs = needs(drawn)
    labels = (
        cell_map.of_needs(all_needs, drawn, "memcap.cells.leaky:Leaky")
        .figure.axes[0]
        .get_yticklabels()
    )
    weights = {text.get_text(): text.get_fontweight() for text in labels}
    assert [name for name, weight in weights.items() if weight == "bold"] == [
        "memcap.cells.leaky:Leaky"
    ]


def test_what_the_narrowest_net_does_reaches_down_to_one_unit():
    row = draw(table(of_cell("GRUCell", {2: (16, 16), 3: (16, 16)}))).data.row(
        0, named=True
    )
    assert (row["u90_censored"], row["bytes_u90_low"]) == ("below", pytest.approx(4))

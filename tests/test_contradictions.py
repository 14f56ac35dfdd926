"""No published number contradicts another: a mark of two tables is one number, or a
page says why it is not. The pages' tables are those of these rows (docs/tables.py)."""

from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from memcap import findings, store
from memcap.answers.answer import Question
from memcap.answers.sources import from_rows
from memcap.frontiers.frontier import frontier, label
from memcap.store.shards import ATLAS, rows_files, tables as published

pytestmark = pytest.mark.slow
cell_map = findings.load("cell_map")
ROOT = Path(__file__).parent.parent
RECIPES = (
    "sweeps/cells/cell_map/README.md",
    "GRU, LSTM and tanh net were also trained by recipes of the atlas",
)
ON_PURPOSE = (
    "sweeps/cells/supplement/cell_map_rates/README.md",
    "Neither these nets nor those of `sweeps=cells/supplement/cell_map_budgets` count on the map.",
)
MORE_STEPS = (
    "sweeps/cells/supplement/cell_map_tasks/README.md",
    "By other recipes, of more steps, GRU and LSTM need fewer",
)
MUON = (
    "sweeps/training/optimizers/README.md",
    "With four and eight symbols Muon gains much",
)
# (task, lag, cell) of marks that differ from table to table, and the page whose words say why.
REASONS = {
    ("adding", 50, "lstm"): (
        "docs/question.md",
        "so no width of it produces a sum of up to 2",
    ),
    ("copy (items=8)", 4, "GRUCell"): ON_PURPOSE,
    ("copy (items=8)", 4, "lstm"): RECIPES,
    ("delay_line", 8, "GRUCell"): RECIPES,
    ("delay_line", 8, "LRU"): ON_PURPOSE,
    ("delay_line", 8, "SimpleCell"): ON_PURPOSE,
    ("delay_line", 16, "GRUCell"): MORE_STEPS,
    ("delay_line", 16, "LRU"): (
        "sweeps/cells/supplement/cell_map_tasks/README.md",
        "without a curriculum 10.3 units, 83 bytes, are",
    ),
    ("delay_line", 16, "lstm"): MORE_STEPS,
    ("delay_line", 8, "lstm"): (
        "sweeps/cells/supplement/cell_map_recipes/README.md",
        "there the answers rest on [nets that GGT trained]",
    ),
    ("delay_line", 20, "lstm"): (
        "sweeps/training/optimizers/README.md",
        "GGT was given as many seconds as Adam takes for 24,000",
    ),
    ("delay_line (symbols=4)", 8, "lstm"): MUON,
    ("delay_line (symbols=4)", 12, "lstm"): MUON,
    ("delay_line (symbols=8)", 8, "lstm"): MUON,
    ("delay_line", 8, "selective_LRU"): (
        "sweeps/cells/supplement/cell_map_recipes/README.md",
        "The selective LRU moved most",
    ),
    ("latch", 50, "lstm+noise0.3"): (
        "sweeps/cells/supplement/cell_map_tasks/README.md",
        "An LSTM needs one unit, 8 bytes, by [another recipe]",
    ),
    ("mqar (symbols=8)", 8, "lstm"): ON_PURPOSE,
    ("parity", 16, "lstm"): RECIPES,
    ("parity", 16, "slstm"): (
        "sweeps/cells/supplement/cell_map_recipes/README.md",
        "For parity, sLSTM has a second recipe",
    ),
    ("parity", 50, "lstm"): (
        "sweeps/training/recipes_race/README.md",
        "For parity over 50 steps it finds no width either",
    ),
    ("square_wave", 50, "lstm"): (
        "sweeps/papers/kent2024/README.md",
        "and up to 24,000 steps (conf/recipe/curriculum_from_one.yaml) an LSTM of one unit learns",
    ),
    ("word_problem", 12, "lstm"): (
        "sweeps/cells/supplement/cell_map_recipes/README.md",
        "For the product, the LSTM needs less from its own start",
    ),
}
MANY = {
    "atlas",
    "layers",
    "up_to",
    "keys",
    "cell_map_again",
    "the map",
    "memcap answer",
}
PAPERS = {
    "grazzi2024",
    "hewitt2020",
    "hochreiter1997",
    "illium2022",
    "kent2024",
    "openai2018",
    "tallec2018",
}


class Mark(NamedTuple):
    """A u90 with its interval, and the recipe and network with which it was found."""

    low: float
    units: float
    high: float
    by: Any = None


def marks_of(points):
    """Return the marks by task, lag, cell, layers and verdict."""
    marks = {}
    for p in points:
        u90 = p.fit.u90
        place = (p.task, p.lag, p.model.cell, p.model.layers, p.at)
        marks.setdefault(place, []).append(
            Mark(u90.low, u90.units, u90.high, (p.recipe, p.model))
        )
    return marks


def answers_at(points):
    """Return what `memcap answer` says at the places of these points."""
    rows = pl.concat(map(store.read, rows_files(ATLAS)))
    marks = {}
    for p in points:
        answer = from_rows(rows, Question(p.task, p.lag, p.model, at="steady"))
        if answer.estimate is not None and answer.at == p.at:
            units = answer.estimate
            low = answer.low
            high = answer.high
            marks[p.task, p.lag, p.model.cell, p.model.layers, p.at] = [
                Mark(low, units, high)
            ]
    return marks


@pytest.fixture(scope="module")
def tables():
    """The marks of all studies and papers by their best recipes, of the map of cells,
    and of the answers."""
    tables = {}
    for name, file in published().items():
        if "/" in name:  # another loop over time
            continue
        rows = store.read(file).with_columns(cell_map.SAME)
        at_length = frontier(rows.filter(evaluation_until="steady"), "trained")
        at_length = [point for point in at_length if not point.task.stream]
        tables[name] = marks_of(frontier(rows) + at_length)
    on_map = [
        need.point
        for need in cell_map.needs(pl.concat(map(store.read, rows_files("cell_map"))))
    ]
    return tables | {"the map": marks_of(on_map), "memcap answer": answers_at(on_map)}


def pairs(tables):
    """Yield each place that stands in two tables, with their names and their marks."""
    for (name, marks), (other_name, others) in combinations(tables.items(), 2):
        for place in marks.keys() & others.keys():
            for one in marks[place]:
                yield from (
                    (place, {name, other_name}, one, other) for other in others[place]
                )


def apart(one, other):
    """Return whether neither u90 lies in the other's interval."""
    return not (
        one.low <= other.units <= one.high or other.low <= one.units <= other.high
    )


def contradictions(tables):
    return {
        (label(place[0]), *place[1:3]): (place, names, one, other)
        for place, names, one, other in pairs(tables)
        if apart(one, other)
    }


def test_marks_that_stand_in_two_tables_are_one_number_or_a_page_says_why_not(tables):
    assert set().union(*(names for _, names, *_ in pairs(tables))) >= MANY | PAPERS
    places = contradictions(tables)
    assert places.keys() == REASONS.keys(), places
    for page, words in REASONS.values():
        assert words in " ".join((ROOT / page).read_text(encoding="utf-8").split())


def test_the_same_recipe_and_network_give_the_same_number_in_each_table(tables):
    alike = [
        pair
        for pair in pairs(tables)
        if pair[2].by is not None and pair[2].by == pair[3].by
    ]
    assert len(alike) > 100
    assert [pair for pair in alike if apart(*pair[2:])] == []

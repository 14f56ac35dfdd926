"""A guest on the map of cells: which members it trains, and how it ranks there."""

from dataclasses import replace

import polars as pl
import pytest
from breadth import leave
from scipy.stats import kendalltau
from study_rows import group, table

import memcap
from memcap import api, findings, store
from memcap.config.knobs import UserError
from memcap.launch.app import compose_jobs
from memcap.store import published

cell_map = findings.load("cell_map")
GUEST = "memcap.cells.leaky:Leaky"


def rows_of(study):
    return store.read(published.rows_file(study))


@pytest.mark.breadth
def test_a_guest_trains_what_a_cell_of_the_map_trained():
    """As Hydra resolves its study, but for the cell."""
    ((job,),) = compose_jobs(["sweeps=cell_map"])
    keys = {m.key for m in cell_map.members_of("GRUCell", seed=0)}
    assert keys == {m.key for m in job.members if m.model.cell == "GRUCell"}
    guests = cell_map.members_of(GUEST, seed=0)
    assert {m.model.cell for m in guests} == {GUEST}
    fresh = {m.seed for m in cell_map.members_of(GUEST, api.FRESH_SEED)}
    assert not fresh & set(pl.concat(map(rows_of, cell_map.RUNS))["seed"])
    assert {
        replace(m, model=replace(m.model, cell="GRUCell")).key for m in guests
    } == keys


@pytest.mark.parametrize(
    ("cell", "widest"), [("GRUCell", 48), ("slstm", 48), ("delta_net", 16)]
)
def test_a_guest_has_no_more_state_than_the_widest_of_the_map(cell, widest):
    widths = {m.model.units for m in cell_map.members_of(cell, 0)}
    assert max(widths) == widest
    assert len(widths) >= cell_map.LEAST_WIDTHS


@pytest.mark.parametrize(("shape", "widest"), [*leave([("square", 16)]), ("fixed", 48)])
def test_a_guests_state_is_counted_at_each_width(shape, widest):
    """Also where it grows faster than the width, or not at all."""
    cell = f"odd_cells:{shape.title()}Carry"
    assert max(m.model.units for m in cell_map.members_of(cell, 0)) == widest
    assert memcap.answer("parity", 16, cell=cell).units is None


def test_a_guest_that_cannot_start_is_refused():
    with pytest.raises(UserError, match="Flax has no initialiser"):
        cell_map.members_of("lstm", 0)


def row(needs, cell, task="latch"):
    return cell_map.ranking(needs, cell).filter(task=task).row(0, named=True)


def test_places_are_by_bytes_and_what_none_meets_comes_last():
    edges = {"GRUCell": 6, "LRU": 2, "minGRU": 4, GUEST: 4}
    groups = [
        group(
            "latch",
            5,
            {edge - 1: (0, 16), edge: (16, 16), edge + 1: (16, 16)},
            cell=cell,
        )
        for cell, edge in edges.items()
    ]
    untrained = [
        group("count", 5, {1: (0, 8), 2: (0, 8)}, cell=cell, best=0.25)
        for cell in (GUEST, "LRU")
    ]
    needs = cell_map.needs(
        table(
            *groups,
            *untrained,
            group("count", 5, {1: (0, 8), 2: (8, 8)}, cell="GRUCell"),
        )
    )
    bands = {cell: row(needs, cell)["band"] for cell in edges}
    tie = "2 to 3 of 4"
    assert bands == {"LRU": "1 of 4", "minGRU": tie, GUEST: tie, "GRUCell": "4 of 4"}
    assert row(needs, GUEST)["best_cells"] == ["LRU"]
    assert row(needs, GUEST)["words"].startswith("24 to 32 [")
    none = row(needs, GUEST, "count")
    assert none["band"] == "2 to 3 of 3"
    assert (none["words"], none["best_cells"]) == ("under half, 0.25", ["GRUCell"])
    scores = {"minGRU": 0.69, GUEST: 0.71, "leaky": 0.5}  # of a pair whose chance is .5
    rows = [
        group("latch", 5, {1: (0, 8), 2: (0, 8)}, cell=cell, best=best)
        for cell, best in scores.items()
    ]
    needs = cell_map.needs(table(*groups[:1], *rows))
    bands = {cell: row(needs, cell)["band"] for cell in scores}
    assert bands == {"minGRU": "2 to 3 of 4", GUEST: "2 to 3 of 4", "leaky": "4 of 4"}
    with pytest.raises(UserError, match="nope: none of its nets has a row"):
        cell_map.ranking(needs, "nope")


def test_the_lstm_under_another_name_lands_in_its_own_band():
    """With the other seeds of the second run, on each of the five tasks, at both lengths."""
    again = (
        rows_of(cell_map.AGAIN)
        .filter(cell="OptimizedLSTMCell")
        .with_columns(cell=pl.lit(GUEST))
    )
    places = cell_map.by_place(
        cell_map.needs(pl.concat([rows_of(cell_map.STUDY), again]))
    )
    assert len(places) == 7
    for there in places.values():
        own, other = (
            cell_map.band(need, there)
            for cell in ("lstm", GUEST)
            for need in there
            if need.cell == cell
        )
        assert max(own[0], other[0]) <= min(own[1], other[1])


def test_noise_and_all_shorter_lags_belong_to_the_place():
    """An LSTM by Flax with noise is the same cell as without."""
    counts = {1: (0, 8), 2: (8, 8)}
    noisy = group("latch", 5, counts, cell="OptimizedLSTMCell+noise0.3")
    judged = {"evaluation_until": "up_to", "up_to": {1: 0, 2: 8}}
    every = group("parity", 5, counts, cell="OptimizedLSTMCell", **judged)
    needs = cell_map.needs(table(noisy, every))
    places = ["latch (noise of 0.3 in the carry), lag 5", "parity, every lag up to 5"]
    assert sorted((need.cell, need.place) for need in needs) == [
        ("lstm", place) for place in places
    ]
    assert set(cell_map.ranking(needs, "lstm")["task"]) == {
        "latch (noise of 0.3 in the carry)",
        "parity",
    }


def test_two_runs_agree_as_kendall_says():
    """Of the cells that have a u90 in both; in the middle two are tied."""
    edges = (
        {"GRUCell": 2, "SimpleCell": 4, "minGRU": 4, "leaky": 8},
        {"GRUCell": 4, "SimpleCell": 2, "minGRU": 8},
    )
    runs = [
        cell_map.needs(
            table(
                *(
                    group("latch", 5, {edge // 2: (0, 8), edge: (8, 8)}, cell=cell)
                    for cell, edge in run.items()
                ),
                group("latch", 5, {2: (0, 8), 4: (0, 8)}, cell="irnn"),
            )
        )
        for run in edges
    ]
    cells = ["GRUCell", "SimpleCell", "minGRU"]
    tau = kendalltau(*([run[cell] for cell in cells] for run in edges)).statistic
    assert cell_map.agreement(*runs) == {"latch, lag 5": (pytest.approx(tau), 3)}


def test_of_two_studies_the_better_recipe_counts():
    """An LSTM is one cell, whoever wrote it; who has more seeds does not win by that."""
    own = group(
        "latch", 5, {3: (0, 4), 4: (4, 4)}, cell="OptimizedLSTMCell", recipe="own_start"
    )
    other = {"cell": "lstm", "recipe": "hold", "study": cell_map.RECIPES}
    for edge, units in ((2, 2), (8, 4)):
        better = group("latch", 5, {edge - 1: (0, 8), edge: (8, 8)}, **other)
        (need,) = cell_map.needs(table(own, better))
        assert (need.cell, need.point.units[-1], need.point.recipes) == (
            "lstm",
            units,
            2,
        )

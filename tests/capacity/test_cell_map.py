"""A guest on the map of cells: which members it trains, and how it ranks there."""

from dataclasses import replace

import pytest
from study_rows import group, table

import memcap
from memcap import figures
from memcap.capacity import cell_map
from memcap.knobs import UserError
from memcap.launch.app import compose_jobs
from memcap.runtime import published

GUEST = "memcap.cells.leaky:Leaky"


def test_a_guest_trains_what_a_cell_of_the_map_trained():
    """As Hydra resolves its study, but for the cell."""
    ((job,),) = compose_jobs(["sweeps=cell_map"])
    keys = {m.key for m in cell_map.members_of("GRUCell")}
    assert keys == {m.key for m in job.members if m.model.cell == "GRUCell"}
    guests = cell_map.members_of(GUEST)
    assert {m.model.cell for m in guests} == {GUEST}
    assert {replace(m, model=replace(m.model, cell="GRUCell")).key for m in guests} == keys


@pytest.mark.parametrize(("cell", "widest"), [("GRUCell", 48), ("slstm", 48), ("delta_net", 16)])
def test_a_guest_has_no_more_state_than_the_widest_of_the_map(cell, widest):
    widths = {m.model.units for m in cell_map.members_of(cell)}
    assert max(widths) == widest
    assert len(widths) >= cell_map.LEAST_WIDTHS


@pytest.mark.parametrize(("shape", "widest"), [("square", 16), ("fixed", 48)])
def test_a_guests_state_is_counted_at_each_width(shape, widest):
    """Also where it grows faster than the width, or not at all."""
    cell = f"odd_cells:{shape.title()}Carry"
    assert max(m.model.units for m in cell_map.members_of(cell)) == widest
    assert memcap.answer("parity", 16, cell=cell).units is None


def test_the_name_that_the_map_had_stands_for_it():
    """Where a user typed it; a folder of rows that was trained by it goes on."""
    assert figures.find("state") is figures.find("cell_map")
    assert published.rows_files("state") == published.rows_files("cell_map") != []
    ((former,),), ((job,),) = (compose_jobs([f"sweeps={name}"]) for name in ("state", "cell_map"))
    assert {m.key for m in former.members} == {m.key for m in job.members}
    assert str(former.settings.folder) == "outputs/state"


def test_a_guest_that_cannot_start_is_refused():
    with pytest.raises(UserError, match="has no start of Flax's"):
        cell_map.members_of("lstm")


def test_places_are_by_bytes_and_what_none_meets_comes_last():
    edges = {"GRUCell": 6, "LRU": 2, GUEST: 4}
    groups = [
        group("latch", 5, {edge - 1: (0, 16), edge: (16, 16), edge + 1: (16, 16)}, cell=cell)
        for cell, edge in edges.items()
    ]
    rows = table(*groups, group("count", 5, {1: (0, 8), 2: (0, 8)}, cell=GUEST))
    needs = cell_map.needs(rows)
    of_guest = {row["task"]: row for row in cell_map.ranking(needs, GUEST).to_dicts()}
    assert (of_guest["latch"]["rank"], of_guest["latch"]["cells"]) == (2, 3)
    assert of_guest["latch"]["best_cell"] == "LRU"
    assert (of_guest["count"]["rank"], of_guest["count"]["best_cell"]) == (None, None)
    with pytest.raises(UserError, match="nope: none of its nets has a row"):
        cell_map.ranking(needs, "nope")
    ranks = {cell: cell_map.ranking(needs, cell).filter(task="latch")["rank"].item() for cell in edges}
    assert ranks == {"LRU": 1, GUEST: 2, "GRUCell": 3}

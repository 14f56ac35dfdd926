"""The map of cells: what each cell needs, in bytes of its own carry, and how a guest is
trained and ranked."""

from dataclasses import replace

import polars as pl
import pytest
from breadth import leave
from scipy.stats import kendalltau
from study_rows import group, sharp, sized, table

import memcap
from memcap import findings
from memcap.api import FRESH_SEED
from memcap.findings.tables import rows_of
from memcap.knobs import UserError
from memcap.launch.app import compose_jobs
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks import task_class

cell_map = findings.load("cell_map")
GUEST = "memcap.cells.leaky:Leaky"
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


@pytest.mark.breadth
def test_a_guest_trains_what_a_cell_of_the_map_trained():
    """As Hydra resolves its study, but for the cell."""
    ((job,),) = compose_jobs(["sweeps=cells/cell_map"])
    keys = {m.key for m in job.members if m.model.cell == "GRUCell"}
    assert {m.key for m in cell_map.members_of("GRUCell", 0)} == keys
    guests = cell_map.members_of(GUEST, 0)
    as_gru = [replace(m, model=replace(m.model, cell="GRUCell")) for m in guests]
    assert {m.key for m in as_gru} == keys
    fresh = {m.seed for m in cell_map.members_of(GUEST, FRESH_SEED)}
    assert not fresh & set(pl.concat(map(rows_of, cell_map.RUNS))["seed"])


@pytest.mark.parametrize(
    ("cell", "widest"),
    [
        *leave([("odd_cells:SquareCarry", 16), ("GRUCell", 48)]),
        ("odd_cells:FixedCarry", 48),  # whose state does not grow
        ("slstm", 48),
        ("delta_net", 16),
    ],
)
def test_a_guest_has_no_more_state_than_the_widest_of_the_map(cell, widest):
    widths = {m.model.units for m in cell_map.members_of(cell, 0)}
    assert max(widths) == widest
    assert len(widths) >= cell_map.LEAST_WIDTHS


def test_a_guest_that_cannot_start_is_refused():
    with pytest.raises(UserError, match="Flax has no initialiser"):
        cell_map.members_of("lstm", 0)


def ranked(needs, cell, task="latch"):
    return cell_map.ranking(needs, cell).filter(task=task).row(0, named=True)


def test_places_are_by_bytes_and_what_none_meets_has_none():
    edges = {"GRUCell": 6, "LRU": 2, "minGRU": 4, GUEST: 4}
    needs = cell_map.needs(
        table(
            *(group("latch", 5, sharp(edge, 16), cell=c) for c, edge in edges.items()),
            *(
                group("count", 5, {1: (0, 8), 2: (0, 8)}, cell=cell, best=0.25)
                for cell in (GUEST, "LRU")
            ),
            group("count", 5, {1: (0, 8), 2: (8, 8)}, cell="GRUCell"),
        )
    )
    bands = {cell: ranked(needs, cell)["band"] for cell in edges}
    tie = "2 to 3 of 4"
    assert bands == {"LRU": "1 of 4", "minGRU": tie, GUEST: tie, "GRUCell": "4 of 4"}
    assert ranked(needs, GUEST)["best_cells"] == ["LRU"]
    assert ranked(needs, GUEST)["words"].startswith("24 to 32 [")
    none = ranked(needs, GUEST, "count")
    assert (none["band"], none["words"]) == ("none", "under half, 0.25")
    assert (none["first"], none["last"]) == (None, None)
    with pytest.raises(UserError, match="nope: none of its nets has a row"):
        cell_map.ranking(needs, "nope")


def test_cells_that_do_not_train_are_in_order_of_their_scores():
    """Of a pair whose chance is .5: .69 and .71 are one place."""
    scores = {"minGRU": 0.69, GUEST: 0.71, "leaky": 0.5}
    counts = {1: (0, 8), 2: (0, 8)}
    failed = [group("latch", 5, counts, cell=c, best=s) for c, s in scores.items()]
    needs = cell_map.needs(table(group("latch", 5, sharp(6), cell="GRUCell"), *failed))
    bands = {need.cell: cell_map.band(need, needs) for need in needs}
    assert [bands[cell] for cell in scores] == [(2, 3), (2, 3), (4, 4)]


def test_the_lstm_under_another_name_lands_in_its_own_band():
    """With the other seeds of the second run, on each of the five tasks, at both lengths."""
    again = rows_of(cell_map.AGAIN).filter(cell="OptimizedLSTMCell")
    again = again.with_columns(cell=pl.lit(GUEST))
    needs = cell_map.needs(pl.concat([rows_of(cell_map.STUDY), again]))
    places = cell_map.by_place(needs)
    assert len(places) == 7
    for others in places.values():
        bands = {need.cell: cell_map.band(need, others) for need in others}
        first, last = zip(bands["lstm"], bands[GUEST], strict=True)
        assert max(first) <= min(last)


def test_two_runs_agree_as_kendall_says():
    """Of the cells that have a u90 in both; in the middle two are tied."""
    edges = (
        {"GRUCell": 2, "SimpleCell": 4, "minGRU": 4, "leaky": 8},
        {"GRUCell": 4, "SimpleCell": 2, "minGRU": 8},
    )
    failed = group("latch", 5, {2: (0, 8), 4: (0, 8)}, cell="irnn")
    runs = []
    for run in edges:
        groups = [
            group("latch", 5, {edge // 2: (0, 8), edge: (8, 8)}, cell=cell)
            for cell, edge in run.items()
        ]
        runs.append(cell_map.needs(table(*groups, failed)))
    tau = kendalltau([2, 4, 4], [4, 2, 8]).statistic
    assert cell_map.agreement(*runs) == {"latch, lag 5": (pytest.approx(tau), 3)}


def test_bytes_are_those_of_the_cells_own_carry(rows):
    data = cell_map.draw(rows).data.filter(task="latch").rows_by_key("cell", named=True)
    task = task_class("latch")()
    for cell, edge in CELLS.items():
        (row,) = data[cell]
        models = (Model(cell, edge - 1), Model(cell, edge))
        low, high = (Architecture(m, task.features, task.outputs) for m in models)
        last = task.features * (cell == "delta_net")  # numbers of a symbol, of one byte
        small, large = (
            4 * (net.carry_numbers() - last) + (last > 0) for net in (low, high)
        )
        assert small < row["bytes_u90"] <= large
        assert low.parameters() < row["parameters_u90"] <= high.parameters()
        assert row["bytes_u90_low"] <= row["bytes_u90"] <= row["bytes_u90_high"]
        assert row["floor_bytes"] == 1 / 8  # a bit is held
    (open_row,) = data["SimpleCell"]
    assert (open_row["u90_censored"], open_row["bytes_widest"]) == ("above", 32)
    (failed,) = data["minGRU"]
    assert (failed["trains"], failed["bytes_u90"]) == (False, None)


def test_a_need_is_open_where_nine_in_ten_pass_at_no_width():
    """Of the seeds that train at all 90 % do with two units; so few as 6 of 8 at three
    widths deny that nine in ten do, and 3 of 4 do not."""
    counts = {1: (0, 8), 2: (6, 8), 4: (6, 8), 8: (6, 8)}
    (need,) = cell_map.needs(table(of_cell("GRUCell", counts)))
    assert need.point.fit.u90.censored == "no"
    assert need.words == "open above 32"
    for enough in (counts | {8: (7, 8)}, {1: (0, 4), 2: (3, 4), 4: (3, 4)}):
        (need,) = cell_map.needs(table(of_cell("GRUCell", enough)))
        assert need.is_met


def test_a_guests_state_is_counted_where_it_does_not_grow_with_the_width():
    assert memcap.answer("parity", 16, cell="odd_cells:FixedCarry").units is None

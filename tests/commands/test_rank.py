"""`memcap rank`: a guest is trained as the map of cells says, and ranked there."""

import json

import pytest
from command import files, memcap
from study_rows import group, table

import memcap as package
from memcap import api, findings
from memcap.store.files import write_table

pytestmark = pytest.mark.usefixtures("quick_file")

cell_map = findings.load("cell_map")
GUEST = "memcap.cells.leaky:Leaky"
EDGES = {"GRUCell": 2, "LRU": 4}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two cells on a map of one task, on which a guest trains three members for a moment."""
    groups = [
        group("latch", 1, {edge - 1: (0, 8), edge: (8, 8), edge + 1: (8, 8)}, cell=cell)
        for cell, edge in EDGES.items()
    ]
    published = tmp_path / "published.parquet"
    write_table(published, table(*groups))
    monkeypatch.setattr(api, "rows_file", {cell_map.STUDY: published}.get)
    monkeypatch.setattr(cell_map, "RUNS", (cell_map.STUDY,))

    def members_of(cell, seed):
        recipes = [api.Recipe("own_start", budget=2, lr=lr) for lr in (0.01, 0.02)]
        net = {"cell": cell, "units": [1, 2, 3]}
        return package.members("latch", recipes, lag=1, seed=2, sequences=8, **net)

    monkeypatch.setattr(cell_map, "members_of", members_of)
    return tmp_path


@pytest.mark.breadth
def test_a_guest_is_trained_once_and_stands_beside_the_others(place):
    done = memcap(place, "rank", GUEST)
    assert done.status == 0, done.err
    folder = place / "outputs" / "rank_memcap_cells_leaky_Leaky"
    head, line = (text.split() for text in done.out.splitlines()[1:3])
    assert head == ["task", "lag", "verdict", "place", "bytes", "parameters", "fewest"]
    assert line[:6] == ["latch", "1", "trained", "none", "under", "half,"]
    assert "  GRUCell 8 to 16 [" in done.out
    figure = "outputs/rank_memcap_cells_leaky_Leaky/figures/cell_map.png"
    assert done.out.endswith(f"{figure}\n")
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert drawn == {"cell_map.png", "cell_map.pdf", "cell_map.csv"}
    rows = files(folder / "rows")
    assert rows
    again = memcap(place, "rank", GUEST, "--json")
    values = json.loads(again.out)
    rate = values["tasks"][0]["lr"]
    notes = (
        f"Learning rates that won their races: {rate:g} in latch.",
        "Training steps, at most: 2; the other cells 1,500.",
        "Cells are bare, in one layer.",
    )
    assert "\n".join(("", *notes, "")) in done.out
    assert (values["cell"], values["tasks"][0]["best_cells"]) == (GUEST, ["GRUCell"])
    assert files(folder / "rows") == rows


def test_of_a_cell_that_is_published_nothing_is_trained(place, monkeypatch):
    monkeypatch.setattr(api, "train", None)
    ranking = package.rank("gru")
    assert ranking.table.select("cell", "band").rows() == [("GRUCell", "1 of 2")]
    assert ranking.map.data["cell"].to_list() == ["GRUCell", "LRU"]


@pytest.mark.breadth
def test_without_a_cell_the_published_ones_are_compared(tmp_path):
    lines = json.loads(memcap(tmp_path, "rank", "--json").out)["tasks"]
    assert len(lines) == 7
    for line in lines:
        assert 0.5 < line["tau"] <= 1
        assert 0 < len(line["best"]) <= line["train"] < line["cells"] == 15
    text = memcap(tmp_path, "rank").out
    assert all(line["task"] in text for line in lines)

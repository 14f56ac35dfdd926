"""`memcap probe`: a member's weights, probes by name, tables, JSON, and figures with
the numbers drawn."""

import inspect
import json
import sys

import polars as pl
import pytest
from command import memcap

import memcap as face
from memcap import probes

pytestmark = pytest.mark.usefixtures("quick_file")

TINY = {"budget": 4, "batch": 8, "every": 2, "sequences": 16, "stretch": 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder and rows of a study of two members: a latch, and the file that memcap
    makes up."""
    folder = tmp_path_factory.mktemp("study")
    members = face.members(
        task=["latch", "data"], lag=3, units=1, recipe="hold", **TINY
    )
    return folder, face.train(
        members, folder, engine=face.Engine(loop="while", workers=1), progress=False
    )


@pytest.mark.breadth
def test_it_prints_a_table_a_probe_and_draws_beside_the_rows(study):
    folder, rows = study
    key = rows.filter(pl.col("task") == "latch")["key"][0]
    done = memcap(folder, "probe", key[:8], folder, "--what", "decoding", "gates")
    assert done.status == 0, done.err
    assert done.out.startswith("decoding\nstate")
    for name in ("decoding", "gates"):
        drawn = folder / "probes" / key / name
        assert drawn.with_suffix(".png").stat().st_size > 10_000
        assert f"Figure: {drawn.with_suffix('.png')}" in done.out
    numbers = pl.read_csv(folder / "probes" / key / "decoding.csv")
    assert numbers["k"].max() == 4


@pytest.mark.breadth
def test_json_has_the_tables_and_what_was_left_out_and_why(
    study, tmp_path, monkeypatch
):
    folder, rows = study
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "not_mine").mkdir()
    (tmp_path / "not_mine" / "mute.py").write_text(
        "from memcap.probes import NotForThis\n"
        "def probe(net):\n"
        "    raise NotForThis('mute: has nothing to say')\n"
    )
    key = rows.filter(pl.col("task") == "data")["key"][0]
    some = "probe", key, folder, "--what", "not_mine:mute", "gates"
    found = json.loads(memcap(tmp_path, *some, "-o", "here", "--json").out)
    assert found["key"] == key
    assert found["probes"]["gates"]["table"][0]["what"] == "input gate i"
    assert found["left_out"] == {"not_mine:mute": "mute: has nothing to say"}
    drawn = {path.name for path in (tmp_path / "here").iterdir()}
    assert drawn == {"gates.csv", "gates.pdf", "gates.png"}
    assert "mute: has nothing to say" in memcap(tmp_path, *some).out
    assert memcap(tmp_path, *some[:-1]).status == 2  # nothing is left


def test_the_example_of_the_protocol_works(study, tmp_path, monkeypatch):
    folder, rows = study
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert probes.__doc__
    example = probes.__doc__.split("like this:\n")[1].split("\nAll ask on")[0]
    (tmp_path / "my_probes").mkdir()
    (tmp_path / "my_probes" / "sizes.py").write_text(inspect.cleandoc(example))
    words = "probe", rows["key"][0], folder, "--what", "my_probes:sizes", "-o", "out"
    done = memcap(tmp_path, *words)
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "sizes.png").exists()

"""Reading a study runs nothing that its files name: neither a task, nor a cell, of
rows, members or jobs."""

import json
import sys

import polars as pl
import pytest
from breadth import leave
from command import memcap
from study_rows import group, sealed, write

import memcap as face
from memcap import UserError, commands, store
from memcap.store import heartbeat
from memcap.store.heartbeat import JobProgress
from memcap.store.shards import Study

EVIL = "planted.evil"
COMMANDS = (
    "frontier",
    "status",
    "verify",
    "collect",
    "report",
    "figure frontier",
    "mirror --wandb offline",
    "answer --task latch --lag 5",
    "probe KEY",
    "export KEY --layout torch -o x.npz",
    "train task=latch task.lag=5 model.units=1 out=planted --cfg job",
    "figure cell_map",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a study whose rows and members name a module in it, which writes a
    file if it runs."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    study = tmp_path / "planted"
    changes = ({}, {"task": f"{EVIL}:T"}, {"cell": f"{EVIL}:C", "seed": 9})
    rows = [sealed(row | change) for row in group("latch", 5) for change in changes]
    write(study, rows)
    (study / "evil.py").write_text(
        "import pathlib; pathlib.Path('it_ran').touch()\nT = C = object\n"
    )
    columns = ["key", pl.col("task").alias("name"), "metric", "config"]
    job = JobProgress(1, Study(study, "planted"))
    with heartbeat.writing(job, pl.DataFrame(rows).select(columns)):
        pass
    for path in study.glob("jobs/*.json"):
        beat = json.loads(path.read_text()) | {"ended": "interrupted"}
        path.write_text(json.dumps(beat))
    return tmp_path


@pytest.mark.parametrize("words", [*COMMANDS[:3], *leave(COMMANDS[3:])])
def test_no_command_imports_what_rows_name(folder, words):
    rows = store.shards.read(folder / "planted")
    key = rows.filter(cell=f"{EVIL}:C")["key"][0]
    name, *more = words.replace("KEY", key).split()
    place = [] if name == "train" else ["planted"]
    done = memcap(folder, name, *more, *place)
    assert "Traceback" not in done.err
    assert not (folder / "it_ran").exists()
    assert EVIL not in sys.modules
    assert name in commands.FOLDER.names


def test_rows_left_out_say_how_to_name_their_module(folder):
    done = memcap(folder, "frontier", "planted")
    line = f"{EVIL}:T, cell lstm: 12 rows left out: task.name={EVIL}:T: rows import nothing"
    assert line in done.err
    assert f"memcap --module {EVIL} frontier (in Python: import {EVIL})" in done.err
    assert "latch" in done.out
    rows = store.shards.read(folder / "planted")
    with pytest.raises(UserError, match="rows import nothing"):
        face.load(folder / "planted", rows.filter(cell=f"{EVIL}:C")["key"][0])
    assert not (folder / "it_ran").exists()
    # who names it runs it
    assert memcap(folder, "--module", EVIL, "frontier", "planted").status == 0
    assert (folder / "it_ran").exists()
    del sys.modules[EVIL], sys.modules["planted"]


def test_a_module_that_is_not_there_is_a_line(tmp_path):
    for name in ("nowhere.at_all", "a:b", ""):
        done = memcap(tmp_path, "--module", name, "frontier")
        assert (done.status, done.err.count("\n")) == (2, 1), done.err

"""`memcap mirror`: what a finished study holds is in W&B's own offline files, as it would be had it been
tracked."""

import json

import pytest
from command import memcap

from memcap import api
from memcap.config import Engine
from memcap.studies import curves, store


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A working directory with a trained study of four members; W&B's own folders are in it."""
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_MODE", "offline")
    grid = {"units": [1, 2], "seed": 2, "budget": 12, "batch": 16, "every": 10, "sequences": 64, "stretch": 2}
    api.train(
        api.members("latch", lag=3, **grid),
        tmp_path / "outputs" / "small",
        study="small",
        engine=Engine(loop="while", lanes=1, workers=1),
        progress=False,
    )
    return tmp_path


def runs_of(study, monkeypatch):
    monkeypatch.syspath_prepend(str(__file__).replace("commands/test_mirror.py", "tracking"))
    from readback import read_run

    found = [read_run(path) for path in sorted(study.glob("outputs/small/wandb/offline-run-*/*.wandb"))]
    return {run.id: run for run in found}, len(found)


def test_members_have_their_rows_and_curves_and_the_study_its_frontier(study, monkeypatch):
    folder = study / "outputs" / "small"
    done = memcap(study, "mirror", "outputs/small")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"W&B: 5 runs in {folder}/wandb, sent by: wandb sync {folder}/wandb/offline-run-*\n"
    runs, _ = runs_of(study, monkeypatch)
    rows, lines = store.read(folder), curves.read(folder)
    for row in rows.iter_rows(named=True):
        run = runs.pop(row["key"])
        assert (run.name, run.group) == (f"latch-L3-u{row['units']}-s{row['seed']}", "small")
        assert run.config == store.config_of(row)
        assert (run.summary["steps"], run.summary["status"]) == (row["steps"], row["status"])
        curve = curves.points(lines.filter(key=row["key"]), row["metric"])
        assert run.curve("train/loss") == [
            (step, point["train/loss"]) for step, point in curve.items() if "train/loss" in point
        ]
        assert len(curve) == 12
    (frontier,) = runs.values()
    table = json.loads(next(frontier.directory.rglob("*.table.json")).read_text())
    assert [row[table["columns"].index("lag")] for row in table["data"]] == [3]
    memcap(study, "mirror", "outputs/small")
    again, count = runs_of(study, monkeypatch)
    assert (len(again), count) == (5, 10)


def test_cells_may_have_the_runs(study, monkeypatch):
    memcap(study, "mirror", "outputs/small", "--runs", "cell", "--project", "other")
    runs, _ = runs_of(study, monkeypatch)
    cells = {run.name: run for run in runs.values() if run.job_type == "cell"}
    assert cells.keys() == {"latch-L3-u1", "latch-L3-u2"}
    assert {run.project for run in runs.values()} == {"other"}
    rows = store.read(study / "outputs" / "small")
    for units in (1, 2):
        summary, scores = cells[f"latch-L3-u{units}"].summary, sorted(rows.filter(units=units)["final"])
        assert summary["members"] == 2
        assert [summary[f"final/{name}"] for name in ("q25", "q75")] == scores


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    done = memcap(tmp_path, "mirror", "empty")
    assert done.status == 2
    assert done.err.count("\n") == 1

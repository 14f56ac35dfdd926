"""Runs of studies that train, read back: those of the rows and curves on disk, each with
its own id, also where `wandb agent` set one for all in WANDB_RUN_ID."""

import json

import pytest
from command import memcap
from readback import read_runs

from memcap import store
from memcap.store import curves
from memcap.tracking.runs import run_of_study

STUDY = [
    "task=latch",
    "task.lag=3",
    "study=s",
    "engine.workers=1",
    "tracking=wandb",
    "recipe.budget=20",
    "evaluation.every=10",
    "evaluation.sequences=16",
    "evaluation.stretch=1",
]
STUDY_ID = run_of_study("s").id
KNOBS = "axes={task.symbols: [2, 4], model.units: [1, 2], seed: 2}"


def train(home, *words):
    done = memcap(home, "train", *STUDY, *words)
    assert (done.status, "not sent" in done.err) == (0, False), done.err
    return done.out


@pytest.mark.breadth
def test_runs_hold_the_rows_and_curves_on_disk_while_it_trains_and_later(
    home, monkeypatch
):
    monkeypatch.setattr("memcap.tracking.mirror.SECONDS_BETWEEN_POINTS", 1000.0)
    monkeypatch.setenv("WANDB_RUN_ID", "agentrun")
    said = train(home, KNOBS)
    folder = home / "outputs" / "s"
    assert f"W&B: 9 runs in {folder}/wandb, sent by: wandb sync " in said
    runs = read_runs(folder)
    assert all(run.finished for run in runs.values())
    live = {name: run.plain() for name, run in runs.items()}
    rows = {row["key"]: row for row in store.read(folder).iter_rows(named=True)}
    study = runs.pop(STUDY_ID)
    assert study.plain()["head"][:4] == ["s", "memcap", "s", "study"]
    assert study.config["members"] == 8
    assert study.config["command"].startswith("memcap train task=latch")
    assert study.summary["study/done"] == 8
    knobs = ("", "(symbols=4)")
    assert {run.head.display_name for run in runs.values()} == {
        f"latch{symbols}-L3-u{units}{seed}"
        for symbols in knobs
        for units in (1, 2)
        for seed in ("-s0", "-s1")
    }
    assert runs.keys() == rows.keys()
    lines = curves.read(folder)
    for key, run in runs.items():
        assert json.loads(rows[key]["config"]).items() <= run.config.items()
        assert (run.config["study"], run.config["jax"]) == ("s", rows[key]["jax"])
        row = json.loads(json.dumps(rows[key], default=str))
        assert row.items() <= run.summary.items()
        points = curves.points(lines.filter(key=key), "accuracy")
        for metric in ("train/loss", "eval/accuracy"):
            wanted = [
                (k, point[metric]) for k, point in points.items() if metric in point
            ]
            assert run.curve(metric) == wanted
    monkeypatch.setenv("WANDB_DIR", str(home / "later"))
    memcap(home, "mirror", "outputs/s")
    later = read_runs(home / "later")
    assert {name: run.plain() for name, run in later.items()} == live

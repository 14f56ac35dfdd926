"""A study's runs are those that they always were: ids, names, tags, configs, summaries and points.

reference/rows.parquet and curves.parquet hold a study of six members, which was trained by

    memcap train task=latch task.lag=5 'axes={model.units: [1, 2], seed: 3}'
    study=reference recipe.budget=60
        evaluation.every=10 evaluation.sequences=64 evaluation.stretch=2 recipe.batch=16
        tracking=wandb

while training itself held a tracker; reference/runs.json what W&B then had of it, as
runs of members and as runs of seeds, but for the times.
"""

import json
import math
import shutil
from pathlib import Path

import pytest
from command import memcap
from matplotlib.figure import Figure
from readback import plain_runs

REFERENCE = Path(__file__).parent / "reference"
RUNS = json.loads((REFERENCE / "runs.json").read_text())
STUDY = [
    "task=latch",
    "task.lag=5",
    "axes={model.units: [1, 2], seed: 3}",
    "recipe.budget=60",
]
STUDY += [
    "evaluation.every=10",
    "evaluation.sequences=64",
    "evaluation.stretch=2",
    "recipe.batch=16",
]
STUDY += ["study=reference", "engine.workers=1", "engine.loop=while", "engine.lanes=1"]


# columns of rows that came later
SINCE = ("loop", "layers", "lengths", "score_at_lengths", "whole_at_lengths")
SINCE += (
    "up_to",
    "steps_to_up_to",
    "mean_up_to",
    "worst_up_to",
    "worst_lag",
    "share_up_to",
)
SINCE += ("validation_loss", "held_out_loss")
SINCE += (
    "decay",
    "floor",
    "warmup_share",
    "lags",
    "clip_by",
    "lr_width",
    "initial_carry",
    "freeze",
)


def without_later(values):
    """Values without those that came later; of `train/lr` its quantiles over seeds, too."""
    return {
        k: value
        for k, value in values.items()
        if k not in SINCE and not k.startswith("train/lr")
    }


def but_for_its_last_bit(value):
    """A value, or a number that equals those of other processors."""
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


def runs_of(folder):
    """The runs in a folder, without what rows did not say then."""
    runs = plain_runs(folder)
    for run in runs.values():
        if run["job_type"] == "study":
            assert (run["config"]["members"], run["config"]["model.units"]) == (
                6,
                [1, 2],
            )
            run |= {"config": {}, "tags": []}
        run["summary"] = without_later(run["summary"])
        run["points"] = [without_later(point) for point in run["points"]]
        for table in (
            each["frontier"]
            for each in (run["summary"], *run["points"])
            if "frontier" in each
        ):
            kept = [
                k for k, name in enumerate(table["columns"]) if name != "falls_from"
            ]
            table["columns"] = [table["columns"][k] for k in kept]
            table["data"] = [
                [but_for_its_last_bit(line[k]) for k in kept] for line in table["data"]
            ]
    return runs


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder, where W&B's own folders are, too."""
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path


@pytest.mark.parametrize("runs", ["member", "cell"])
def test_rows_and_curves_on_disk_give_the_runs_of_the_reference(
    home, monkeypatch, runs
):
    monkeypatch.setattr(
        "memcap.tracking.mirror.SECONDS_BETWEEN_POINTS", 1000.0
    )  # on a busy machine, too
    folder = shutil.copytree(REFERENCE, home / "study")
    (folder / "figures").mkdir()
    Figure(figsize=(1, 1)).savefig(folder / "figures" / "frontier.png")
    done = memcap(home, "mirror", "study", "--project", "tests", "--runs", runs)
    assert (done.status, done.err) == (0, "")
    assert runs_of(folder) == RUNS[runs]


@pytest.mark.slow
@pytest.mark.parametrize("runs", ["member", "cell"])
def test_a_study_that_trains_gives_the_runs_of_the_reference(home, monkeypatch, runs):
    monkeypatch.setattr("memcap.tracking.process.SECONDS_AT_THE_END", 60.0)
    words = [
        *STUDY,
        "out=study",
        "tracking=wandb",
        "tracking.project=tests",
        f"tracking.runs={runs}",
    ]
    done = memcap(home, "train", *words)
    assert done.status == 0, done.err
    live = runs_of(home / "study")
    assert live.keys() == RUNS[runs].keys()
    for name, run in live.items():
        wanted = RUNS[runs][name]
        for part in (
            "name",
            "project",
            "group",
            "job_type",
            "tags",
            "config",
            "metrics",
            "finished",
        ):
            assert run[part] == wanted[part]
        assert run["summary"].keys() == wanted["summary"].keys()
        if (
            run["job_type"] != "study"
        ):  # numbers of another machine differ in the last digits
            assert [point.keys() for point in run["points"]] == [
                point.keys() for point in wanted["points"]
            ]
            for ours, theirs in zip(run["points"], wanted["points"], strict=True):
                assert all(
                    math.isclose(value, theirs[k], rel_tol=0.02)
                    for k, value in ours.items()
                )
    monkeypatch.setenv("WANDB_DIR", str(home / "later"))
    memcap(home, "mirror", "study", "--project", "tests", "--runs", runs)
    later = runs_of(home / "later")
    for found in (
        live,
        later,
    ):  # on a busy machine the study's run had more points while it trained
        for run in found.values():
            if run["job_type"] == "study":
                run["points"] = run["points"][-2:]
                for counted in (*run["points"], run["summary"]):
                    counted.pop("_step")
    assert live == later

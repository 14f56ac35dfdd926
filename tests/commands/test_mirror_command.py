"""`memcap mirror`: what a finished study holds is in W&B's own offline files, as it would be had it been
tracked."""

import json

import pytest
from command import memcap
from followed_files import put_job, put_rows

from memcap import api, store
from memcap.commands import mirror as command
from memcap.config import Engine
from memcap.store import curves

pytestmark = pytest.mark.usefixtures("quick_file")


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
    monkeypatch.syspath_prepend(str(__file__).replace("commands/test_mirror_command.py", "tracking"))
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


@pytest.mark.parametrize("kind", ["seeds", "cell"])  # its name now, and before memcap 0.2
def test_groups_of_seeds_may_have_the_runs(study, monkeypatch, kind):
    memcap(study, "mirror", "outputs/small", "--runs", kind, "--project", "other")
    runs, _ = runs_of(study, monkeypatch)
    cells = {run.name: run for run in runs.values() if run.job_type == "cell"}
    assert cells.keys() == {"latch-L3-u1", "latch-L3-u2"}
    assert {run.project for run in runs.values()} == {"other"}
    rows = store.read(study / "outputs" / "small")
    for units in (1, 2):
        summary, scores = cells[f"latch-L3-u{units}"].summary, sorted(rows.filter(units=units)["final"])
        assert summary["members"] == 2
        assert [summary[f"final/{name}"] for name in ("q25", "q75")] == scores


SERVICE = """
class Service:
    def __init__(self, target):
        self.target, self.runs = target, []

    def run(self, run, points, row):
        self.runs.append(run.name)

    def progress(self, values): ...
    def result(self, table, image): self.table = table
    def close(self): return f"{self.target.study.name}: {sorted(self.runs)}, {len(self.table)} line"
"""


def test_a_study_that_trains_is_followed_to_its_end_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "SECONDS_BETWEEN_POLLS", 0.05)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "their_module.py").write_text(SERVICE)
    folder, token = tmp_path / "outputs", "aaaaaaaa00000000"
    put_job(folder, token, range(3))
    put_rows(folder, token, [0])
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        put_rows(folder, token, range(len(sleeps) + 1))
        if len(sleeps) == 2:
            put_job(folder, token, range(3), ended="done")

    monkeypatch.setattr(command.time, "sleep", sleep)
    monkeypatch.setattr(command, "_result", lambda folder, study: ([{}], None))
    done = memcap(tmp_path, "mirror", "outputs", "--follow", "--to", "their_module:Service")
    names = [f"latch-L5-u1-s{seed}" for seed in range(3)]
    assert (done.status, done.out, done.err) == (0, f"study: {names}, 1 line\n", "")
    assert len(sleeps) == 2


def test_a_bad_file_is_named_or_refused(study, monkeypatch):
    path = next((study / "outputs" / "small" / "rows").iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    done = memcap(study, "mirror", "outputs/small", "--strict")
    assert (done.status, done.err.count("\n")) == (2, 1)
    done = memcap(study, "mirror", "outputs/small")
    assert done.status == 0
    assert done.err.startswith(f"memcap: outputs/small/rows/{path.name}: ")

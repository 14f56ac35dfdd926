"""Runs of studies that train, read back: those of the rows and curves on disk, also
under `wandb agent`.

The agent sets WANDB_SWEEP_ID and WANDB_RUN_ID; W&B itself then gives every run of the
process this one id.
"""

import json
from pathlib import Path

import pytest
import yaml
from command import memcap
from readback import read_runs

from memcap import store
from memcap.launch import app
from memcap.store import curves
from memcap.tracking import MODES
from memcap.tracking.runs import Agent, run_of_study, summary_of
from memcap.tracking.services import wandb_agent

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
SWEEP = Path(__file__).parents[2] / "examples" / "wandb_sweep.yaml"


def train(home, *words):
    done = memcap(home, "train", *STUDY, *words)
    assert (done.status, "not sent" in done.err) == (0, False), done.err
    return done.out


@pytest.mark.breadth
@pytest.mark.parametrize("kind", ["member", "seeds"])
def test_runs_hold_the_rows_and_curves_on_disk_while_it_trains_and_later(
    home, monkeypatch, kind
):
    monkeypatch.setattr("memcap.tracking.mirror.SECONDS_BETWEEN_POINTS", 1000.0)
    count = {"member": 8, "seeds": 4}[kind] + 1
    said = train(home, KNOBS, f"tracking.runs={kind}")
    folder = home / "outputs" / "s"
    assert f"W&B: {count} runs in {folder}/wandb, sent by: wandb sync " in said
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
    seeds = ("",) if kind == "seeds" else ("-s0", "-s1")
    assert {run.head.display_name for run in runs.values()} == {
        f"latch{symbols}-L3-u{units}{seed}"
        for symbols in knobs
        for units in (1, 2)
        for seed in seeds
    }
    if kind == "seeds":
        assert all(run.summary["members"] == 2 for run in runs.values())
    else:
        assert runs.keys() == rows.keys()
    lines = curves.read(folder)
    for key, run in runs.items() if kind == "member" else ():
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
    memcap(home, "mirror", "outputs/s", "--runs", kind)
    later = read_runs(home / "later")
    assert {name: run.plain() for name, run in later.items()} == live


@pytest.fixture
def agent(home, monkeypatch):
    """The environment that an agent sets."""
    chosen = home / "config.yaml"
    chosen.write_text("wandb_version: 1\nmodel.units:\n  value: 2\n")
    names = {"SWEEP_ID": "sweep123", "RUN_ID": "agentrun"}
    names |= {"PROJECT": "theirs", "SWEEP_PARAM_PATH": str(chosen)}
    for name, value in names.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    return home


@pytest.mark.breadth
def test_of_several_members_each_has_its_own_run_and_the_agents_gets_the_summary(agent):
    train(agent, "tracking.project=ours", "axes={model.units: [1, 2], seed: 2}")
    folder = agent / "outputs" / "s"
    rows = store.read(folder)
    runs = read_runs(folder)
    theirs = runs.pop("agentrun")
    assert set(runs) == {*rows["key"], STUDY_ID}
    heads = [run.head for run in runs.values()]
    assert {(head.project, head.sweep_id) for head in heads} == {("ours", "")}
    assert theirs.head.sweep_id == "sweep123"
    said = theirs.plain()["head"]
    assert said[:5] == ["model.units=2", "theirs", "s", "agent", "latch"]
    assert theirs.config == {"model.units": 2}
    assert theirs.summary["members"] == 4
    assert theirs.summary["share_solved"] == rows["solved"].mean()


def test_an_agent_has_both_ids_and_what_the_sweep_chose_where_that_is_readable(
    agent, monkeypatch
):
    read = wandb_agent.__wrapped__
    config = {"model.units": 2}
    assert read() == Agent("agentrun", "sweep123", "theirs", None, config)
    for content in (b"\xff: [", b"", b"text", b"lr: {}"):
        (agent / "config.yaml").write_bytes(content)
        assert read() == Agent("agentrun", "sweep123", "theirs")
    monkeypatch.delenv("WANDB_RUN_ID")
    assert read() is None


def test_the_sweep_of_the_examples_starts_what_memcap_takes():
    sweep = yaml.safe_load(SWEEP.read_text())
    env, program, train, *overrides, chosen = sweep["command"]
    assert [env, program, train, chosen] == [
        "${env}",
        "memcap",
        "train",
        "${args_no_hyphens}",
    ]
    for name, knob in sweep["parameters"].items():
        overrides.append(f"{name}={knob.get('min') or knob['values'][0]}")
    ((job,),) = app.compose_jobs(overrides)
    assert len(job.members) > 1
    assert job.settings.tracking.mode in MODES
    row = {
        "status": "solved",
        "solved": True,
        "steady": True,
        "up_to": False,
        "anywhere": False,
    }
    assert sweep["metric"]["name"] in summary_of([row])

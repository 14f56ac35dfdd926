"""What `wandb agent` starts: the runs that lie on disk afterwards, read back.

The agent sets WANDB_SWEEP_ID and WANDB_RUN_ID; W&B itself then gives every run of the
process this one id.
"""

import re
from pathlib import Path

import pytest
import yaml
from command import memcap
from readback import read_run
from test_mirror import ListService, make_study, news, sender  # noqa: F401 (a fixture)
from test_runs import member

from memcap import store
from memcap.launch import app
from memcap.runtime.project import root
from memcap.tracking import MODES, Tracking
from memcap.tracking.runs import (
    Agent,
    run_of_agent,
    run_of_member,
    run_of_study,
    summary_of,
)

TINY = [
    "recipe.budget=20",
    "evaluation.every=10",
    "evaluation.sequences=16",
    "evaluation.stretch=1",
]
STUDY = [
    "task=latch",
    "task.lag=3",
    "study=s",
    "engine.workers=1",
    "tracking=wandb",
    *TINY,
]
AGENT = {"WANDB_SWEEP_ID": "sweep123", "WANDB_RUN_ID": "agentrun", "WANDB_NAME": "mine"}
AGENT |= {"WANDB_PROJECT": "theirs", "WANDB_MODE": "offline"}
SWEEP = Path(__file__).parents[2] / "examples" / "wandb_sweep.yaml"


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """The environment that an agent sets, and W&B's own folders."""
    monkeypatch.setattr("memcap.tracking.process.SECONDS_AT_THE_END", 100.0)
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    chosen = tmp_path / "config.yaml"
    chosen.write_text("wandb_version: 1\nmodel.units:\n  value: 2\n")
    for name, value in AGENT.items() | {("WANDB_SWEEP_PARAM_PATH", str(chosen))}:
        monkeypatch.setenv(name, value)
    return tmp_path


def runs_by_id(folder):
    """The runs on disk; two of one id are an error."""
    runs = [read_run(path) for path in folder.glob("wandb/offline-run-*/*.wandb")]
    assert len({run.id for run in runs}) == len(runs)
    assert all(run.finished for run in runs)
    return {run.id: run for run in runs}


@pytest.mark.breadth
def test_of_several_members_each_has_its_own_run_and_the_agents_gets_the_summary(agent):
    done = memcap(
        agent,
        "train",
        *STUDY,
        "tracking.project=ours",
        "axes={model.units: [1, 2], seed: 2}",
    )
    assert done.status == 0, done.err
    assert "W&B: 6 runs in " in done.out
    assert "not mirrored" not in done.err
    folder = agent / "outputs" / "s"
    runs = runs_by_id(folder)
    rows = store.read(folder)
    study = run_of_study("s").id
    assert set(runs) == {*rows["key"], study, "agentrun"}
    assert {name: run.sweep for name, run in runs.items() if run.sweep} == {
        "agentrun": "sweep123"
    }
    assert {run.project for name, run in runs.items() if name != "agentrun"} == {"ours"}
    theirs = runs["agentrun"]
    assert (theirs.project, theirs.job_type, theirs.group) == ("theirs", "agent", "s")
    assert theirs.config == {"model.units": 2}
    assert theirs.summary["members"] == 4
    assert theirs.summary["share_solved"] == rows["solved"].mean()
    assert theirs.summary["steps/q50"] == 20
    assert runs[study].name == "mine"
    assert {run.name for run in runs.values() if run.job_type == "member"} == {
        f"latch-L3-u{units}-s{seed}" for units in (1, 2) for seed in (0, 1)
    }


@pytest.mark.breadth
def test_a_single_member_is_the_agents_run_also_where_its_row_was_there(agent):
    for sent in ("first", "again"):
        done = memcap(
            agent, "train", *STUDY, "model.units=2", f"tracking.project={sent}"
        )
        assert done.status == 0, done.err
        folder = agent / "outputs" / "s"
        runs, (row,) = runs_by_id(folder), store.read(folder).to_dicts()
        assert runs.keys() - {run_of_study("s").id} == {
            "agentrun"
        }  # the study's has points after 10 s
        theirs = runs["agentrun"]
        assert (theirs.sweep, theirs.job_type, theirs.name) == (
            "sweep123",
            "member",
            "model.units=2",
        )
        assert theirs.config["model"]["units"] == theirs.config["model.units"] == 2
        assert theirs.summary["final"] == row["final"]
        assert bool(theirs.history) == (sent == "first")  # its curve
        (folder / "wandb").rename(agent / sent)


def agents(make, service):
    """A sender as under an agent."""
    made = make(lambda: service)
    made.agent = Agent("agentrun", "sweep123")
    return made


def test_in_a_large_folder_the_single_member_is_sent_nonetheless(sender):  # noqa: F811
    service = ListService()
    ours = member(seed=1)
    study = make_study(agents(sender, service), "seeds")
    study.update(news(members=[ours], earlier=[member(seed=2), member(seed=3)]))
    study.update(news(ended=[ours]))
    study.finish()
    ((run, points, _),) = service.calls
    assert run == run_of_agent(study.sender.agent, ours)
    assert run.id == "agentrun"
    assert len(points) == 2
    assert study.left == 0


def test_the_summary_has_what_ended_before(sender):  # noqa: F811
    service, (first, second, other) = ListService(), [member(seed=k) for k in range(3)]
    study = make_study(agents(sender, service), "member")
    study.update(news(members=[first, second], earlier=[first, other]))
    study.update(news(ended=[second]))
    study.finish()
    (run, _, _), (last, points, summary) = service.calls
    assert run == run_of_member(second)
    assert (last.id, points, summary["members"], summary["share_solved"]) == (
        "agentrun",
        {},
        2,
        1.0,
    )
    assert summary[f"frontier/{first.task_at_lag}"] == first.config["model"]["units"]
    assert (study.sender.report.sent, study.left) == (2, 0)


def test_the_line_says_whose_run_waits(agent):
    line = Tracking("wandb").not_sent(3, Path("outputs/s"))
    assert line.endswith(
        "this sends them: WANDB_SWEEP_ID=sweep123 WANDB_RUN_ID=agentrun memcap mirror outputs/s"
    )
    assert (
        Tracking("trackio")
        .not_sent(3, Path("x"))
        .endswith("sends them: memcap mirror x --to trackio")
    )


@pytest.mark.parametrize("missing", ["WANDB_SWEEP_ID", "WANDB_RUN_ID"])
def test_an_id_alone_makes_no_agent(agent, monkeypatch, missing):
    monkeypatch.delenv(missing)
    assert Tracking("wandb").agent is None


def test_what_the_sweep_chose_may_be_unreadable(agent, monkeypatch):
    assert Tracking("wandb").agent == Agent(
        "agentrun", "sweep123", "theirs", None, {"model.units": 2}
    )
    (agent / "config.yaml").write_bytes(b"\xff: [")
    assert Tracking("wandb").agent == Agent("agentrun", "sweep123", "theirs")
    monkeypatch.delenv("WANDB_SWEEP_PARAM_PATH")
    assert Tracking("wandb").agent == Agent("agentrun", "sweep123", "theirs")


def test_the_sweep_of_the_examples_starts_what_memcap_takes(agent):
    sweep = yaml.safe_load(SWEEP.read_text())
    env, *command = sweep["command"]
    assert (env, command[:2], command[-1]) == (
        "${env}",
        ["memcap", "train"],
        "${args_no_hyphens}",
    )
    parameters = sweep["parameters"].items()
    chosen = {
        name: each["values"][0] if "values" in each else each["min"]
        for name, each in parameters
    }
    words = [*command[2:-1], *(f"{name}={value}" for name, value in chosen.items())]
    ((job,),) = app.compose_jobs(words)
    assert len(job.members) > 1
    assert job.settings.tracking.mode in MODES
    assert sweep["metric"]["name"] in summary_of(
        [{"status": "solved", "solved": True, "steady": True, "up_to": False}]
    )
    page = (root() / "docs" / "tracking.md").read_text()
    assert re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1] == SWEEP.read_text()

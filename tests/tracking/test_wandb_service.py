"""Each test drives W&B in a process of its own, with a home of its own, and reads what lies on disk
afterwards."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from breadth import leave
from followed_files import OURS, members_of, put_figure, put_rows
from matplotlib.figure import Figure
from readback import read_runs

from memcap.store.study import Study
from memcap.tracking import MirrorProcess, Tracking
from memcap.tracking.report import read_report

ROOT = Path(__file__).parents[2]
KEY = "a" * 40
PRELUDE = """
import math, os, sys, time
from pathlib import Path
from memcap.tracking import Tracking
from memcap.tracking.mirror import Sender
from memcap.tracking.runs import Entry, Run, run_of_member

def sender(mode="wandb", project="memcap-test", **more):
    return Sender(Tracking(mode, project, **more).target("delay", Path("job")))

def member(name, points, row, config=None):
    return lambda service: service.run(Run(name, name, "member", config=config or {}), points, row)
"""
ONE_MEMBER = """
t = sender()
t.send(member("m", {1: {"train/loss": 0.5}}, {"solved": True}, {"lag": 3}))
t.close(0)
"""


def environment(home, **more):
    folders = {
        f"WANDB_{name}_DIR": str(home / name.lower())
        for name in ("CONFIG", "CACHE", "DATA")
    }
    ours = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": str(ROOT),
    }
    ours |= {"WANDB_TAGS": "ci, small"}
    return (
        ours
        | folders
        | {"WANDB_BASE_URL": "http://127.0.0.1:9", "NETRC": str(home / "netrc")}
        | more
    )


def python(script, home, **more):
    """Run `script` after the prelude in `home`, as a user's process would run; return
    what it printed."""
    # W&B leaves a temporary folder for the interpreter's end to remove; every other
    # warning is an error.
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore::ResourceWarning",
        "-c",
        PRELUDE + script,
    ]
    done = subprocess.run(
        command,
        cwd=home,
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.breadth
def test_numbers_that_are_none_a_table_and_a_picture_come_through_without_a_word(
    tmp_path,
):
    """All else that runs hold: test_reference_runs.py. What a mirror left that was
    killed is gone."""
    for name, size in (("diverged", 7), ("another", 7), ("whole", 8)):
        left = tmp_path / "job" / "wandb" / f"offline-run-20260101_000000-{name}"
        left.mkdir(parents=True)
        (left / f"run-{name}.wandb").write_bytes(b"w" * size)
    Figure(figsize=(1, 1)).savefig(tmp_path / "frontier.png")
    script = """
t = sender()
points = {0: {"train/loss": math.inf}, 1: {"train/loss": math.nan, "eval/accuracy": -math.inf}}
row = {"solved": False, "train/loss": 0.0625, "loss": math.nan, "norm": math.inf}
t.send(member("diverged", points, row, {"lr": math.inf, "seed": 2**32 - 1, "clip": None}))
table = [{"lag": 1, "u50": 1.5}, {"lag": 2, "u50": math.nan, "censored": "above"}]
t.send(lambda service: service.result(table, Path("frontier.png")))
t.close(0)
"""
    assert python(script, tmp_path) == ("", "")
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["wandb"]
    there = list((tmp_path / "job" / "wandb").glob("offline-run-20260101*"))
    assert {path.name.rpartition("-")[2] for path in there} == {"another", "whole"}
    for path in there:
        shutil.rmtree(path)
    runs = read_runs(tmp_path / "job")
    assert {name: run.finished for name, run in runs.items()} == {
        "diverged": True,
        "delay": True,
    }
    run = runs["diverged"]
    study = runs["delay"]
    (_, first), (_, last) = run.curve("train/loss")
    assert (first, math.isnan(last), run.curve("eval/accuracy")) == (
        math.inf,
        True,
        [(1, -math.inf)],
    )
    assert (run.config["seed"], run.config["clip"]) == (2**32 - 1, None)
    assert (run.summary["solved"], run.summary["train/loss"]) == (
        False,
        0.0625,
    )  # not that of the last point
    assert {"loss", "norm"} <= set(run.summary)
    table, figure = (
        study.directory / "files" / study.history[0][key]["path"]
        for key in ("frontier", "figure")
    )
    assert figure.read_bytes() == (tmp_path / "frontier.png").read_bytes()
    shown = json.loads(table.read_text())
    assert shown["columns"] == ["lag", "u50", "censored"]
    assert shown["data"] == [[1, 1.5, None], [2, None, "above"]]


def test_the_process_that_trains_imports_no_service(tmp_path):
    script = """
import polars
from memcap.store.heartbeat import MEMBERS
from memcap.store.study import Study
from memcap.tracking import MirrorProcess
with MirrorProcess(Tracking("wandb"), Study(Path("study"), "study"), polars.DataFrame(schema=MEMBERS)):
    print({"wandb", "trackio"} & set(sys.modules))
"""  # noqa: E501
    assert python(script, tmp_path) == ("set()\n", "")


@pytest.mark.parametrize(
    ("options", "netrc", "why", "environment"),
    [
        *leave(
            [
                pytest.param("", "", "", {"WANDB_API_KEY": KEY}, id="dead server"),
                pytest.param(
                    "",
                    "machine 127.0.0.1:9 login user password short\n",
                    "",
                    {},
                    id="malformed key",
                ),
            ]
        ),
        pytest.param(
            'wandb="online"',
            "",
            "no API key is configured; `wandb login` stores one",
            {},
            id="no key",
        ),
    ],
)
def test_what_keeps_wandb_offline_costs_one_warning(
    tmp_path, options, netrc, why, environment
):
    """Nobody is asked for a key, and the runs lie on disk."""
    if netrc:
        (tmp_path / "netrc").write_text(netrc)
    start = time.monotonic()
    out, err = python(
        ONE_MEMBER.replace("sender()", f"sender({options})"), tmp_path, **environment
    )
    assert time.monotonic() - start < 60
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"W&B online does not work and is left: {why}")
    assert read_runs(tmp_path / "job")["m"].curve("train/loss") == [(1, 0.5)]


@pytest.mark.slow
def test_a_key_in_netrc_means_online_and_offline_in_the_environment_forbids_it(
    tmp_path,
):
    script = """
from memcap.tracking.wandb_service import chosen_mode, resolve_mode
print(chosen_mode(resolve_mode("auto")))
"""
    assert python(script, tmp_path)[0] == "offline\n"
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:9 login user password {KEY}\n")
    assert python(script, tmp_path)[0] == "online\n"
    assert python(script, tmp_path, WANDB_MODE="offline")[0] == "offline\n"


def test_offline_touches_no_network_and_a_silent_server_cannot_hold_up_the_exit(
    tmp_path,
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        python(
            ONE_MEMBER,
            tmp_path,
            WANDB_BASE_URL=f"http://127.0.0.1:{server.getsockname()[1]}",
        )
        with pytest.raises(BlockingIOError):
            server.accept()
    assert list(read_runs(tmp_path / "job")) == ["m"]


LATCH = """
config = {"task": {"name": "latch", "lag": 5}, "model": {"units": 2, "cell": "lstm"}}
config |= {"recipe": {"name": "hold"}, "seed": 3}
latch = run_of_member(Entry("0123456789abcdef", "latch-L5-u2-s3", config, "accuracy"))
row = {"solved": True, "steady": False, "up_to": False, "evaluation_until": "solved", "status": "solved"}
"""  # noqa: E501


@pytest.mark.breadth
def test_a_killed_process_leaves_whole_members_and_the_live_one_as_far_as_it_was(
    tmp_path,
):
    script = """
t = sender()
points = {step: {"train/loss": float(step)} for step in range(50)}
t.send(member("ended", points, {"solved": True}, {"lag": 3}))
for step in range(30):
    t.send(lambda service: service.run(latch, {step: {"train/loss": float(step)}}, None))
time.sleep(6)  # W&B writes what it has every 5 s
print("ready", flush=True)
time.sleep(100)
"""
    command = [sys.executable, "-c", PRELUDE + LATCH + script]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    runs = read_runs(tmp_path / "job")
    assert runs.keys() == {"ended", "latch-L5-u2-s3"}
    assert [run.finished for run in runs.values()] == [name == "ended" for name in runs]
    for name, steps in (("ended", 50), ("latch-L5-u2-s3", 30)):
        assert runs[name].curve("train/loss") == [
            (step, float(step)) for step in range(steps)
        ]
    assert runs["ended"].summary["solved"] is True


@pytest.mark.slow
def test_what_the_environment_says_of_wandb_is_heeded_and_a_rerun_has_the_same_ids(
    tmp_path,
):
    script = """
t = sender(project=None)
t.send(lambda service: service.run(latch, {1: {"train/loss": 0.5, "eval/accuracy": 0.9}}, row))
t.send(lambda service: service.result([{"lag": 5}], None))
print(t.close(0).where)
"""
    theirs = {
        "WANDB_PROJECT": "theirs",
        "WANDB_DIR": str(tmp_path / "elsewhere"),
        "WANDB_RUN_GROUP": "grouped",
    }
    theirs |= {
        "WANDB_TAGS": "one, two",
        "WANDB_NAME": "mine",
        "WANDB_RUN_ID": "no",
        "WANDB_RESUME": "must",
        "WANDB_JOB_TYPE": "no",
    }
    where, _ = python(LATCH + script, tmp_path, **theirs)
    folder = tmp_path / "elsewhere" / "wandb"
    assert (
        where
        == f"W&B: 2 runs in {folder}, sent by: wandb sync {folder}/offline-run-*\n"
    )
    runs = read_runs(tmp_path / "elsewhere")
    assert {(run.name, run.job_type) for run in runs.values()} == {
        ("latch-L5-u2-s3", "member"),
        ("mine", "study"),
    }
    for run in runs.values():
        assert (run.project, run.group) == ("theirs", "grouped")
        assert {"one", "two"} <= set(run.tags)
    assert runs["latch-L5-u2-s3"].tags[:2] == ("latch", "lag 5")
    kinds = {metric.name: metric for metric in runs["latch-L5-u2-s3"].metrics}
    assert kinds["eval/accuracy"].summary.max
    assert kinds["train/loss"].summary.min
    steps = {metric.glob_name: metric.step_metric for metric in runs["mine"].metrics}
    assert steps["frontier/*"] == steps["study/*"] == "study/seconds"
    python(LATCH + script, tmp_path, **theirs | {"WANDB_DIR": str(tmp_path / "again")})
    assert {run.id for run in read_runs(tmp_path / "again").values()} == {
        run.id for run in runs.values()
    }


WANDB = """
import time
from types import SimpleNamespace

class Settings:
    model_fields = {}
    base_url = ""

    def __init__(self, **options):
        pass

def Table(**options):
    pass

def Image(path):
    pass

def setup(settings):
    return SimpleNamespace(settings=settings)

def init(mode, **options):
    if mode == "online":
        time.sleep(1000)
    with open("runs", "a") as file:
        print(options["id"], file=file)
    nothing = lambda *arguments, **more: None
    return SimpleNamespace(
        step=0, log=nothing, summary={}, finish=nothing, project_url="", define_metric=nothing
    )

def teardown():
    pass
"""


@pytest.mark.breadth
def test_a_server_that_never_answers_is_left_for_runs_on_disk(
    tmp_path, monkeypatch, caplog
):
    (tmp_path / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    mirror = MirrorProcess(
        Tracking("wandb"),
        Study(Path("study"), "study", session=OURS),
        members_of(range(3)),
    )
    put_rows(tmp_path / "study", f"{OURS}00000000", range(3))
    end = time.monotonic() + 60
    while read_report(tmp_path / "study", mirror._token).service != "W&B online":
        assert time.monotonic() < end
        time.sleep(0.05)
    with mirror:
        put_figure(tmp_path / "study")
    assert len((tmp_path / "runs").read_text().split()) == 4
    assert mirror.where.startswith("W&B: 4 runs in ")
    assert [record.getMessage() for record in caplog.records] == [
        "W&B online does not work and is left: did not answer in time"
    ]

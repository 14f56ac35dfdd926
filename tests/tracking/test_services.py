"""W&B in a process of its own; what lies there afterwards is read back."""

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
from matplotlib.figure import Figure
from readback import read_runs

ROOT = Path(__file__).parents[2]
KEY = "a" * 40
PRELUDE = """
import math, sys, time
from pathlib import Path
from memcap.tracking import Tracking
from memcap.tracking.runs import Run, run_of_study
from memcap.tracking.services import Sender, Wandb

def sender(project="p", **more):
    return Sender(Tracking("wandb", project, **more), "delay", Path("job").absolute())

def member(name, points, row=None, config=None):
    ours.call("send", Run(name, name, "member", ("latch",), config or {}), points, row)

study = Run("study-1", "delay", "study")
points = {step: {"train/loss": 1 / step, "eval/accuracy": step / 10} for step in range(1, 11)}
ours = sender()
"""
MEMBER = """
points = {
    1: {"train/loss": 0.5, "eval/accuracy": 0.9},
    2: {"train/loss": 0.75, "eval/accuracy": 0.7},
}
member("m", points, {"solved": True}, {"lag": 3})
ours.close()
"""


def environment(home, **more):
    folders = ("CONFIG", "CACHE", "DATA")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": str(ROOT),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "NETRC": str(home / "netrc"),
        **{f"WANDB_{name}_DIR": str(home / name.lower()) for name in folders},
        **more,
    }


def python(script, home, **more):
    """Run `script` after the prelude as a user's process would run; return what it printed."""
    # W&B leaves a temporary folder for the interpreter's end to remove; every other
    # warning is an error.
    warnings = ["-W", "error", "-W", "ignore::ResourceWarning"]
    done = subprocess.run(
        [sys.executable, *warnings, "-c", PRELUDE + script],
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
    """What a process left that was killed at once is gone."""
    for name, size in (("diverged", 7), ("another", 7), ("whole", 8)):
        left = tmp_path / "job" / "wandb" / f"offline-run-20260101_000000-{name}"
        left.mkdir(parents=True)
        (left / f"run-{name}.wandb").write_bytes(b"w" * size)
    Figure(figsize=(1, 1)).savefig(tmp_path / "frontier.png")
    script = """
points = {0: {"train/loss": math.inf}, 1: {"train/loss": math.nan, "eval/accuracy": -math.inf}}
row = {"solved": False, "train/loss": 0.0625, "loss": math.nan, "norm": math.inf}
member("diverged", points, row, {"lr": math.inf, "seed": 2**32 - 1, "clip": None})
table = [{"lag": 1, "u50": 1.5}, {"lag": 2, "u50": math.nan, "censored": "above"}]
ours.call("show_results", study, table, Path("frontier.png"))
ours.close()
"""
    assert python(script, tmp_path) == ("", "")
    old = list((tmp_path / "job" / "wandb").glob("offline-run-20260101*"))
    assert {path.name.rpartition("-")[2] for path in old} == {"another", "whole"}
    for path in old:
        shutil.rmtree(path)
    runs = read_runs(tmp_path / "job")
    assert all(run.finished for run in runs.values())
    run = runs["diverged"]
    (_, first), (_, last) = run.curve("train/loss")
    assert (first, math.isnan(last)) == (math.inf, True)
    assert run.curve("eval/accuracy") == [(1, -math.inf)]
    assert (run.config["seed"], run.config["clip"]) == (2**32 - 1, None)
    assert run.summary["train/loss"] == 0.0625  # not that of the last point
    study = runs["study-1"]
    shown = study.history[0]
    files = study.directory / "files"
    picture = (tmp_path / "frontier.png").read_bytes()
    assert (files / shown["figure"]["path"]).read_bytes() == picture
    table = json.loads((files / shown["frontier"]["path"]).read_text())
    assert table["columns"] == ["lag", "u50", "censored"]
    assert table["data"] == [[1, 1.5, None], [2, None, "above"]]


def test_a_curve_s_best_and_last_values_stand_in_the_summary(tmp_path):
    assert python(MEMBER, tmp_path) == ("", "")
    run = read_runs(tmp_path / "job")["m"]
    assert run.curve("train/loss") == [(1, 0.5), (2, 0.75)]
    assert run.summary["train/loss"] == {"min": 0.5, "last": 0.75}
    assert run.summary["eval/accuracy"] == {"max": 0.9, "last": 0.7}
    assert run.summary["solved"] is True


@pytest.mark.parametrize(
    ("options", "netrc", "why", "more"),
    [
        *leave(
            [
                pytest.param("", "", "", {"WANDB_API_KEY": KEY}, id="dead server"),
                pytest.param("", "login u password short", "", {}, id="malformed key"),
            ]
        ),
        pytest.param('wandb="online"', "", "no API key is configured", {}, id="no key"),
    ],
)
def test_what_keeps_wandb_offline_costs_one_warning(
    tmp_path, options, netrc, why, more
):
    """Nobody is asked for a key."""
    if netrc:
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1:9 {netrc}\n")
    start = time.monotonic()
    out, err = python(f"ours = sender({options})\n{MEMBER}", tmp_path, **more)
    assert time.monotonic() - start < 60
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"memcap: W&B does not work and is left: {why}")


@pytest.mark.slow
def test_a_key_in_netrc_means_online_and_offline_in_the_environment_forbids_it(
    tmp_path,
):
    script = "print(Wandb(*ours.about).mode)"
    assert python(script, tmp_path)[0] == "offline\n"
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:9 login user password {KEY}\n")
    assert python(script, tmp_path)[0] == "online\n"
    assert python(script, tmp_path, WANDB_MODE="offline")[0] == "offline\n"


@pytest.mark.parametrize("more", leave([{}, {"WANDB_API_KEY": KEY}]))
def test_a_silent_server_holds_up_no_exit_and_is_not_called_offline(tmp_path, more):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        start = time.monotonic()
        python(MEMBER, tmp_path, WANDB_BASE_URL=url, **more)
        assert time.monotonic() - start < 60
        if not more:
            with pytest.raises(BlockingIOError):
                server.accept()
            assert list(read_runs(tmp_path / "job")) == ["m"]


@pytest.mark.breadth
def test_a_killed_process_leaves_whole_members_and_the_live_one_as_far_as_it_was(
    tmp_path,
):
    script = """
member("ended", points, {"solved": True})
member("live", points)
time.sleep(6)  # W&B writes what it has every 5 s
print("ready", flush=True)
time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    runs = read_runs(tmp_path / "job")
    ends = {name: run.finished for name, run in runs.items()}
    assert ends == {"ended": True, "live": False}
    for run in runs.values():
        assert [step for step, _ in run.curve("train/loss")] == list(range(1, 11))
    assert runs["ended"].summary["solved"] is True


@pytest.mark.slow
def test_what_the_environment_says_of_wandb_is_heeded(tmp_path):
    script = """
ours = sender(project=None)
member("m", points)
member("m", {}, {"solved": True}, {"study": "s"})
ours.call("show", study, {"study/done": 1})
print(ours.close())
"""
    elsewhere = tmp_path / "elsewhere"
    names = {"PROJECT": "theirs", "DIR": str(elsewhere)}
    names |= {"RUN_ID": "no", "RESUME": "must", "JOB_TYPE": "no"}
    more = {f"WANDB_{name}": value for name, value in names.items()}
    where, _ = python(script, tmp_path, **more)
    folder = elsewhere / "wandb"
    sync = f"wandb sync {folder}/offline-run-*"
    assert where == f"W&B: 2 runs in {folder}, sent by: {sync}\n"
    runs = read_runs(elsewhere)
    kinds = {name: run.head.job_type for name, run in runs.items()}
    assert kinds == {"m": "member", "study-1": "study"}
    for run in runs.values():
        assert (run.head.project, run.head.run_group) == ("theirs", "delay")
    assert runs["m"].config == {"study": "s"}
    steps = {metric.glob_name: metric.step_metric for metric in runs["study-1"].metrics}
    assert steps["frontier/*"] == steps["study/*"] == "study/seconds"

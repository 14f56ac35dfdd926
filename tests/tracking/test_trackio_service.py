"""trackio in a process and a folder of its own, read back by trackio's own API."""

import json

import pytest
from breadth import leave
from test_wandb_service import LATCH, ROOT, python

pytest.importorskip("trackio", reason="needs memcap[trackio]")

STUDY = (
    LATCH
    + """
from matplotlib.figure import Figure
Figure(figsize=(1, 1)).savefig("frontier.png")
live = False
t = sender("trackio", "p")
points = {step: {"train/loss": 1 / step, "eval/accuracy": step / 10} for step in range(1, 11)}
if live:
    t.send(lambda service: service.run(latch, {step: points.pop(step) for step in range(1, 6)}, None))
t.send(lambda service: service.run(latch, points, row))
t.send(lambda service: service.progress({"study/done": 1}))
t.send(lambda service: service.result([{"lag": 5, "u50": math.nan}], Path("frontier.png")))
print(t.close(0).where)
"""  # noqa: E501
)
READ = """
import json, trackio
from trackio.sqlite_storage import SQLiteStorage
runs = [(r.name, r.config, SQLiteStorage.get_logs("p", r.name, run_id=r.id)) for r in trackio.Api().runs("p")]
print(json.dumps(runs, default=str))
"""  # noqa: E501


@pytest.mark.parametrize("live", leave([False, True]))
def test_a_study_is_in_trackio_and_a_rerun_adds_no_run_and_no_point(tmp_path, live):
    where = {"TRACKIO_DIR": str(tmp_path / "trackio")}
    script = STUDY.replace("live = False", f"live = {live}")
    assert python(script, tmp_path, **where) == (
        "trackio: 2 runs in project p, shown by: trackio show --project p\n",
        "",
    )
    python(script, tmp_path, **where)
    found = {
        name.rpartition(" ")[0]: (config, logs)
        for name, config, logs in json.loads(python(READ, tmp_path, **where)[0])
    }
    assert found.keys() == {"latch-L5-u2-s3", "delay"}
    config, logs = found["latch-L5-u2-s3"]
    assert config["tags"] == ["latch", "lag 5", "hold", "lstm"]
    assert config["model"]["units"] == 2
    curve = [(log["step"], log["train/loss"]) for log in logs if "train/loss" in log]
    assert curve == [(step, pytest.approx(1 / step)) for step in range(1, 11)]
    assert [
        (log["step"], log["row/status"]) for log in logs if "row/status" in log
    ] == [(10, "solved")]
    _, logs = found["delay"]
    assert any(log.get("study/done") == 1 for log in logs)
    assert any("frontier" in log and "figure" in log for log in logs)


def test_without_trackio_one_line_says_how_to_get_it(tmp_path):
    (tmp_path / "trackio.py").write_text("raise ImportError('no trackio here')")
    out, err = python(STUDY, tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert out == "\n"
    assert (
        err
        == "trackio does not work and is left: no trackio here; pip install 'memcap[trackio]'\n"
    )


def test_what_trackio_cannot_write_is_one_warning(tmp_path):
    (tmp_path / "file").touch()
    out, err = python(STUDY, tmp_path, TRACKIO_DIR=str(tmp_path / "file" / "below"))
    assert out == "\n"
    assert err.count("\n") == 1
    assert err.startswith("trackio does not work and is left: ")


def test_what_trackio_could_not_write_between_two_calls_is_a_warning_and_not_counted(
    tmp_path,
):
    script = (
        LATCH
        + """
from trackio.sqlite_storage import SQLiteStorage
t = sender("trackio", "p")
t.send(lambda service: service.run(latch, {1: {"train/loss": 1.0}}, None))
write, refused = SQLiteStorage.bulk_log, []
def refuse(**values):
    refused.append(values)
    raise OSError("no space left")
SQLiteStorage.bulk_log = refuse
t.send(lambda service: service.run(latch, {2: {"train/loss": 0.5}}, None))
while not refused:
    time.sleep(0.1)
time.sleep(0.5)  # the thread warns
SQLiteStorage.bulk_log = write
t.send(lambda service: service.run(latch, {3: {"train/loss": 0.3}}, row), 1)
print(t.close(1).sent)
"""
    )
    out, err = python(script, tmp_path, TRACKIO_DIR=str(tmp_path / "trackio"))
    assert out == "0\n"
    assert err.count("\n") == 1
    assert err.startswith("trackio does not work and is left: ")
    assert "no space left" in err

"""A job trains what is missing, keeps every row as it comes, and goes on where a killed one stopped."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, config, fake, refusal, small_job

from memcap.config import Engine, resolve
from memcap.studies import job, store
from memcap.studies.axes import members
from memcap.studies.job import environment, row, run
from memcap.studies.progress import Progress
from memcap.tracking import NoTracker
from memcap.training.engine import Chunk, train

AXES = {"model.units": [1, 2], "task.lag": [2, 3], "seed": 2}


class Remembers(NoTracker):
    def __init__(self):
        self.curves, self.rows = [], {}

    def curve(self, member_id, step, values):
        self.curves.append((member_id, step))

    def member(self, member_id, config, row):
        self.rows[member_id] = (config, row)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small study, trained once."""
    folder, tracker = tmp_path_factory.mktemp("study"), Remembers()
    found = members(small_job(AXES))
    rows = run(found, replace(ONE_LANE, lanes=2), folder, "small", tracker)
    return found, folder, rows, tracker


def forbid_training(monkeypatch):
    monkeypatch.setattr(job, "train", lambda *a: pytest.fail("trained again"))


def test_each_member_has_one_row(trained):
    found, folder, rows, _ = trained
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert_frame_equal(store.read(folder), rows)
    assert rows["study"].unique().to_list() == ["small"]
    assert rows["population"].n_unique() == 2
    assert len(list((folder / "rows").iterdir())) == len(list((folder / "weights").iterdir())) == 2


OFTEN_NULL = {"steps_to_solve", "git_commit", "final", "best"}


def test_a_row_has_every_column(trained):
    found, _, rows, _ = trained
    assert dict(rows.schema) == store.SCHEMA
    nulls = {name for name in rows.columns if rows[name].null_count()}
    assert nulls <= OFTEN_NULL
    assert not any(rows[name].is_nan().any() for name, kind in store.SCHEMA.items() if kind == pl.Float64)
    by_key = {m.key: m for m in found}
    for each in rows.iter_rows(named=True):
        member = by_key[each["key"]]
        stored = json.loads(each["config"])
        assert stored == member.config
        assert resolve(stored) == member
        assert (each["task"], each["lag"], each["length"]) == ("latch", member.lag, member.lag + 2)
        assert json.loads(each["knobs"]) == {"symbols": 2, "distractors": 4}
        assert (each["cell"], each["readout"], each["units"], each["seed"]) == (
            "lstm",
            "dense",
            member.model.units,
            member.seed,
        )
        assert (each["recipe"], each["init"], each["lr"], each["batch"], each["budget"]) == (
            "hold",
            "hold",
            member.recipe.lr,
            16,
            12,
        )
        assert each["forget_bias"] == pytest.approx(np.log(member.lag + 1) + 1)
        assert each["input_bias"] == -each["forget_bias"]
        assert (each["metric"], each["threshold"], each["stretch"]) == ("accuracy", 0.99, 2)
        assert each["solved"] == (each["status"] == "solved")
        assert each["steps_to_solve"] == (each["steps"] if each["solved"] else None)
        assert 0 < each["steps"] <= 12
        assert 0 <= each["final"] <= each["best"] <= 1
        assert each["backend"] == "cpu"
        assert each["jax"] == jax.__version__


def test_a_row_counts_carry_and_parameters(trained):
    """An LSTM of U units on 7 symbols: 2 U numbers, 4 U (7 + U + 1) + 2 (U + 1) weights, all of them in the store."""
    _, folder, rows, _ = trained
    for each in rows.iter_rows(named=True):
        units = each["units"]
        assert each["carry_numbers"] == 2 * units
        assert each["parameters"] == 4 * units * (7 + units + 1) + 2 * (units + 1)
        weights = store.flat(store.weights_of(folder, each))
        assert sum(array.size for array in weights.values()) == each["parameters"]
        assert all(array.dtype == np.float32 for array in weights.values())


def test_the_stored_weights_are_those_that_were_trained(trained):
    found, folder, _, _ = trained
    (ended,) = train([found[0]], ONE_LANE)
    stored = store.flat(store.weights_of(folder, store.one(folder, found[0].key)))
    for path, array in store.flat(ended.weights).items():
        np.testing.assert_allclose(stored[path], array, atol=1e-5)


def test_tracking_sees_curves_and_rows(trained):
    found, _, rows, tracker = trained
    assert {name for name, _ in tracker.curves} == set(tracker.rows) == {m.key for m in found}
    for each in rows.iter_rows(named=True):
        config, mirrored = tracker.rows[each["key"]]
        assert config == json.loads(each["config"])
        assert mirrored == each


def test_a_second_run_trains_nothing(trained, monkeypatch):
    found, folder, rows, _ = trained
    forbid_training(monkeypatch)
    assert_frame_equal(run(found, ONE_LANE, folder, "small", NoTracker()), rows)
    part = run(found[:3], ONE_LANE, folder, "small", NoTracker())
    assert sorted(part["key"]) == sorted(m.key for m in found[:3])


def test_a_longer_job_trains_what_is_new(trained, tmp_path, monkeypatch):
    rows = trained[2]
    store.write_rows(tmp_path / "rows.parquet", rows)  # as after `collect` alone
    asked = []

    def few(missing, *rest):
        asked.extend(missing)
        return train(missing, *rest)

    monkeypatch.setattr(job, "train", few)
    more = members(small_job([AXES, {"seed": [9]}]))
    grown = run(more, ONE_LANE, tmp_path, "small", NoTracker())
    assert [m.seed for m in asked] == [9]
    assert sorted(grown["key"]) == sorted(m.key for m in more)


def test_what_was_never_measured_is_null():
    (member,) = members(small_job())
    table = store.frame([row(fake(member), "s", "p")])
    unmeasured = {"steps_to_solve", "final", "best", "stretched", "train_loss"}
    assert {name for name in table.columns if table[name].null_count()} - {"git_commit"} == unmeasured
    assert table["solved"].to_list() == [False]


@pytest.mark.parametrize(
    ("init", "nulls"),
    [
        ("chrono", {"input_bias", "forget_bias"}),
        ("flax", {"input_bias", "forget_bias", "output_bias", "gain", "orthogonal"}),
        ("open_gate", set()),
    ],
)
def test_biases_that_are_drawn_are_null(init, nulls):
    (member,) = members(small_job(recipe__init=init, model__cell="GRUCell" if init == "flax" else "lstm"))
    result = row(fake(member, status="solved", steps=3, score=1.0, best=1.0, stretched=1.0, train_loss=0.1), "s", "p")
    assert {name for name, value in result.items() if value is None} - {"git_commit"} == nulls
    assert set(result) == set(store.SCHEMA)
    assert result["steps_to_solve"] == 3


def test_the_environment_names_versions_and_flags():
    found = environment()
    assert found["xla_flags"] == os.environ.get("XLA_FLAGS", "")
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert set(found) <= set(store.SCHEMA)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_trains(tmp_path, monkeypatch):
    forbid_training(monkeypatch)
    file = tmp_path / "file"
    file.touch()
    text = refusal(lambda: run(members(small_job()), ONE_LANE, file / "out", "s", NoTracker()))
    assert text.startswith(f"out={file / 'out'}: cannot be written")


def test_a_corrupt_shard_is_refused_before_anything_trains(tmp_path, monkeypatch):
    forbid_training(monkeypatch)
    store.prepare(tmp_path)
    (tmp_path / "rows" / "bad.parquet").write_bytes(b"PAR1")
    assert "bad.parquet" in refusal(lambda: run(members(small_job()), ONE_LANE, tmp_path, "s", NoTracker()))


# A design that searches

BISECT = {"model.units": [1, 2, 3, 4], "task.lag": [1, 2], "seed": 2}


def test_bisection_trains_a_part_and_a_rerun_nothing(tmp_path, monkeypatch):
    found = members(small_job(BISECT))
    rows = run(found, ONE_LANE, tmp_path, "small", NoTracker(), "bisect")
    assert 0 < rows.height < len(found)
    assert_frame_equal(store.read(tmp_path), rows)
    assert set(rows["lag"]) == {1, 2}
    for _, widths in rows.group_by("lag"):  # nothing solves in 12 steps: the widest net must have been asked
        assert widths["units"].max() == 4
    forbid_training(monkeypatch)
    assert_frame_equal(run(found, ONE_LANE, tmp_path, "small", NoTracker(), "bisect"), rows)


def test_bisection_uses_what_a_grid_has_trained(tmp_path, monkeypatch):
    found = members(small_job(BISECT))
    grid = run(found, replace(ONE_LANE, lanes=4), tmp_path, "small", NoTracker())
    forbid_training(monkeypatch)
    assert_frame_equal(run(found, ONE_LANE, tmp_path, "small", NoTracker(), "bisect"), grid)


# Interrupted jobs


class StopsAt(NoTracker):
    """An interrupt as the n-th member ends."""

    def __init__(self, count):
        self.left = count

    def member(self, member_id, config, row):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def remaining(found, folder, monkeypatch):
    """What the same job still trains, and the rows that it ends with."""
    asked = []

    def counted(missing, *rest):
        asked.extend(missing)
        return train(missing, *rest)

    monkeypatch.setattr(job, "train", counted)
    rows = run(found, ONE_LANE, folder, "small", NoTracker())
    return [m.key for m in asked], rows


def test_an_interrupted_job_keeps_what_had_ended(tmp_path, monkeypatch):
    found = members(small_job({"seed": 5}))
    monkeypatch.setattr(job, "SECONDS_BETWEEN_WRITES", 1e12)  # so that only the interrupt can write
    with pytest.raises(KeyboardInterrupt):
        run(found, ONE_LANE, tmp_path, "small", StopsAt(3))
    kept = store.read(tmp_path)
    assert sorted(kept["key"]) == sorted(m.key for m in found[:3])
    for each in kept.iter_rows(named=True):
        assert store.weights_of(tmp_path, each)
    asked, rows = remaining(found, tmp_path, monkeypatch)
    assert asked == [m.key for m in found[3:]]
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert_frame_equal(rows.join(kept, "key", "semi"), kept, check_row_order=False)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from memcap import backend
backend.prepare()
from memcap.config import Engine
from memcap.studies import job, store
from memcap.studies.axes import members
from memcap.tracking import NoTracker

values, folder, last = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
job.SECONDS_BETWEEN_WRITES = -1.0
put, calls = os.replace, []

def replace(*names):
    calls.append(names)
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    put(*names)

store.os.replace = replace
job.run(members(values), Engine("map", 1, 1), folder, "small", NoTracker())
"""


def test_a_killed_job_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Killed as the second row is about to be put in place, its weights already written."""
    values = small_job({"seed": 4})
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(values), str(tmp_path), "4"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    found = members(values)
    before = store.read(tmp_path)
    assert before["key"].to_list() == [found[0].key]
    assert store.weights_of(tmp_path, before.row(0, named=True))
    asked, rows = remaining(found, tmp_path, monkeypatch)
    assert asked == [m.key for m in found[1:]]
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert rows.height == rows["key"].n_unique() == 4
    assert_frame_equal(rows.filter(pl.col("key") == found[0].key), before)
    for each in rows.iter_rows(named=True):
        assert store.weights_of(tmp_path, each)


def test_a_shard_appears_while_the_population_still_trains(tmp_path):
    seen = []

    class Looks(NoTracker):
        def curve(self, member_id, step, values):
            seen.append(store.read(tmp_path).height)

    found = members(config({"seed": 2}, recipe__budget=12, recipe__batch=16))
    run(found, Engine("map", 1, 1), tmp_path, "small", Looks())
    assert seen[0] == 0
    assert seen[-1] == 1


def test_a_shard_is_written_soon_even_if_its_population_rests(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(job.time, "monotonic", lambda: clock[0])
    found = members(small_job({"seed": 5}))
    store.prepare(tmp_path)
    writer = job._RowWriter(tmp_path, "s", NoTracker(), Progress(5, 0))
    for population, member, seconds, kept in (("a", 0, 0, 1), ("a", 1, 1, 1), ("b", 2, 1, 2), ("b", 3, 6, 4)):
        clock[0] += seconds
        writer.ended(population, [fake(found[member])])
        assert store.read(tmp_path).height == kept
    writer.ended("b", [fake(found[4])])
    clock[0] += 6
    writer.curve(Chunk(found[4], 0, np.zeros(0), 0.0, None))  # nobody else ends, but somebody trains
    assert store.read(tmp_path).height == 5


def test_a_full_shard_is_left_alone_and_the_next_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "ROWS_OF_A_SHARD", 2)
    found = members(small_job({"seed": 5}))
    store.prepare(tmp_path)
    writer = job._RowWriter(tmp_path, "s", NoTracker(), Progress(5, 0))
    for member in found:
        writer.ended("a", [fake(member)])
    writer.flush()
    assert [pl.read_parquet(path).height for path in store.shards(tmp_path)] == [2, 2, 1]
    assert sorted(store.read(tmp_path)["key"]) == sorted(m.key for m in found)
    for each in store.read(tmp_path).iter_rows(named=True):
        assert store.weights_of(tmp_path, each)


def test_two_jobs_of_the_same_members_never_write_the_same_file(tmp_path):
    first, second = members(small_job(axes={"seed": 2}))
    store.prepare(tmp_path)
    keepers = [job._RowWriter(tmp_path, "s", NoTracker(), Progress(2, 0)) for _ in range(2)]
    for writer, member in zip(keepers, (first, second), strict=True):
        writer.ended("population", [fake(member)])
        writer.flush()
    assert set(store.read(tmp_path)["key"]) == {first.key, second.key}
    for row_ in store.read(tmp_path).iter_rows(named=True):
        assert store.weights_of(tmp_path, row_)


INTERRUPTED = """
import os, signal, threading, time
from memcap import backend
backend.prepare()
from memcap.config import Engine, resolve, task_defaults
from memcap.training.engine import Listener, train
import polars  # makes the kernel restart interrupted waits

class Slow(Listener):
    def curve(self, chunk):
        if chunk.before == 5:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(0.5)

values = {"task": task_defaults("latch") | {"lag": 1}, "model": {"units": 1}, "seed": 0}
values |= {"recipe": {"name": "hold", "budget": 10_000, "lr": 1e-9}, "evaluation": {"every": 5, "sequences": 16}}
try:
    train([resolve(values)], Engine(), Slow())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_stops_a_job_between_chunks():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "interrupted\n", done.stderr

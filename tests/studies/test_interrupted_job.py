"""Rows are kept as they come: also of a job that is interrupted or killed, and the next
one goes on where it stopped."""

import json
import signal

import numpy as np
import polars as pl
import pytest
from command import python
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, small_job
from study_rows import fake

from memcap import store
from memcap.designs.axes import members
from memcap.report.tables import totals
from memcap.store import shards
from memcap.store.heartbeat import JobProgress
from memcap.store.rows import without_failed
from memcap.store.shards import Study
from memcap.studies import run
from memcap.studies.run import run_study
from memcap.studies.writer import StudyWriter
from memcap.training.engine import CurveChunk, Result, train
from memcap.training.program import Program, way_of


def remaining(found, folder, monkeypatch):
    """What the same job still trains, and the rows that it ends with."""
    asked = []

    def counted(missing, *rest):
        asked.extend(missing)
        return train(missing, *rest)

    monkeypatch.setattr(run, "train", counted)
    rows = run_study(found, ONE_LANE, Study(folder, "small"))
    return [m.key for m in asked], rows


KILLED = """
import json, os, signal, sys
from pathlib import Path
from memcap.runtime import jax_setup
jax_setup.setup()
from memcap.config.member import Engine
from memcap.studies import run, writer
from memcap.designs.axes import members
from memcap.store.shards import Study

values, folder, last = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
writer.SECONDS_BETWEEN_WRITES = -1.0
put, calls = os.replace, []

def replace(*names):
    if Path(names[1]).parent.name != "jobs":  # which says how far the job is, and comes by the clock
        calls.append(names)
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    put(*names)

os.replace = replace
run.run_study(members(values), Engine(loop="while", lanes=1, workers=1), Study(folder, "small"))
"""  # noqa: E501


def test_a_killed_job_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Killed as the second row is about to be put in place, its weights already written."""
    values = small_job({"seed": 4})
    ran = python(tmp_path, "-c", KILLED, json.dumps(values), str(tmp_path), "4")
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    found = members(values)
    before = store.read(tmp_path)
    assert before["key"].to_list() == [found[0].key]
    assert store.weights_of(tmp_path, before.row(0, named=True))
    asked, rows = remaining(found, tmp_path, monkeypatch)
    assert asked == [m.key for m in found[1:]]
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert_frame_equal(rows.filter(pl.col("key") == found[0].key), before)
    for each in rows.iter_rows(named=True):
        assert store.weights_of(tmp_path, each)


def test_a_shard_is_written_soon_even_if_its_population_rests(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("memcap.studies.writer.time.monotonic", lambda: clock[0])
    found = members(small_job({"seed": 5}))
    shards.prepare(tmp_path)
    writer = StudyWriter(JobProgress(5, Study(tmp_path, "s")))
    for population, member, seconds, kept in (
        ("a", 0, 0, 1),
        ("a", 1, 1, 1),
        ("b", 2, 1, 2),
        ("b", 3, 6, 4),
    ):
        clock[0] += seconds
        writer.finish(population, [fake(found[member])])
        assert store.read(tmp_path).height == kept
    writer.finish("b", [fake(found[4])])
    clock[0] += 6
    writer.add_curve(
        CurveChunk(found[4], 0, np.zeros(0), 0.0, None)
    )  # nobody else ends, but somebody trains
    assert store.read(tmp_path).height == 5


def test_a_full_shard_is_left_alone_and_the_next_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("memcap.studies.writer.ROWS_OF_A_SHARD", 2)
    found = members(small_job({"seed": 5}))
    shards.prepare(tmp_path)
    writer = StudyWriter(JobProgress(5, Study(tmp_path, "s")))
    for member in found:
        writer.finish("a", [fake(member)])
    writer.flush()
    heights = [pl.read_parquet(path).height for path in shards.paths(tmp_path)]
    assert heights == [2, 2, 1]
    assert sorted(store.read(tmp_path)["key"]) == sorted(m.key for m in found)


INTERRUPTED = """
import os, signal, threading, time
from memcap.runtime import jax_setup
jax_setup.setup()
from memcap.config.member import Engine, resolve, task_defaults
from memcap.training.engine import Listener, train
import polars  # makes the kernel restart interrupted waits

class Slow(Listener):
    def add_curve(self, chunk):
        if chunk.first_step == 5:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(0.5)

values = {"task": task_defaults("latch") | {"lag": 1}, "model": {"units": 1}, "seed": 0}
values["recipe"] = {"name": "hold", "budget": 10_000, "lr": 1e-9}
values["evaluation"] = {"every": 5, "sequences": 16}
try:
    train([resolve(values)], Engine(), Slow())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.breadth
def test_ctrl_c_stops_a_job_between_chunks(tmp_path):
    done = python(tmp_path, "-c", INTERRUPTED)
    assert done.stdout == "interrupted\n", done.stderr


def test_a_failed_member_is_recorded_and_trained_again(tmp_path, monkeypatch):
    """Its row says why it failed, and measures nothing."""
    first, second = members(small_job({"seed": 2}))
    asked = []

    def fails(missing, engine, listener, *rest):
        asked.append(list(missing))
        if len(asked) > 1:
            return train(missing, engine, listener, *rest)
        program = Program.of(first)
        why = "it took two workers with it"
        listener.finish(program.name, [Result.failed(first, why, way_of(program))])
        return train([second], engine, listener, *rest)

    monkeypatch.setattr(run, "train", fails)
    rows = run_study([first, second], ONE_LANE, Study(tmp_path, "small"))
    kept = store.read(tmp_path)
    (failed,) = kept.filter(kept["status"] == "failed").iter_rows(named=True)
    assert failed["key"] == first.key
    assert not failed["solved"]
    assert failed["reason"] == "it took two workers with it"
    assert without_failed(kept)["key"].to_list() == [second.key]
    assert totals(rows).endswith(", 1 failed (the same command trains these again)")
    again = run_study([first, second], ONE_LANE, Study(tmp_path, "small"))
    assert asked == [[first, second], [first]]
    keys = {first.key, second.key}
    assert set(without_failed(again)["key"]) == set(store.read(tmp_path)["key"]) == keys
    assert "failed" not in totals(again)

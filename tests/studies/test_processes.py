"""A study that is killed again and again comes to the rows and weights that an
uninterrupted one has, bit for bit; and of many jobs that write into one folder at once,
and sweep it as jobs do that begin, every row is there once, with its weights."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from flax.traverse_util import flatten_dict
from polars.testing import assert_frame_equal

from memcap import store
from memcap.store import files, shards
from memcap.store.files import read_weights

KILLS = 12
TESTS = Path(__file__).parents[1]
PATH = (str(TESTS.parent), str(TESTS))
TIMES = (
    "compile_seconds",
    "run_seconds",
    "finished",
    "population",
)  # what two runs of one study differ in
# A process a study, begun afresh: where a module has started threads on import, as
# Polars does, a forked child may hang.
STUDY = """
import sys
from pathlib import Path
import memcap
from memcap.runtime import jax_setup
jax_setup.setup()
from memcap.config.member import Engine
from memcap.store.shards import Study
from memcap.store import files
from memcap.studies import checkpoints, run, writer

files.STALE_AFTER = 0
writer.SECONDS_OF_TRAINING = checkpoints.SECONDS_BETWEEN_WRITES = 0.05

class Says(writer.StudyWriter):
    seen = set()

    def add_curve(self, chunk):
        super().add_curve(chunk)
        key = chunk.member.key
        if key not in self.seen:
            self.seen.add(key)
            print("began", key, chunk.first_step + 1, flush=True)

run.StudyWriter = Says

shared = {"seed": [1], "every": 50, "sequences": 64}
streams = memcap.members(  # one is solved and never steady; the other one has a curriculum on its way
    lag=1, length=3, units=2, recipe="forget_bias", lr=0.1, batch=32, budget=200_000, schedule="constant",
    stretch=50, **shared
) + memcap.members(lag=6, units=3, recipe="curriculum", batch=16, budget=20_000, stretch=2, **shared)
print("ready", flush=True)
folder = Path(sys.stdin.readline().strip())
run.run_study(streams, Engine(loop="while", lanes=1, workers=1), Study(folder, "s"), quiet=True)
"""  # noqa: E501


@pytest.fixture
def start():
    """Starts a process that has imported everything and waits for its standard input."""
    path = os.pathsep.join(filter(None, [*PATH, os.environ.get("PYTHONPATH")]))
    processes = []

    def begin(code, *arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path} | variables,
            stdin=-1,
            stdout=-1,
            stderr=-1,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        with process:  # which closes its pipes
            pass


def lived(process, folder, seconds=None, after="began"):
    """Begin the study, and kill it some seconds after it began, or after its first
    member did. Returns members' first steps."""
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    process.stdin.write(f"{folder}\n")
    process.stdin.flush()
    first = {}
    line = ""
    while True:
        if seconds is not None and after in ("", line.partition(" ")[0]):
            time.sleep(seconds)
            process.kill()  # unless it was faster
            seconds = None
        if not (line := process.stdout.readline()):
            break
        if line.startswith("began ") and line.endswith("\n"):  # all of it was written
            _, member, step = line.split()
            first[member] = int(step)
    status = process.wait()
    assert status in (0, -signal.SIGKILL), process.stderr.read()
    return status, first


@pytest.mark.slow
def test_killed_at_random_moments_a_study_ends_as_if_it_had_not_been(start, tmp_path):
    whole = tmp_path / "whole"
    killed = tmp_path / "killed"
    assert lived(start(STUDY), whole)[0] == 0
    draw = random.Random(0)
    begun = []
    for k in range(KILLS):
        status, first = lived(
            start(STUDY), killed, draw.uniform(0, 0.4), after="began" if k % 4 else ""
        )
        begun += first.values()
        if status == 0:  # all is trained, on a fast machine
            assert k > KILLS / 2
            break
    status, first = lived(start(STUDY), killed)
    assert status == 0
    print(f"first steps: {begun}, at last {list(first.values())}")
    assert sum(step > 1 for step in begun) > KILLS / 4  # it went on
    rows, others = (store.read(folder).sort("key") for folder in (whole, killed))
    assert_frame_equal(rows.drop(TIMES), others.drop(TIMES), check_exact=True)
    assert rows["status"].to_list().count("solved") == 1
    for one, other in zip(
        rows.iter_rows(named=True), others.iter_rows(named=True), strict=True
    ):
        ours, theirs = (
            flatten_dict(store.weights_of(*each))
            for each in ((whole, one), (killed, other))
        )
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], strict=True)
    assert others.select(pl.col("run_seconds") > 0).to_series().all()
    paths = [*(killed / "rows").iterdir(), *(killed / "weights").iterdir()]
    # no unfinished file, no weights of nobody
    assert {files.stem(path) for path in paths} == set(others["population"])
    parts = ["curves", "jobs", "rows", "weights"]
    assert sorted(path.name for path in killed.iterdir()) == parts


# Many jobs in one folder


WRITERS = 16
ROWS = 1000

WRITE = f"""
import itertools, sys
from pathlib import Path

import numpy as np
import study_rows
from memcap import store
from memcap.store import shards

folder, number = Path(sys.argv[1]), int(sys.argv[2])
study_rows.NUMBERS = itertools.count({ROWS} * number)
rows = study_rows.group(counts={{1: ({ROWS} // 2, {ROWS})}})

print("ready", flush=True)
sys.stdin.read()  # all at once
shards.remove_stale_files(folder)
for shard, first in enumerate(range(0, {ROWS}, 256)):
    name = f"0123456789abcdef-{{number:08x}}-{{shard}}"
    ours = [row | {{"population": name}} for row in rows[first : first + 256]]
    for some in (10, 100, 256):  # a shard is rewritten as members end
        part = ours[:some]
        weights = {{row["key"]: {{"w": np.full(2, row["seed"])}} for row in part}}
        shards.write(folder, name, part, weights)
        shards.remove_stale_files(folder)
"""


@pytest.mark.slow
def test_sixteen_jobs_in_one_folder_lose_no_row_and_double_none(start, tmp_path):
    shards.prepare(tmp_path)
    writers = [
        start(WRITE, tmp_path, number, POLARS_MAX_THREADS="1")
        for number in range(WRITERS)
    ]
    assert [process.stdout.readline() for process in writers] == ["ready\n"] * WRITERS
    for process in writers:
        process.stdin.close()
    assert [(process.wait(), process.stderr.read()) for process in writers] == [
        (0, "")
    ] * WRITERS
    read, bad = shards.read_files(tmp_path)
    tables = read.values()
    assert bad == {}
    assert sum(table.height for table in tables) == WRITERS * ROWS
    rows = shards.merge(tables)
    assert rows.height == rows["key"].n_unique() == WRITERS * ROWS
    assert rows["seed"].value_counts()["count"].to_list() == [WRITERS] * ROWS
    archives = [read_weights(path) for path in (tmp_path / "weights").iterdir()]
    assert set().union(*archives) == set(rows["key"])
    for row in rows.sample(50, seed=0).iter_rows(named=True):
        np.testing.assert_array_equal(
            store.weights_of(tmp_path, row)["w"], [row["seed"]] * 2
        )
    left = [each.name for each in tmp_path.rglob("*") if each.name.startswith(".")]
    assert left == []

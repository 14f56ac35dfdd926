"""Many jobs write into one folder at once, and sweep it as jobs do that begin: every
row is there once, with its weights."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memcap import store
from memcap.store import shards
from memcap.store.weights import read_weights

TESTS = Path(__file__).parents[1]
WRITERS = 16
ROWS = 1000

# A process each, begun afresh: where a module has started threads on import, as Polars
# does, a forked child may hang.
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


@pytest.fixture
def writers(tmp_path):
    """They wait for their standard input's end."""
    path = os.pathsep.join(
        filter(None, [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH")])
    )
    env = {**os.environ, "PYTHONPATH": path, "POLARS_MAX_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", WRITE, str(tmp_path), str(number)],
            env=env,
            stdin=-1,
            stdout=-1,
            stderr=-1,
            text=True,
        )
        for number in range(WRITERS)
    ]
    yield processes
    for process in processes:
        process.kill()
        with process:  # which closes its pipes
            pass


@pytest.mark.slow
def test_sixteen_jobs_in_one_folder_lose_no_row_and_double_none(writers, tmp_path):
    shards.prepare(tmp_path)
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

"""Who trains nothing starts without JAX, which takes most of a second to import, SciPy,
and what np.unique imports."""

import shutil
from pathlib import Path

from command import python

HEAVY = {"jax", "flax", "scipy", "matplotlib", "hydra", "numpy.ma"}


# Each command's words, and what it says.
COMMANDS = {
    "status .": ".: 3 of 4 members done: 0 solved, 3 not; 0 failed.",
    "collect .": "3 rows in rows.parquet",
    "frontier .": "u50",
    "answer --task latch --lag 2 .": "latch at lag 2",
    "tasks": "latch",
}
SCRIPT = f"""
import contextlib, os, sys
import memcap.commands.mirror
from memcap import cli
from memcap.store import rows, columns, shards, files, curves, heartbeat, status
for words in {[*COMMANDS]}:
    with contextlib.suppress(SystemExit):
        cli.main(words.split())
    loaded = {HEAVY} & set(sys.modules)
    assert not loaded, (words, loaded)
    print("---", flush=True)
"""


def test_who_trains_nothing_needs_no_jax(tmp_path):
    """Modules that read a folder, and commands, in one process."""
    folder = shutil.copytree(
        Path(__file__).with_name("older_folder"), tmp_path / "study"
    )
    done = python(folder, "-c", SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    *said, _ = done.stdout.split("---\n")
    for each, text in zip(COMMANDS.values(), said, strict=True):
        assert each in text

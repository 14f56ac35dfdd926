"""Who trains nothing starts without JAX, which takes most of a second to import, SciPy, and what np.unique
imports."""

import shutil
from pathlib import Path

import pytest
from command import python

HEAVY = {"jax", "flax", "scipy", "matplotlib", "hydra", "numpy.ma"}


def run(folder, script):
    """What a process of its own prints that may import none of what is heavy."""
    check = f"import sys\n{script}\nassert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)"
    done = python(folder, "-c", check)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_modules_that_read_a_folder_need_no_jax(tmp_path):
    names = "rows", "columns", "shards", "files", "weights", "curves", "heartbeat", "status", "follow"
    modules = [
        "memcap.studies.progress",
        "memcap.commands.mirror",
        *(f"memcap.store.{name}" for name in names),
    ]
    run(tmp_path, "\n".join(f"import {module}" for module in modules))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status", "."], ".: 2 of 4 members done: 0 solved, 2 not; 0 failed.\n"),
        (["collect", "."], "2 rows in rows.parquet"),
        (["frontier", "."], "u50"),
        (["answer", "--task", "latch", "--lag", "2", "."], "latch at lag 2"),
        (["knobs"], "task.lag"),
        (["tasks"], "latch"),
    ],
)
def test_commands_that_train_nothing_need_no_jax(tmp_path, words, says):
    folder = shutil.copytree(Path(__file__).with_name("older_folder"), tmp_path / "study")
    script = "import contextlib\nfrom memcap import cli\n"
    script += f"with contextlib.suppress(SystemExit):\n    cli.main({words})"
    assert says in run(folder, script)


def test_words_are_completed_without_jax(tmp_path, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "memcap answer --ta")
    assert run(tmp_path, "from memcap import cli\ncli.main(['-sc', 'query=bash'])") == "--task\n"

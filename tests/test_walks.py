"""CONTRIBUTING's walks are what runs: a training step in its six files, a row by way of all of its files."""

import re
import sys
import threading
from pathlib import Path

import jax
import pytest
from command import memcap

import memcap as face
from memcap.training.program import Program

ROOT = Path(__file__).parents[1]
# Found by name on the way, and helpers of all tasks: nothing of the method is in them.
LOOKED_UP = {
    *("memcap/cells/__init__.py", "memcap/loops/__init__.py", "memcap/plugins.py", "memcap/tasks/base.py"),
}


def walk(heading):
    """The files of a walk, in order."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"**{heading}**")[1]
    (block, *_) = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    return [line.split()[0] for line in block.splitlines()]


@pytest.fixture
def files():
    """Files of memcap of which a function has been called since, in any thread."""
    seen = set()

    def profile(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT / "memcap"):
            seen.add(str(path.relative_to(ROOT)))

    threading.setprofile(profile)
    sys.setprofile(profile)
    yield seen
    sys.setprofile(None)
    threading.setprofile(None)


def test_a_training_step_is_read_in_six_files(files):
    (member,) = face.members(task="delay_line", lag=3, units=4, recipe="forget_bias")
    program = Program.of(member, face.Engine(loop="reproducible"))
    state, operands, _ = program.example()
    lane = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (state, operands))
    files.clear()
    jax.eval_shape(lambda *arguments: program.trainer.train_chunk(*arguments), *lane)
    assert len(walk("A training step")) <= 6
    assert files - LOOKED_UP == set(walk("A training step"))


def test_a_row_is_read_in_fifteen_files(files, tmp_path):
    words = ["task=latch", "task.lag=2", "model.units=1", "recipe.budget=2", "evaluation.sequences=16"]
    done = memcap(tmp_path, "train", *words, "engine.workers=1")
    assert done.status == 0, done.err
    assert len(walk("From a config to its row")) <= 15
    assert set(walk("From a config to its row")) <= files

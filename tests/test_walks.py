"""CONTRIBUTING's walks are what runs: a training step in its eight files, a row by way
of its fifteen."""

import contextlib
import os
import re
import sys
import threading
from pathlib import Path

import jax
import pytest
from command import memcap

import memcap as face
from memcap.loops.lstm_native import IN_C
from memcap.training.program import Program

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# Found by name on the way, and helpers of all tasks or cells: nothing of the method is in them.
LOOKED_UP = {
    *(
        "memcap/cells/__init__.py",
        "memcap/cells/registry.py",
        "memcap/loops/__init__.py",
    ),
    *("memcap/runtime/plugins.py", "memcap/tasks/base.py"),
    *(
        "memcap/loops/c_library.py",
        "memcap/loops/vectors.h",
    ),  # the library by its name; vectors of numbers
    "memcap/models/architecture.py",  # weights as one vector, and as a dict
    "memcap/models/model.py",  # names of layers
    "memcap/optimizers.py",  # an optimizer by its name
}

# that a row goes through, with those that the page does not list
MOST_FILES_OF_A_ROW = 45


def walk(heading):
    """The files of a walk, in order."""
    text = CONTRIBUTING.split(f"**{heading}**")[1]
    block, *_ = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    return [line.split()[0] for line in block.splitlines()]


@contextlib.contextmanager
def watched(files):
    """Adds the files of memcap of which a function is called within, in any thread that
    begins there."""
    here = f"{ROOT / 'memcap'}{os.sep}"

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(here):
            files.add(frame.f_code.co_filename)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    found = {str(Path(name).relative_to(ROOT)) for name in files}
    files.clear()
    files |= found


def step_files(loop):
    """The files of a training step, of an LSTM on a delay line, without those of
    LOOKED_UP; and what the page lists."""
    (member,) = face.members(task="delay_line", lag=3, units=4, recipe="forget_bias")
    program = Program.of(member, face.Engine(loop=loop))
    state, operands, _ = program.example()
    lane = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (state, operands)
    )
    files = set()
    with watched(files):
        jax.eval_shape(
            lambda *arguments: program.trainer.train_chunk(*arguments), *lane
        )
    return files - LOOKED_UP, walk("A training step")


def included(source):
    """A source of C, and what it includes of its folder."""
    names = re.findall(r'#include "(\w+\.h)"', source.read_text())
    return {source}.union(*(included(source.with_name(name)) for name in names))


@pytest.mark.skipif(
    IN_C.missing() is not None, reason=f"no native kernel: {IN_C.missing()}"
)
def test_a_training_step_is_read_in_eight_files():
    files, listed = step_files("auto")
    in_c = {str(path.relative_to(ROOT)) for path in included(IN_C.source)} - LOOKED_UP
    assert len(listed) <= 8
    assert files | in_c == set(listed)


def test_a_training_step_by_xla_has_other_files_for_the_last_four():
    files, listed = step_files("reproducible")
    (instead,) = re.findall(
        r"XLA runs the loop\. Then\s+(.*?)\s+replace the last four",
        CONTRIBUTING,
        re.DOTALL,
    )
    assert files == {*listed[:-4], *re.findall(r"`(.*?)`", instead)}


def test_a_row_is_read_in_fifteen_files_and_goes_through_few_others(tmp_path):
    files = set()
    words = [
        "task=latch",
        "task.lag=2",
        "model.units=1",
        "recipe.budget=2",
        "evaluation.sequences=16",
    ]
    words += ["engine.workers=1", "engine.loop=reproducible"]
    # Compiled before it is watched: that takes minutes under a profiler.
    assert memcap(tmp_path, "train", *words, "study=first").status == 0
    with watched(files):
        done = memcap(tmp_path, "train", *words, "study=second")
    assert done.status == 0, done.err
    row = walk("From a config to its row")
    assert len(row) <= 15
    assert set(row) <= files
    assert len(files) <= MOST_FILES_OF_A_ROW

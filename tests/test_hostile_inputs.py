"""Inputs that nobody meant, drawn by chance: values of knobs and flags, and files with
bytes changed. Each ends in a moment, with status 0 or one line and status 2, and never
with a traceback.

`make test` tries some dozens, always the same; MEMCAP_HOSTILE_INPUTS=500 python -m pytest
tests/test_hostile_inputs.py tries as many (minutes), others each time.
"""

import math
import os
import shutil
import time

import numpy as np
import pytest
from beat_files import first, put
from command import files, memcap
from hypothesis import HealthCheck, Phase, example, given, settings, strategies as st
from study_rows import group, write

from memcap import commands
from memcap.cli import _parser
from memcap.commands import plan
from memcap.config.member import task_defaults
from memcap.knobs import defaults
from memcap.launch import session
from memcap.launch.jobs import GROUPS
from memcap.own import search as own_data
from memcap.store import curves

INPUTS = int(os.environ.get("MEMCAP_HOSTILE_INPUTS", "60"))
SECONDS = 5.0  # of a quiet machine
TASKS = ("latch", "copy", "delay_line", "adding", "data", "count")
RECIPE = b"""name: r
init: hold
lr: 0.01
schedule: constant
warmup: 0
batch: 8
clip: 1.0
budget: 20
"""
STUDY = b"""# @package _global_
study: s
axes: {task.lag: [1, 2], model.units: &a [1, 2], seed: 2}
"""
ODD = """null nan -inf 1e400 1e300 -1 0 0.5 true [1] {a:1} ${x} ${oc.env:HOME} ' a,b ..
/dev/null/x 1..2 * &a %s range(3) glob(*) choice() : os:path a:b:c ../x:y [/i] !!int {}
999999999999999999999 é✓ \udcff \0"""
VALUES = st.sampled_from(["", "x y", *ODD.split()]) | st.text(max_size=12)

READERS = """frontier study
status study
verify study
collect study
figure frontier study -o f
answer --task latch --lag 5 study
export KEY --layout flax -o x.npz"""
JOBS = """train -cd conf sweeps=s
train -cd conf recipe=r
plan -cd conf axes={recipe:[r]}
train task=data task.file=data.npz"""


class AcceptedError(Exception):
    """It would train now: the input was none to refuse."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a study and files of a user's, all sound."""
    folder = tmp_path_factory.mktemp("sound")
    rows = group("latch", 5, {1: (0, 2), 2: (2, 2), 3: (2, 2)})
    keys = [row["key"] for row in rows]
    points = {1: {"train/loss": 0.5}}
    write(folder / "study", rows)
    curves.write(folder / "study", "p", dict.fromkeys(keys, points))
    put(folder / "study", "t", first(), keys)
    for name, content in (("recipe/r.yaml", RECIPE), ("sweeps/s.yaml", STUDY)):
        (folder / "conf" / name).parent.mkdir(parents=True)
        (folder / "conf" / name).write_bytes(content)
    inputs = np.arange(24).reshape(4, 6) % 3
    np.savez(folder / "data.npz", inputs=inputs, targets=np.array([0, 1, 0, 1]))
    return folder


@pytest.fixture(autouse=True, scope="module")
def nothing_trains():
    """Whatever is accepted ends where it would be trained or compiled."""

    def accepted(*arguments, **options):
        raise AcceptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "run_study", accepted)
        patch.setattr(own_data, "run_study", accepted)
        patch.setattr(plan, "compile_plan", accepted)
        yield


def answers(folder, words):
    """Return whether it would train; else it says one line with status 2, or none of a
    mistake, and in time."""
    began = time.process_time()
    try:
        done = memcap(folder, *words)
    except AcceptedError:
        return True
    statuses = (0, 1, 2) if words[0] == "verify" else (0, 2)
    assert done.status in statuses, done
    assert "Traceback" not in done.err
    lines = done.err.splitlines()
    said = [line for line in lines if line.startswith("memcap: ")]
    if done.status < 2:
        assert said == lines, done
    else:
        assert said, done
        assert lines == said[-1:] or words[0] not in ("train", "plan"), done
    assert time.process_time() - began < SECONDS
    return False


def knobs():
    """Every key of a job: with a choice of task."""
    keys = [(task, f"task.{name}") for task in TASKS for name in task_defaults(task)]
    for part, cls in GROUPS.items():
        keys += [("latch", f"{part}.{name}") for name in defaults(cls)]
    others = """seed study out axes design task recipe model sweeps ~seed hydra.run.dir
    hydra.sweep.dir hydra.nope +axes.task.lag +axes.seed +axes.model.units +axes.recipe
    +axes.nope"""
    keys += [("latch", name) for name in others.split()]
    return st.sampled_from(keys)


def flags():
    """Every option of every command that reads."""
    options = []
    for name in commands.summaries().keys() - {"train", "mirror", "answer"}:
        for action in _parser(name, commands.find(name))._actions:
            options += [(name, option) for option in action.option_strings]
    asked = [option for option in options if option[1] not in ("-h", "--help")]
    return st.sampled_from(sorted(asked))


BOUNDED = settings(
    max_examples=math.ceil(INPUTS / 3),
    deadline=None,
    derandomize="MEMCAP_HOSTILE_INPUTS" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # to shrink one would take minutes
)


@pytest.mark.breadth
@BOUNDED
@given(
    knobs(), VALUES, st.sampled_from(["train", "train -m", "plan", "train --cfg job"])
)
@example(("latch", "study"), "\udcff", "train")
def test_any_value_of_any_knob(sound, key, value, command):
    before = files(sound)
    if answers(sound, [*command.split(), f"task={key[0]}", f"{key[1]}={value}"]):
        shutil.rmtree(sound / "outputs", ignore_errors=True)  # Hydra's files of the job
    else:
        assert files(sound) == before


@BOUNDED
@given(flags(), VALUES, st.sampled_from(["study", "nowhere", "data.npz", "conf"]))
def test_any_value_of_any_flag(sound, tmp_path_factory, flag, value, place):
    folder = tmp_path_factory.mktemp("flag")
    shutil.copytree(sound, folder, dirs_exist_ok=True)
    answers(folder, [flag[0], place, flag[1], value])


@pytest.mark.breadth
@BOUNDED
@given(st.data())
def test_any_bytes_of_any_file(sound, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("file")
    shutil.copytree(sound, folder, dirs_exist_ok=True)
    names = [path.relative_to(sound) for path in sound.rglob("*") if path.is_file()]
    path = folder / data.draw(st.sampled_from(sorted(names)))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content)))
    how = data.draw(st.sampled_from(["turn", "cut", "insert", "empty", "double"]))
    if how == "turn" and place < len(content):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "insert":
        content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    elif how == "cut":
        content = content[:place]
    elif how == "empty":
        content = b""
    elif how == "double":
        content = content * 2
    path.unlink()
    path.write_bytes(content)
    of_study = path.is_relative_to(folder / "study")
    words = (READERS if of_study else JOBS).splitlines()
    answers(folder, data.draw(st.sampled_from(words)).split())

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
from command import files, memcap
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from study_rows import group, write

from memcap import commands
from memcap.cli import _parser
from memcap.commands import plan
from memcap.config.knobs import defaults
from memcap.config.member import task_defaults
from memcap.launch import session
from memcap.launch.jobs import GROUPS
from memcap.own import search as own_data
from memcap.store import curves

INPUTS = int(os.environ.get("MEMCAP_HOSTILE_INPUTS", "60"))
SECONDS = 5.0  # of a quiet machine
TASKS = ("latch", "copy", "delay_line", "adding", "data", "count")
RECIPE = (
    b"name: r\ninit: hold\nlr: 0.01\nschedule: constant\nwarmup: 0\nbatch: 8\nclip: 1.0\nbudget:"
    b" 20\n"
)
STUDY = b"""# @package _global_
study: s
axes: {task.lag: [1, 2], model.units: &a [1, 2], seed: 2}
"""
ODD = (
    "null nan -inf 1e400 1e300 -1 0 0.5 true [1] {a:1} ${x} ${oc.env:HOME} ' a,b .. /dev/null/x"
    " 1..2 * &a %s"
)
ODD += (
    " range(3) glob(*) choice() : os:path a:b:c ../x:y [/i] !!int {} 999999999999999999999 é✓"
    " \udcff \0"
)
VALUES = st.sampled_from(["", "x y", *ODD.split(" ")]) | st.text(max_size=12)
READERS = (
    "frontier study",
    "status study",
    "verify study",
    "collect study",
    "figure frontier study -o f",
)
READERS += (
    "answer --task latch --lag 5 study",
    "compare study study",
    "export KEY --layout flax -o x.npz",
)
JOBS = (
    "train -cd conf sweeps=s",
    "train -cd conf recipe=r",
    "plan -cd conf axes={recipe:[r]}",
)
JOBS += ("train task=data task.file=data.npz",)


class AcceptedError(Exception):
    """It would train now: the input was none to refuse."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a study and files of a user's, all sound."""
    folder = tmp_path_factory.mktemp("sound")
    rows = group("latch", 5, {1: (0, 2), 2: (2, 2), 3: (2, 2)})
    write(folder / "study", rows)
    curves.write(
        folder / "study", "p", {row["key"]: {1: {"train/loss": 0.5}} for row in rows}
    )
    (folder / "study" / "jobs").mkdir()
    (folder / "study" / "jobs" / "t.json").write_text(
        '{"pid": 1, "longest": [], "command": "memcap train"}'
    )
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
    """Tell whether it would train; else it says one line with status 2, or none of a
    mistake, and in time."""
    began = time.process_time()
    try:
        done = memcap(folder, *words)
    except AcceptedError:
        return True
    assert done.status in ((0, 1, 2) if words[:1] == ["verify"] else (0, 2)), done
    assert "Traceback" not in done.err
    said = [line for line in done.err.splitlines() if line.startswith("memcap: ")]
    assert (
        len(said) == len(done.err.splitlines()) if done.status < 2 else len(said) >= 1
    ), done
    if done.status == 2:
        assert done.err.splitlines() == said[-1:] or words[0] not in (
            "train",
            "plan",
        ), done
    assert time.process_time() - began < SECONDS
    return False


def knobs():
    """Every key of a job: with a choice of task."""
    keys = [(task, f"task.{name}") for task in TASKS for name in task_defaults(task)]
    keys += [
        ("latch", f"{group}.{name}")
        for group, cls in GROUPS.items()
        for name in defaults(cls)
    ]
    others = (
        "seed study out axes design task recipe model sweeps ~seed hydra.run.dir hydra.sweep.dir"
        " hydra.nope"
    )
    others += " +axes.task.lag +axes.seed +axes.model.units +axes.recipe +axes.nope"
    keys += [("latch", name) for name in others.split()]
    return st.sampled_from(keys)


def flags():
    """Every option of every command that reads."""
    words = []
    for name in commands.summaries():
        if name not in ("train", "mirror", "answer"):
            parser = _parser(name, commands.find(name))
            words += [
                (name, text) for each in parser._actions for text in each.option_strings
            ]
    return st.sampled_from([each for each in words if each[1] not in ("-h", "--help")])


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
    names = sorted(
        str(path.relative_to(sound)) for path in sound.rglob("*") if path.is_file()
    )
    path = folder / data.draw(st.sampled_from(names))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content)))
    how = data.draw(st.sampled_from(["turn", "cut", "insert", "empty", "double"]))
    if how == "turn" and place < len(content):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "insert":
        content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    else:
        content = {"cut": content[:place], "empty": b"", "double": content * 2}.get(
            how, content
        )
    path.unlink()
    path.write_bytes(content)
    belongs = JOBS if not path.is_relative_to(folder / "study") else READERS
    answers(folder, data.draw(st.sampled_from(belongs)).split())

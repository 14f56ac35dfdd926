"""Tasks, recipes and studies of an empty folder, used by the command as its own are.
tests/test_contributing.py trains a task, a cell, a loop and a recipe of such a folder."""

import contextlib
import sys

import pytest
from command import files, memcap

from memcap import Member, Model, Recipe, store
from memcap.config import recipes
from memcap.config.member import member_of
from memcap.rule import Evaluation
from memcap.tasks import task_class

pytestmark = pytest.mark.usefixtures("quick_file")

TINY = "task.lag=3 recipe.budget=4 evaluation.every=2 evaluation.sequences=16 evaluation.stretch=2"
PULSES = "outside_tasks:Pulses"
TWO = '{"pulses": 2}'
THREE = '{"pulses": 3}'
TASKS = '''
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from memcap import Batch, Facts, Task, knob


@dataclass(frozen=True)
class Pulses(Task):
    """Say at the end which of S pulses came first; blanks follow."""

    pulses: int = knob(2, "kinds S of pulses", at_least=2)

    @property
    def vocabulary(self):
        return self.pulses + 1

    @property
    def outputs(self):
        return self.pulses

    def shortest(self, lag):
        return lag + 1

    def sample(self, key, lag, length, steps, batch):
        kind = jax.random.randint(key, (batch,), 0, self.pulses)
        step = jnp.arange(steps)[:, None]
        return Batch(jnp.where(step == length - 1 - lag, kind, self.pulses), kind)

    def facts(self, lag, length):
        return Facts(held=1, bits=float(jnp.log2(self.pulses)), chance=1 / self.pulses)
'''
STUDY = """# @package _global_
defaults:
  - override /task: outside_tasks:Pulses
study: mine
axes:
  - {task.lag: [3, 4], task.pulses: 3}
  - {task: latch}
  - {task: "outside_tasks:Pulses", task.lag: 5}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a module of tasks, and a folder of configs. Python forgets later to
    look there."""
    made = tmp_path_factory.mktemp("outside")
    (made / "outside_tasks.py").write_text(TASKS)
    (made / "configs" / "sweeps").mkdir(parents=True)
    (made / "configs" / "sweeps" / "mine.yaml").write_text(STUDY)
    (made / "configs" / "recipe").mkdir()
    known = (recipes.ROOT / "conf" / "recipe" / "hold.yaml").read_text()
    for name, rate in {"mine": "0.05", "hold": "0.07"}.items():
        text = known.replace("name: hold", f"name: {name}").replace("0.03", rate)
        (made / "configs" / "recipe" / f"{name}.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        yield made
        recipes.use_config_folders([])


def trained(folder, out, line):
    """Rows that a job leaves in the folder `out`."""
    done = memcap(folder, "train", *line.split(), *TINY.split(), f"out={out}")
    assert (done.status, done.err.count("memcap:")) == (0, 0), done.err
    return store.read(folder / out)


def rows_of(rows, *names):
    return sorted(rows.select(*names).rows())


def test_a_task_on_the_command_line_is_that_of_python(folder):
    (row,) = trained(
        folder, "command", f"task={PULSES} task.pulses=3 model.units=2"
    ).to_dicts()
    assert (row["task"], row["knobs"], row["length"]) == (PULSES, THREE, 4)
    # four symbols enter, three come out
    assert row["parameters"] == 4 * 2 * (4 + 2 + 1) + 3 * (2 + 1)
    with contextlib.chdir(folder):
        task = task_class(PULSES)(pulses=3)
    evaluation = Evaluation(2, 16, stretch=2)
    member = Member(
        task, 3, model=Model(units=2), recipe=Recipe(budget=4), evaluation=evaluation
    )
    assert row["key"] == member.key


@pytest.mark.breadth
def test_tasks_of_an_axis_and_of_a_multirun(folder):
    rows = trained(folder, "axis", f"axes={{task:[latch,'{PULSES}'],model.units:[1]}}")
    assert rows_of(rows, "task") == [("latch",), (PULSES,)]
    again = trained(folder, "multirun", f"-m task=latch,{PULSES} model.units=1")
    assert rows_of(again, "key") == rows_of(rows, "key")


def test_a_task_of_a_study_file_and_what_is_said_of_it(folder):
    rows = trained(folder, "study", "--config-dir configs sweeps=mine model.units=1")
    assert set(rows["study"]) == {"mine"}
    assert rows_of(rows, "task", "lag", "knobs")[-3:] == [
        (PULSES, 3, THREE),
        (PULSES, 4, THREE),
        (PULSES, 5, TWO),
    ]
    assert rows_of(rows.filter(task="latch"), "lag") == [(3,)]
    assert f"{PULSES} (pulses=3" in memcap(folder, "frontier", "study").out
    assert f"\n{PULSES} " in memcap(folder, "--module", "outside_tasks", "tasks").out
    said = memcap(folder, "answer", "--task", PULSES, "--lag", 9, "study").out
    assert f"{PULSES} at lag 9" in said
    assert "not measured" in said
    assert f"memcap train task={PULSES} task.lag=9" in said


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "task=outside_tasks:Nope",
            "task.name=outside_tasks:Nope: the module outside_tasks has no Nope",
        ),
        ("-m task=latch,outside_tasks:Nope", "the module outside_tasks has no Nope"),
        (
            f"task={PULSES} task.symbols=2",
            "task.symbols: no such field; task has lag, length, pulses",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(folder, line, expected):
    def made():
        return {name for name in files(folder) if "__pycache__" not in name}

    before = made()
    done = memcap(folder, "train", *line.split())
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert expected in done.err
    assert made() == before


@pytest.mark.breadth
def test_of_two_recipes_of_one_name_memcaps_own_counts(folder):
    line = "--config-dir configs task=latch model.units=1"
    both = trained(folder, "recipes", f"{line} axes={{recipe:[mine,hold]}}")
    assert rows_of(both, "recipe", "lr") == [("hold", 0.03), ("mine", 0.05)]
    hold = trained(folder, "hold", f"{line} recipe=hold")
    assert hold["key"].item() in both["key"].to_list()


def test_a_row_of_a_recipe_whose_file_is_gone_is_the_same_member(folder):
    line = "--config-dir configs task=latch recipe=mine model.units=1"
    (row,) = trained(folder, "recipe", line).to_dicts()
    recipes.use_config_folders([])
    member = member_of(store.config_of(row))
    assert (member.key, member.recipe.lr) == (row["key"], 0.05)
    assert member.recipe.name == "mine"

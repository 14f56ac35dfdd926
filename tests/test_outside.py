"""What lives outside the package: tasks, cells, recipes and studies in an empty folder,
used by the command as its own are."""

import contextlib
import shutil
import sys
from pathlib import Path

import pytest
from command import files, memcap

from memcap import Member, Model, Recipe, store
from memcap.config import recipes
from memcap.config.member import member_of
from memcap.rule import Evaluation
from memcap.tasks import task_class

pytestmark = pytest.mark.usefixtures("quick_file")

TINY = "task.lag=3 recipe.budget=4 evaluation.every=2 evaluation.sequences=16 evaluation.stretch=2"
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
    """An empty folder with a module of tasks, one of cells, and a folder of configs.
    Python forgets later to look there."""
    made = tmp_path_factory.mktemp("outside")
    (made / "outside_tasks.py").write_text(TASKS)
    cells = Path(__file__).with_name("odd_cells.py")
    shutil.copy(cells, made / "outside_cells.py")
    configs = {
        "sweeps/mine": STUDY,
        "recipe/mine": recipe_file("mine", 0.05),
        "recipe/hold": recipe_file("hold", 0.07),
    }
    for name, text in configs.items():
        path = made / "configs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        yield made
        recipes.use_config_folders([])


def recipe_file(name, lr):
    """A file of conf/recipe/ with another name and rate."""
    text = (recipes.ROOT / "conf" / "recipe" / "hold.yaml").read_text()
    return text.replace("name: hold", f"name: {name}").replace("lr: 0.03", f"lr: {lr}")


def trained(folder, out, line, *more):
    """Rows that a job leaves in the folder `out`."""
    words = f"{line} {TINY} out={out}".split()
    done = memcap(folder, "train", *words, *more)
    assert (done.status, done.err.count("memcap:")) == (0, 0), done.err
    return store.read(folder / out)


def rows_of(rows, *names):
    return sorted(rows.select(*names).rows())


# Tasks


def test_a_task_on_the_command_line(folder):
    line = "task=outside_tasks:Pulses task.pulses=3 model.units=2"
    rows = trained(folder, "command", line)
    assert rows_of(rows, "task", "knobs", "lag", "length", "recipe") == [
        ("outside_tasks:Pulses", '{"pulses": 3}', 3, 4, "forget_bias")
    ]
    # four symbols enter, three come out
    assert rows["parameters"].item() == 4 * 2 * (4 + 2 + 1) + 3 * (2 + 1)
    with contextlib.chdir(folder):
        task = task_class("outside_tasks:Pulses")(pulses=3)
    parts = {"recipe": Recipe(budget=4), "evaluation": Evaluation(2, 16, stretch=2)}
    member = Member(task, 3, model=Model(units=2), **parts)
    assert rows["key"].item() == member.key


@pytest.mark.breadth
def test_tasks_of_an_axis_and_of_a_multirun(folder):
    both = ["latch", "outside_tasks:Pulses"]
    axes = "axes={task: [latch, 'outside_tasks:Pulses'], model.units: [1]}"
    rows = trained(folder, "axis", "", axes)
    assert rows_of(rows, "task", "units") == [(name, 1) for name in both]
    line = "-m task=latch,outside_tasks:Pulses model.units=1"
    again = trained(folder, "multirun", line)
    assert rows_of(again, "key") == rows_of(rows, "key")


def test_a_task_of_a_study_file_and_what_is_said_of_it(folder):
    rows = trained(folder, "study", "--config-dir configs sweeps=mine model.units=1")
    assert set(rows["study"]) == {"mine"}
    own = "outside_tasks:Pulses"
    wanted = [(3, '{"pulses": 3}'), (4, '{"pulses": 3}'), (5, '{"pulses": 2}')]
    assert rows_of(rows.filter(task=own), "lag", "knobs") == wanted
    assert rows_of(rows.filter(task="latch"), "lag") == [(3,)]
    assert f"{own} (pulses=3" in memcap(folder, "frontier", "study").out
    said = memcap(folder, "answer", "--task", own, "--lag", 9, "study").out
    assert "outside_tasks:Pulses at lag 9" in said
    assert "was not measured" in said
    assert "memcap train task=outside_tasks:Pulses task.lag=9" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "-m task=latch,outside_tasks:Nope",
            "task.name=outside_tasks:Nope: the module outside_tasks has no Nope",
        ),
        (
            "task=outside_tasks:Pulses task.symbols=2",
            "task.symbols: no such field; task has lag, length, pulses",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(folder, arguments, expected):
    before = {name for name in files(folder) if "__pycache__" not in name}
    done = memcap(folder, "train", *arguments.split())
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert done.err.startswith("memcap: ")
    assert expected in done.err
    assert {name for name in files(folder) if "__pycache__" not in name} == before


# Cells


@pytest.mark.breadth
def test_a_cell_trains_from_its_own_start(folder):
    line = "task=latch model.cell=outside_cells:Leaky recipe.init=flax"
    rows = trained(folder, "cell", line, "axes={model.units: [2, 3]}")
    assert rows_of(rows, "cell", "units", "carry_numbers", "init") == [
        ("outside_cells:Leaky", u, u, "flax") for u in (2, 3)
    ]
    assert rows_of(rows, "parameters") == [(7 * u + 2 * (u + 1),) for u in (2, 3)]


# Recipes


@pytest.mark.breadth
def test_a_recipe_by_name_and_in_an_axis(folder):
    line = "--config-dir configs task=latch model.units=1"
    one = trained(folder, "recipe", f"{line} recipe=mine")
    assert rows_of(one, "recipe", "init", "lr", "budget") == [("mine", "hold", 0.05, 4)]
    both = trained(folder, "recipes", line, "axes={recipe: [mine, hold]}")
    assert one["key"].item() in both["key"].to_list()
    # Of two files of one name both ways take the one that comes first in Hydra's search
    # path, memcap's own.
    hold = trained(folder, "hold", f"{line} recipe=hold")
    assert rows_of(both, "recipe", "lr") == [("hold", 0.03), ("mine", 0.05)]
    assert hold["key"].item() in both["key"].to_list()


def test_a_row_of_a_recipe_whose_file_is_gone_is_the_same_member(folder):
    line = "--config-dir configs task=latch model.units=1 recipe=mine"
    (row,) = trained(folder, "recipe", line).iter_rows(named=True)
    recipes.use_config_folders([])
    member = member_of(store.config_of(row))
    assert member.key == row["key"]
    assert (member.recipe.name, member.recipe.lr) == ("mine", 0.05)

"""A knob that comes tomorrow, of the network and of the recipe: its dataclass says all
that rows, points, labels, answers and the page of knobs say of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from memcap.config.recipes import Recipe
from memcap.knobs import Acts, acting_on, names_of
from memcap.models.model import Model

TESTS = Path(__file__).parents[1]

TOMORROW = """
from dataclasses import dataclass
from memcap.config import recipes
from memcap.knobs import knob
from memcap.models import model


@dataclass(frozen=True)
class Model(model.Model):
    mood: float = knob(0.0, "a knob of the network", at_least=0, at_most=1, before=0.0)


@dataclass(frozen=True)
class Recipe(recipes.Recipe):
    zeal: float | None = knob(None, "a knob of the recipe", at_least=0, at_most=1, before=0.0)


class ResolvedRecipe(recipes.ResolvedRecipe, Recipe):
    zeal: float


model.Model, recipes.Recipe, recipes.ResolvedRecipe = Model, Recipe, ResolvedRecipe
"""

TODAY = """
import json
from pathlib import Path

from study_rows import fake

from memcap import store
from memcap.answers.answer import answer
from memcap.frontiers.frontier import fit_all_recipes
from memcap.answers.answer import Question
from memcap.knobs import UserError, knobs_in_words
from memcap.config.member import Engine, Member
from memcap.loops.gated_native import GatedC
from memcap.models.export import LAYOUTS, export
from memcap.models.model import Model
from memcap.scripts.script import FRAMEWORKS, script
from memcap.training.program import loop_of
from memcap.training.step import TrainSpec
from memcap.config.recipes import Recipe
from memcap.answers.words import as_dict
from memcap.store import files, shards
from memcap.store.rows import frame
from memcap.studies.writer import row_of
from memcap.tasks import task_class

latch = task_class("latch")()


def row(mood, zeal, units, seed):
    member = Member(latch, 5, None, Model(units=units, mood=mood), Recipe("hold", zeal=zeal), seed=seed)
    solved = {"status": "solved", "solved": 20, "steady": 30, "steps": 30, "best": 1.0, "stretched": 1.0}
    outcome = {"train_loss": 0.5} | (solved if units > 1 else {"status": "unsolved", "steps": 1})
    return row_of(fake(member, **outcome), "made_up", "p")


ways = [(0.75, 0.25), (0.75, 0.5), (0.0, None)]
rows = [row(*way, units, seed) for way in ways for units in (1, 2, 3) for seed in range(4)]
Path("rows").mkdir()
files.write_table(Path("rows") / "made_up.parquet", frame(rows).drop("mood", "zeal"))
found = store.read(Path(), strict=True)
points = fit_all_recipes(found)
moody = [point for point in points if point.model.mood]
best = next(point for point in moody if point.recipe.zeal == 0.25)
result = as_dict(answer(Question(latch, 6, Model(units=1, mood=0.75), at="steady"), [best, best]))


def refusal(function, *arguments, **values):
    try:
        function(*arguments, **values)
    except UserError as error:
        return str(error)


def member(mood=0.0, zeal=None):
    return Member(latch, 5, None, Model(units=1, mood=mood), Recipe("hold", zeal=zeal))


def loop(name, **values):
    return loop_of(TrainSpec.of(member(**values)), 6, Engine(loop=name)).loop


GatedC.missing = lambda self: None
refusals = {}
for knob in ({"mood": 0.75}, {"zeal": 0.25}):
    (name,) = knob
    refusals[name] = {
        "native": refusal(loop, "native", **knob),
        "auto": loop("auto", **knob),
        **{name: refusal(script, member(**knob), name) for name in FRAMEWORKS},
    }
refusals["mood"] |= {f"export {name}": refusal(export, Model(mood=0.75), {}, name) for name in LAYOUTS}
print(json.dumps({
    "refusals": refusals,
    "as before": [loop("native"), loop("auto"), refusal(script, member(), "torch")],
    "columns": sorted(set(found.select("mood", "zeal").iter_rows())),
    "points": [[point.model.mood, point.recipe.zeal, sum(point.runs)] for point in points],
    "labels": [point.label for point in points],
    "recipes": [point.recipe.words for point in points],
    "answer": result,
    "knobs": [name for cls, group in ((Model, "model"), (Recipe, "recipe")) for name, *_ in knobs_in_words(cls, group)],
}))
"""  # noqa: E501


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The results of memcap on rows whose network and recipe have a knob that it does
    not have yet."""
    done = subprocess.run(
        [sys.executable, "-c", TOMORROW + TODAY],
        cwd=tmp_path_factory.mktemp("tomorrow"),
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("cls", [Model, Recipe])
def test_every_knob_of_today_says_what_it_acts_on(cls):
    """One that does not is refused by loops in C, scripts and exports."""
    assert acting_on(cls, *get_args(Acts)) == names_of(cls)


def test_it_is_a_column_of_rows_that_follows_from_their_configs(found):
    assert found["columns"] == [[0.0, 0.0], [0.75, 0.25], [0.75, 0.5]]


def test_members_with_other_values_are_other_points(found):
    assert sorted(found["points"]) == [
        [0.0, 0.0, 12],
        [0.75, 0.25, 12],
        [0.75, 0.5, 12],
    ]


def test_labels_and_words_of_recipes_name_it_where_it_is_not_as_before(found):
    assert sorted(set(found["labels"])) == ["latch", "latch (mood=0.75)"]
    assert sorted(found["recipes"]) == [
        ["recipe=hold"],
        ["recipe=hold", "recipe.zeal=0.25"],
        ["recipe=hold", "recipe.zeal=0.5"],
    ]


def test_an_answer_asks_for_it_and_says_it(found):
    assert "model.mood=0.75" in found["answer"]["command"]
    assert "recipe.zeal=0.25" in found["answer"]["command"]


def test_memcap_knobs_lists_it(found):
    assert {"model.mood", "recipe.zeal"} <= set(found["knobs"])


@pytest.mark.parametrize("knob", ["mood", "zeal"])
def test_what_does_not_know_it_refuses_it(found, knob):
    refusals = found["refusals"][knob]
    assert refusals.pop("auto") == "while"
    line = {"mood": "model.mood=0.75: ", "zeal": "recipe.zeal=0.25: "}[knob]
    assert all(text.startswith(line) for text in refusals.values())


def test_what_does_not_know_it_takes_members_that_are_as_before(found):
    assert found["as before"] == ["native", "native", None]

"""Rows of yesterday under the code of today and of tomorrow: a row that was written
keeps its key, whatever knobs come later.

frozen_rows.json has keys and configs as the code before the first later knob wrote
them: published rows, members of every task and of several cells, and every knob at
another value than its default.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from breadth import leave
from study_rows import fake, group, table

from memcap import cells, store
from memcap.cells import Init
from memcap.config import member as config, recipes
from memcap.config.member import Member, member_of
from memcap.config.recipes import Recipe, ResolvedRecipe
from memcap.frontiers.frontier import frontier
from memcap.knobs import knob
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.store.shards import tables
from memcap.studies.writer import row_of
from memcap.tasks import task_class

ROWS = json.loads((Path(__file__).parent / "frozen_rows.json").read_text())
LATCH = next(frozen for frozen in ROWS if frozen["config"]["task"]["name"] == "latch")


@pytest.mark.parametrize("frozen", ROWS, ids=lambda frozen: frozen["key"])
def test_a_frozen_row_keeps_its_key_and_its_config(frozen):
    member = member_of(frozen["config"])
    assert member.key == frozen["key"]
    assert member.config == frozen["config"]


@pytest.mark.parametrize("name", leave([*tables()], but=lambda name: name != "agents"))
def test_published_rows_keep_their_keys(name):
    """One of each kind, whatever its lag, width and seed."""
    rows = store.read(tables()[name])
    assert rows.height > 5
    numbers = pl.col("config").str.replace_all(r'"(lag|length|units|seed)": \d+', "")
    kinds = rows.with_columns(kind=numbers).unique("kind")
    for key, text in kinds.select("key", "config").iter_rows():
        assert member_of(json.loads(text)).key == key


# Tomorrow


def later(cls, default, before):
    """The class with one more knob, as a later version would have it."""

    @dataclass(frozen=True)
    class Later(cls):
        __module__ = cls.__module__
        mood: float | None = knob(default, "comes tomorrow", at_least=0, before=before)

    return Later


def come(monkeypatch, part, default=0.25, before=0.5):
    """Let a part of a member have one more knob: the class that replaces it."""
    if part == "task":
        cls = later(task_class("latch"), default, before)
        known = config.task_class
        monkeypatch.setattr(
            config, "task_class", lambda name: cls if name == "latch" else known(name)
        )
        return cls
    now = {"model": Model, "recipe": Recipe, "evaluation": Evaluation}[part]
    cls = later(now, None if part == "recipe" else default, before)
    monkeypatch.setattr(config, now.__name__, cls)
    if part == "recipe":
        monkeypatch.setattr(recipes, "Recipe", cls)
        cls = type("Later", (ResolvedRecipe, cls), {})
        monkeypatch.setattr(recipes, "ResolvedRecipe", cls)
        recipes.complete.cache_clear()
    return cls


@pytest.fixture(autouse=True)
def forgotten():
    """What was made of tomorrow's classes is used by no other test."""
    yield
    recipes.complete.cache_clear()


@pytest.mark.parametrize("part", ["task", "model", "recipe", "evaluation"])
def test_a_later_knob_changes_a_key_only_where_it_is_not_as_before(monkeypatch, part):
    cls = come(monkeypatch, part)
    member = member_of(LATCH["config"])
    assert isinstance(getattr(member, part), cls)
    assert (
        getattr(member, part).mood == 0.5
    )  # what it was before, not what it is now by default
    assert member.key == LATCH["key"]
    for mood in (0.25, 0.75):
        other = replace(member, **{part: replace(getattr(member, part), mood=mood)})
        assert other.config[part]["mood"] == mood
        assert other.key != LATCH["key"]
        assert member_of(other.config) == other
        assert member_of(other.config).key == other.key


@pytest.mark.parametrize(("default", "same"), [(0.5, True), (0.25, False)])
@pytest.mark.parametrize("name", ["hold", "open_gate", "chrono"])
def test_a_later_knob_of_a_start_changes_a_key_only_where_it_is_not_as_before(
    monkeypatch, name, default, same
):
    """The config holds what a preset made: one that makes something else makes another member."""
    member = Member(task_class("latch")(), 5, recipe=Recipe(name))
    key = member.key
    monkeypatch.setattr(cells, "Init", later(Init, default, before=0.5))
    again = member_of(member.config)
    assert again.init.mood == default
    assert (again.key == key) == same


def test_the_frontier_of_rows_without_a_later_knob_is_that_of_the_task_as_it_was(
    monkeypatch,
):
    """Rows of both times are one line of it."""
    cls = come(monkeypatch, "task")
    monkeypatch.setattr("memcap.store.columns.task_class", config.task_class)
    old = table(group("latch", 5))
    member = Member(cls(mood=0.5), 5)
    assert json.loads(old["knobs"][0]) == {"symbols": 2, "distractors": 4}
    (point,) = frontier(old)
    assert point.task == member.task
    same, other = (
        row_of(fake(each), "s", "p")
        for each in (member, replace(member, task=cls(mood=0.25)))
    )
    assert same["knobs"] == old["knobs"][0]
    both = frontier(pl.concat([old, old.with_columns(knobs=pl.lit(other["knobs"]))]))
    assert {p.task.mood for p in both} == {0.25, 0.5}

"""Axes multiply, grids add up, and every mistake is one line."""

import pytest
from study_checks import config, refusal

from memcap.config.recipes import recipe_file
from memcap.designs.axes import members
from memcap.knobs import UserError

POINTS = {  # axes, and (lag, units, seed) of each member; the config has lag 3, 1 unit and seed 10
    "no axes are the config itself": (None, [(3, 1, 10)]),
    "nor are none in a grid": ({}, [(3, 1, 10)]),
    "axes multiply, in the order in which they stand": (
        {"model.units": [4, 5], "task.lag": [1, 2]},
        [(1, 4, 10), (2, 4, 10), (1, 5, 10), (2, 5, 10)],
    ),
    "a number of seeds counts from the config's": (
        {"seed": 2},
        [(3, 1, 10), (3, 1, 11)],
    ),
    "a list of seeds does not": ({"seed": [7, 3]}, [(3, 1, 7), (3, 1, 3)]),
    "two ends are all between": (
        {"model.units": "2..4", "task.lag": "5..5"},
        [(5, u, 10) for u in (2, 3, 4)],
    ),
    "of seeds, too": ({"seed": "7..8"}, [(3, 1, 7), (3, 1, 8)]),
    "a single value is a list of one": (
        {"model.units": 6, "task.lag": 2},
        [(2, 6, 10)],
    ),
    "grids add up, and each member comes once": (
        [{"task.lag": [1, 2], "seed": 2}, {"task.lag": [2, 4]}, {"model.units": 1}],
        [(1, 1, 10), (1, 1, 11), (2, 1, 10), (2, 1, 11), (4, 1, 10), (3, 1, 10)],
    ),
}


@pytest.mark.parametrize("name", POINTS)
def test_axes_are_members(name):
    axes, expected = POINTS[name]
    assert [
        (m.lag, m.model.units, m.seed) for m in members(config(axes, seed=10))
    ] == expected


def test_another_task_has_its_own_knobs_and_the_configs_lag():
    knobs = {"task__symbols": 5, "task__lag": 6, "task__length": 40}
    found = members(config({"task": ["latch", "delay_line"]}, **knobs))
    assert [(m.task.name, m.task.symbols, m.lag, m.length) for m in found] == [
        ("latch", 5, 6, 40),
        ("delay_line", 2, 6, 40),
    ]
    found = members(config({"task": ["copy"], "task.items": [2, 3], "task.lag": [5]}))
    assert [(m.task.items, m.lag) for m in found] == [(2, 5), (3, 5)]


def test_another_recipe_has_the_values_of_its_file_and_what_was_set_by_hand():
    found = members(config({"recipe": ["hold", "open_gate"]}, recipe__budget=77))
    assert [(m.recipe.name, m.recipe.init, m.recipe.budget) for m in found] == [
        ("hold", "hold", 77),
        ("open_gate", "open_gate", 77),
    ]
    assert [m.recipe.lr for m in found] == [
        recipe_file(name)["lr"] for name in ("hold", "open_gate")
    ]


def test_a_recipe_axis_keeps_what_was_set_and_wants_no_other_recipe():
    base = config({"recipe": ["open_gate", "chrono"]})
    base["recipe"] = recipe_file("auto") | {
        "clip": 9.0
    }  # as Hydra composes recipe.clip=9
    assert [(m.recipe.name, m.recipe.clip) for m in members(base)] == [
        ("open_gate", 9.0),
        ("chrono", 9.0),
    ]
    base["recipe"] = recipe_file("open_gate")
    with pytest.raises(UserError, match="leave recipe=auto, not open_gate"):
        members(base)


def test_an_axis_of_the_recipe_overrides_the_recipes_file():
    found = members(config({"recipe.lr": [0.1, 0.2], "recipe": ["hold"]}))
    assert [(m.recipe.name, m.recipe.lr) for m in found] == [
        ("hold", 0.1),
        ("hold", 0.2),
    ]


MISTAKES = [
    ([3], "axes=3", "must map fields to lists"),
    ({"model": ["lstm"]}, "axes.model", "model.cell"),
    ({"task.items": [1]}, "axes.task.items", "task.distractors"),
    (
        {"task": ["adding", "latch"], "task.symbols": [2]},
        "axes.task.symbols",
        "task.lag",
    ),
    ({"engine.lanes": [1]}, "axes.engine.lanes", "evaluation.every"),
    ({"model.units": [[1, 2]]}, "axes.model.units", "a plain list"),
    ({"model.units": {"from": 1}}, "axes.model.units", "a plain list"),
    ({"seed": [-1]}, "seed=-1", "at least 0"),
    ({"seed": ["a"]}, "seed=a", "a whole number"),
    ({"recipe": ["best"]}, "recipe=best", "one of anywhere, auto"),
    ({"task.lag": [1, 2.5]}, "task.lag=2.5", "a whole number"),
    ({"recipe.lr": [None, 99]}, "recipe.lr=99", "at most 10"),
]


@pytest.mark.parametrize(("axes", "where", "allowed"), MISTAKES, ids=str)
def test_a_mistake_is_one_line(axes, where, allowed):
    text = refusal(lambda: members(config(axes)))
    assert text.startswith(where)
    assert allowed in text


def test_null_is_no_value_of_a_recipe():
    """It would mean what the file says, so that both arms of an ablation were one."""
    text = refusal(
        lambda: members(
            config(
                {"recipe": ["curriculum"], "recipe.falls_above": [None, 16]},
                task="delay_line",
            )
        )
    )
    assert text.startswith("axes.recipe.falls_above: null")

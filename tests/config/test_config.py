"""Members: every mistake is one line that says what is allowed, and the key is a hash
of everything that decides the result."""

import dataclasses
from copy import deepcopy

import pytest
from study_checks import refusal

from memcap.cells import cell_classes
from memcap.config.member import Engine, resolve, task_defaults, task_of
from memcap.config.recipes import (
    OPTIONAL,
    Recipe,
    ResolvedRecipe,
    recipe_file,
    recommended,
)
from memcap.knobs import completed, defaults, typed
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.runtime import ROOT
from memcap.tasks import task_class, task_classes
from memcap.tracking import Tracking

RECIPES = sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))


def values(changes=None, task="delay_line"):
    """A config's plain values with dotted changes."""
    found = {
        "task": task_defaults(task),
        "model": defaults(Model),
        "recipe": defaults(Recipe),
    }
    found |= {"evaluation": defaults(Evaluation), "seed": 0}
    for name, value in (changes or {}).items():
        group, _, field = name.partition(".")
        if field:
            found[group][field] = value
        else:
            found[group] = value
    return found


# One of each kind of limit: docs/knobs.md has those of every field.
MISTAKES = [
    ("task.lag", 2.5, "a whole number"),
    ("task.lag", True, "a whole number"),
    ("task.lag", None, "a whole number"),
    ("task.lag", 10**9, "at most 1000000"),
    ("task.length", 16, "at least 17"),
    ("task.reals", 1, "true or false"),
    ("evaluation.until", "dawn", "one of solved, steady"),
    ("task.distractors", 4, "lag, length, symbols, reals"),
    ("model.units", 5000, "at most 4096"),
    ("model.cell", "Foo", f"one of {', '.join(cell_classes())}, LSTMCell, or "),
    ("model.cell", "RNNCellBase", f"one of {', '.join(cell_classes())}, LSTMCell, or "),
    ("model.readout", "relu", "one of dense, lstm"),
    ("model.width", 3, "cell, units, readout"),
    ("recipe.lr", 11, "at most 10"),
    ("recipe.lr", float("nan"), "above 0"),
    ("recipe.lr", "fast", "a number"),
    ("recipe.warmup", -1, "at least 0"),
    ("recipe.lr_width", 5, "at least -4 and at most 4"),
    ("recipe.freeze", "readout", "cell"),
    ("recipe.momentum", 0.9, "name, init"),
    ("evaluation.every", 0, "at least 1"),
    ("seed", -1, "at least 0"),
    ("seed", 2**31, "at most 1000000000"),
]


@pytest.mark.parametrize(
    ("name", "value", "allowed"), MISTAKES, ids=lambda v: str(v)[:20]
)
def test_a_mistake_names_the_field_and_what_is_allowed(name, value, allowed):
    text = refusal(lambda: resolve(values({name: value})))
    assert text.startswith(name)
    assert allowed in text


@pytest.mark.parametrize(
    "name", ["magic", "a" * 300]
)  # longer than a file's name may be
def test_an_unknown_recipe_names_the_known_ones(name):
    text = refusal(lambda: resolve(values({"recipe.name": name})))
    assert text.startswith(
        f"recipe={name}: no such recipe; one of " + ", ".join(RECIPES)
    )


@pytest.mark.parametrize(
    ("cls", "field", "value", "allowed"),
    [
        (Engine, "lanes", -1, "at least 0"),
        (Tracking, "mode", "on", "one of off, wandb"),
        (Tracking, "project", 3, "text"),
    ],
)
def test_settings_are_checked_too(cls, field, value, allowed):
    text = refusal(lambda: typed(cls, {field: value}, cls.__name__.lower()))
    assert text.startswith(f"{cls.__name__.lower()}.{field}={value}")
    assert allowed in text


def test_a_lag_that_needs_no_memory_and_a_length_that_needs_no_lag_are_refused():
    assert "at least 3" in refusal(lambda: resolve(values({"task.lag": 2}, "count")))
    for name, cls in task_classes().items():
        lag = max(5, cls().smallest_lag)
        short = cls().shortest(lag) - 1
        text = refusal(
            lambda name=name, lag=lag, short=short: resolve(
                values({"task.lag": lag, "task.length": short}, name)
            )
        )
        assert text.startswith(f"task.length={short}")
        assert f"at least {short + 1}" in text
        assert (
            resolve(values({"task.lag": lag, "task.length": short + 1}, name)).length
            == short + 1
        )


def test_a_cell_whose_gates_are_unknown_is_refused_before_it_trains():
    text = refusal(
        lambda: resolve(values({"model.cell": "LSTMCell", "recipe.name": "curriculum"}))
    )
    assert text.startswith(
        "recipe.init=half_open: model.cell=LSTMCell has gates that are not known here"
    )
    assert "recipe.init=flax" in text
    assert (
        resolve(values({"model.cell": "LSTMCell", "recipe.init": "flax"})).init is None
    )


@pytest.mark.parametrize(
    ("cell", "recipe"),
    [("LSTMCell", "own_start"), ("delta_net", "own_start"), ("lstm", "curriculum_ggt")],
)
def test_a_cell_that_starts_itself_is_recommended_to(cell, recipe):
    member = resolve(values({"model.cell": cell}))
    assert (member.recipe.name, member.init is None) == (recipe, recipe == "own_start")


@pytest.mark.parametrize("init", ["hold", "open_gate", "chrono", "flax"])
def test_a_forget_bias_that_would_be_ignored_is_refused(init):
    cell = "GRUCell" if init == "flax" else "lstm"
    text = refusal(
        lambda: resolve(
            values({"recipe.init": init, "recipe.forget_bias": 2.0, "model.cell": cell})
        )
    )
    assert "only recipe.init=forget_bias takes it" in text


def test_the_lstm_has_no_start_of_flax():
    assert "use model.cell=OptimizedLSTMCell" in refusal(
        lambda: resolve(values({"recipe.init": "flax"}))
    )


def test_defaults_fill_in():
    member = resolve(values({"task.lag": 8}))
    assert (member.lag, member.length, member.seed) == (8, member.task.length(8), 0)
    assert member.recipe.name == recommended(member.task, 8) == "curriculum_ggt"
    assert member.recipe == ResolvedRecipe(
        **completed(Recipe, recipe_file("curriculum_ggt"))
    )
    assert resolve(values({"task.lag": 5})).recipe.name == "forget_bias"
    assert (
        resolve(values({"task.lag": 5, "task.symbols": 3})).recipe.name
        == "curriculum_muon"
    )
    assert (
        resolve(values({"task.lag": 17, "recipe.name": "hold"})).recipe.init == "hold"
    )


def test_a_value_set_here_overrides_the_files():
    member = resolve(values({"recipe.lr": 0.5, "recipe.batch": 7}))
    assert (member.recipe.lr, member.recipe.batch) == (0.5, 7)
    assert member.recipe.budget == recipe_file("curriculum_ggt")["budget"]
    assert (
        resolve(values({"recipe.lr": "1e-3"})).recipe.lr == 1e-3
    )  # YAML reads 1e-3 as text
    biased = resolve(
        values(
            {
                "recipe.init": "forget_bias",
                "recipe.name": "hold",
                "recipe.forget_bias": 3,
            }
        )
    )
    assert biased.init is not None
    assert biased.init.forget == 3.0


def test_resolve_leaves_its_argument_alone():
    given = values()
    before = deepcopy(given)
    resolve(given)
    assert given == before


OF_ONE_LAG = (
    "bandlimited_delay",
    "cue_discrimination",
    "data",
    "delay_line",
    "square_wave",
    "window_parity",
)


@pytest.mark.parametrize("task", task_classes())
def test_every_recipe_fits_every_task_and_those_that_it_recommends_exist(task):
    for recipe in RECIPES:
        given = values({"recipe.name": recipe, "task.lag": 12}, task)
        refused = ""
        if recipe in ("uniform", "anywhere") and task in OF_ONE_LAG:
            refused = "recipe.lags=uniform: the lag of"
        elif recipe == "anywhere" and not task_class(task)().filler:
            refused = "recipe.before=drawn: nothing can come before"
        if refused:
            assert refused in refusal(lambda given=given: resolve(given))
            continue
        if recipe_file(recipe).get("init") == "flax":
            given["model"]["cell"] = "LSTMCell"
        member = resolve(given)
        unset = {
            f.name
            for f in dataclasses.fields(Recipe)
            if getattr(member.recipe, f.name) is None
        }
        assert unset <= {"forget_bias", *OPTIONAL}
        assert member.recipe.name in RECIPES
    assert {
        recommended(task_class(task)(), lag) for lag in (3, 8, 16, 17, 50, 200)
    } <= {*RECIPES}


# Keys

CHANGES = {
    "task.name": "latch",
    "task.lag": 9,
    "task.length": 40,
    "task.symbols": 3,
    "task.reals": True,
    "model.cell": "GRUCell",
    "model.units": 9,
    "model.readout": "lstm",
    "model.layers": 2,
    "recipe.name": "chrono",
    "recipe.init": "hold",
    "recipe.forget_bias": 2.0,
    "recipe.lr": 0.04,
    "recipe.schedule": "constant",
    "recipe.warmup": 1,
    "recipe.batch": 65,
    "recipe.clip": 2.0,
    "recipe.budget": 3001,
    "recipe.falls_above": 4,
    "recipe.curriculum": 0.25,
    "recipe.advance": 0.9,
    "recipe.deadline": 0.5,
    "recipe.optimizer": "sgd",
    "recipe.decay": 0.1,
    "recipe.lags": "uniform",
    "recipe.lr_width": 0.5,
    "recipe.freeze": "cell",
    "recipe.before": "drawn",
    "evaluation.every": 99,
    "evaluation.sequences": 2047,
    "evaluation.successive": 3,
    "evaluation.stretch": 21,
    "evaluation.until": "solved",
    "evaluation.lengths": "60 90",
    "seed": 1,
}


def changed(name):
    if name == "task.name":
        return values(task=CHANGES[name])
    if name == "recipe.forget_bias":  # only one start has it
        return values({"recipe.name": "forget_bias", name: CHANGES[name]})
    if name == "recipe.decay":
        return values({"recipe.optimizer": "adamw", name: CHANGES[name]})
    if name == "recipe.lags":  # a delay line's lag is part of the question
        return values({name: CHANGES[name]}, "latch")
    if name == "recipe.before":
        return values({"recipe.name": "uniform", name: CHANGES[name]}, "latch")
    return values({name: CHANGES[name]})


def test_every_field_has_a_change():
    flat = {
        f"{group}.{field}"
        for group, fields in values().items()
        if isinstance(fields, dict)
        for field in fields
    }
    assert set(CHANGES) == flat | {"seed"}


def test_every_field_changes_the_key():
    bases = [values(), values({"recipe.name": "forget_bias"})]
    keys = [resolve(each).key for each in [*bases, *map(changed, CHANGES)]]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys)


def test_the_key_is_the_same_however_the_values_were_written():
    base = resolve(values({"task.lag": 8}))
    written_out = values(
        {f"recipe.{k}": v for k, v in recipe_file("curriculum_ggt").items()}
    )
    for same in (
        written_out,
        values({"task.length": base.length}),
        dict(reversed(values().items())),
    ):
        assert resolve(same).key == base.key
    assert (
        resolve(values({"recipe.lr": 1})).key == resolve(values({"recipe.lr": 1.0})).key
    )
    assert (
        resolve(
            values() | {"out": "elsewhere", "study": "other", "engine": {"lanes": 3}}
        ).key
        == base.key
    )


def test_a_stream_trains_until_it_is_steady_and_others_until_solved_with_the_key_that_they_had():
    for task in task_classes():
        member = resolve(values(task=task))
        until = "steady" if task in ("bandlimited_delay", "delay_line") else "solved"
        assert member.evaluation.until == until
        # left out where it is as it was before
        assert member.config["evaluation"].get("until", "solved") == until
        assert resolve(values({"evaluation.until": until}, task)).key == member.key
        other = {"steady": "solved", "solved": "steady"}[until]
        assert resolve(values({"evaluation.until": other}, task)).key != member.key


def test_task_of_reads_knobs_as_on_the_command_line():
    assert task_of("latch", ["symbols=4", "distractors=0"]) == task_class("latch")(
        symbols=4, distractors=0
    )
    assert task_of("delay_line", ["reals=true"]).reals is True

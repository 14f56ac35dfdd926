"""The design race: which recipe wins by what its nets did, what it may ask for, and
what follows."""

import itertools

import pytest
from design_checks import run
from study_checks import config

import memcap
from memcap.config import recipes
from memcap.config.recipes import Recipe
from memcap.designs.axes import raced_axes
from memcap.designs.design import Outcome
from memcap.designs.members import outcome_of
from memcap.designs.race import (
    FEWEST_WIDE_UNITS,
    FIRST_BUDGET,
    NARROW_PER_SYMBOL,
    SEEDS,
    WIDE_PER_SYMBOL,
    Race,
)
from memcap.knobs import UserError, field_values
from memcap.store import shards
from memcap.tasks import task_class

pytestmark = pytest.mark.usefixtures("quick_file")

RECIPES = ("curriculum", "curriculum_chrono", "hold", "forget_bias")
LATCH = task_class("latch")()


def members(lags=(5, 20), names=RECIPES, seeds=8, widths=range(1, 41), task="copy"):
    return memcap.members(
        task=task,
        lag=list(lags),
        recipe=list(names),
        units=list(widths),
        seed=list(range(seeds)),
    )


def raced(race, outcome):
    """All that a race trains, in order, and the recipes that win."""
    trained, _ = run(race, outcome)
    races = itertools.chain.from_iterable(race._races.values())
    return trained, [each.winner for each in races if each.winner is not None]


def won(outcome, names=RECIPES):
    """All that a race of recipes at lag 20 trains, and the name of the one that wins."""
    trained, winners = raced(Race(members(lags=[20], names=names), {}), outcome)
    (winner,) = winners
    return trained, winner.name


def good(name, width=6, steps=100):
    """Only one recipe trains, from a width on; another scores by its place in the
    alphabet, above chance."""

    def outcome(member):
        if member.recipe.name == name and member.model.units >= width:
            return Outcome(True, steps, 1.0)
        return Outcome(
            False,
            member.recipe.budget,
            0.2 + 0.1 * sorted(RECIPES).index(member.recipe.name),
        )

    return outcome


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_that_trains_wins_and_its_widths_are_searched(name):
    trained, winners = raced(Race(members(), {}), good(name))
    assert {recipe.name for recipe in winners} == {name}
    full = members(names=[name], widths=[1], seeds=1)[0].recipe
    searched = [m for m in trained if m.recipe == full]
    assert {5, 6} <= {m.model.units for m in searched}


def after_warmup(trained, name, units):
    """Budgets of a recipe's nets of a width, counted from the end of its warmup on."""
    nets = [
        m.recipe for m in trained if (m.recipe.name, m.model.units) == (name, units)
    ]
    return sorted({recipe.budget - recipe.warmup for recipe in nets})


def test_recipes_train_a_narrow_width_in_turn_and_then_all_a_wide_one():
    race = Race(members(lags=[20]), {})
    nets = race.first_members()
    symbols = nets[0].facts.held
    assert symbols == 4
    for name in RECIPES:
        assert {m.recipe.name for m in nets} == {name}
        assert {m.model.units for m in nets} == {NARROW_PER_SYMBOL * symbols}
        assert {m.seed for m in nets} == set(range(SEEDS))
        assert after_warmup(nets, name, NARROW_PER_SYMBOL * symbols) == [FIRST_BUDGET]
        nets = [
            new
            for m in nets
            for new in race.next_members(m, Outcome(False, FIRST_BUDGET, 0.9))
        ]
    assert {m.model.units for m in nets} == {
        max(FEWEST_WIDE_UNITS, WIDE_PER_SYMBOL * symbols)
    }
    assert [m.recipe.name for m in nets[::SEEDS]] == [*RECIPES]
    assert len(nets) == SEEDS * len(RECIPES)


def test_the_first_that_trains_narrow_nets_wins_and_those_after_it_are_not_tried():
    def outcome(member):
        name = member.recipe.name
        return Outcome(name != "curriculum", 1 if name == "hold" else 900, 1.0)

    trained, winner = won(outcome)
    assert winner == "curriculum_chrono"
    assert {m.recipe.name for m in trained} == {"curriculum", "curriculum_chrono"}


def test_rates_of_one_recipe_train_the_narrow_width_together_and_the_soonest_wins():
    rates = {"recipe.lr": [0.003, 0.01, 0.03]}
    nets = memcap.members(
        task="copy",
        lag=20,
        recipe="forget_bias",
        units=range(1, 9),
        seed=range(8),
        **rates,
    )
    assert {m.recipe.lr for m in Race(nets, {}).first_members()} == {0.003, 0.01, 0.03}

    def outcome(member):
        rate = member.recipe.lr
        return Outcome(rate > 0.005, round(100 * rate), 1.0)

    _, (winner,) = raced(Race(nets, {}), outcome)
    assert winner.lr == 0.01


def test_one_that_trains_narrow_nets_wins_over_one_that_is_quicker_with_room_to_spare():
    def outcome(member):
        quick = member.recipe.name == "forget_bias"
        passes = not quick or member.model.units > 4
        return Outcome(passes, 50 if quick else 900, 1.0)

    trained, winner = won(outcome, ("forget_bias", "hold"))
    assert winner == "hold"
    assert {m.model.units for m in trained if m.recipe.name == "forget_bias"} == {2}


def test_the_worse_half_is_left_behind_and_budgets_double_up_to_the_recipes_own():
    shares = {"hold": 0.9, "curriculum": 0.8}

    def outcome(member):
        recipe = member.recipe
        return Outcome(False, recipe.budget, shares.get(recipe.name, 0.2))

    trained, winner = won(outcome)
    assert winner == "hold"
    budgets = {name: after_warmup(trained, name, FEWEST_WIDE_UNITS) for name in RECIPES}
    assert budgets["forget_bias"] == budgets["curriculum_chrono"] == [FIRST_BUDGET]
    assert budgets["curriculum"] == [FIRST_BUDGET, 2 * FIRST_BUDGET]
    assert budgets["hold"] == [FIRST_BUDGET]  # which is its own


def passes_late(member):
    """All are at chance until budgets end: none is left behind."""
    passes = member.recipe.name == "curriculum" and member.recipe.budget >= 6000
    return Outcome(passes, member.recipe.budget, float(passes))


def passes_with_one_seed(member):
    """Fewer than half of the seeds of a recipe are no victory yet."""
    recipe = member.recipe
    lucky = recipe.name == "curriculum_chrono" and member.seed == 0
    late = recipe.name == "curriculum" and recipe.budget > FIRST_BUDGET + recipe.warmup
    return Outcome(lucky or late, recipe.budget, 0.5)


def passes_where_wide(member):
    """Return the outcome of a member that passes if it is wide, but for a seed of `hold`."""
    name = member.recipe.name
    fails = member.model.units < FEWEST_WIDE_UNITS or (
        name == "hold" and member.seed == 0
    )
    steps = {"hold": 10, "curriculum": 900}.get(name, 500)
    return Outcome(not fails, member.recipe.warmup + steps, 0.9)


@pytest.mark.parametrize(
    ("outcome", "names", "winner"),
    [
        (passes_late, ("hold", "forget_bias", "curriculum"), "curriculum"),
        (
            passes_with_one_seed,
            ("curriculum_chrono", "curriculum", "hold", "forget_bias"),
            "curriculum",
        ),
        (passes_where_wide, ("hold", "curriculum", "forget_bias"), "forget_bias"),
    ],
)
def test_who_wins(outcome, names, winner):
    assert won(outcome, names)[1] == winner


def test_all_that_it_asks_for_is_among_its_candidates_and_nothing_twice():
    race = Race(members(), {})
    candidates = set(race.candidates)
    bound = race.estimate
    trained, _ = run(race, good("forget_bias", width=30))
    assert set(trained) <= candidates
    assert len(race.candidates) == len(candidates)
    assert (
        bound >= len(trained) / 2
    )  # a search may turn out longer than the first recipes let expect


def test_what_the_store_holds_is_not_trained_again():
    outcome = good("hold")
    trained, _ = run(Race(members(), {}), outcome)
    again = Race(members(), trained)
    assert again.first_members() == []
    assert again.estimate == 0
    half = dict(list(trained.items())[: len(trained) // 2])
    rest, _ = run(Race(members(), half), outcome, half)
    assert set(rest) | set(half) == set(trained)


def test_an_outcome_is_scored_from_chance_to_perfect():
    (accuracy,) = memcap.members(task="latch", lag=5, seed=[0])
    (error,) = memcap.members(task="adding", lag=5, seed=[0])
    chance = error.facts.chance
    assert outcome_of(accuracy, False, 9, 0.75).share == pytest.approx(0.5)
    assert outcome_of(error, False, 9, chance / 4).share == pytest.approx(0.75)
    assert outcome_of(error, False, 9, 3 * chance).share == 0
    assert outcome_of(accuracy, False, 9, float("nan")).share == 0


GRID = {"model.units": [1, 2, 3], "seed": 4}


def test_recipes_are_added_where_a_race_is_asked_for_and_none_is_named():
    assert raced_axes(config(GRID), "race") == [GRID | {"recipe": recipes.race_names()}]
    named = GRID | {"recipe": ["hold", "chrono"]}
    assert raced_axes(config(named), "race") == [named]
    with pytest.raises(
        UserError, match="design=race: recipe=hold is one recipe; leave recipe=auto"
    ):
        raced_axes(config(GRID, recipe__name="hold"), "race")


def test_for_every_lag_up_to_one_the_recipe_that_is_recommended_for_it_races_first():
    own = {"task": "bandlimited_delay", "evaluation__until": "up_to"}
    (raced,) = raced_axes(config(GRID, **own), "bisect")
    (member,) = memcap.members(task="latch", lag=5, seed=[0], until="up_to")
    assert raced["recipe"][0] == member.recipe.name
    assert raced["recipe.lags"] == [member.recipe.lags]
    fields = [
        field_values(recipes.complete(Recipe(name, lags="uniform"), LATCH, 5, "lstm"))
        for name in raced["recipe"]
    ]
    assert len({tuple(values.values())[1:] for values in fields}) == len(fields)


@pytest.mark.parametrize(
    ("task", "before"), [("random_labels", ["drawn"]), ("bandlimited_delay", None)]
)
def test_filler_is_drawn_only_where_a_task_has_some(task, before):
    own = {"task": task, "evaluation__until": "anywhere"}
    (raced,) = raced_axes(config(GRID, **own), "bisect")
    assert raced["recipe.lags"] == ["uniform"]
    assert raced.get("recipe.before") == before


@pytest.mark.parametrize("cell", ["delta_net", "LSTMCell"])
def test_of_cells_that_start_themselves_rates_race(cell):
    grid = GRID | {"model.cell": [cell]}
    rates = {"recipe": ["own_start"], "recipe.lr": [0.003, 0.01, 0.03]}
    assert raced_axes(config(grid), "race") == [grid | rates]
    own_rates = grid | {"recipe.lr": [0.1, 0.2]}
    raced = [own_rates | {"recipe": ["own_start"]}]
    assert raced_axes(config(own_rates, recipe__lr=0.1), "race") == raced
    of_lstms = GRID | {"recipe": recipes.race_names()}
    assert raced_axes(config([GRID, grid]), "race") == [of_lstms, grid | rates]
    with pytest.raises(UserError, match="and one rate is no race"):
        raced_axes(config(grid, recipe__lr=0.1), "race")
    mixed = GRID | {"model.cell": ["lstm", cell]}
    with pytest.raises(UserError, match="give each kind a grid of its own"):
        raced_axes(config(mixed), "race")
    own = {"task": "bandlimited_delay"}  # nothing is recommended for it
    assert raced_axes(config(grid, **own), "bisect") == [grid | rates]
    assert raced_axes(config(grid, **own, recipe__lr=0.1), "bisect") is None
    assert raced_axes(config(mixed, **own), "bisect") is None


@pytest.mark.parametrize("design", ["grid", "bisect", "race"])
def test_axes_that_are_none_are_refused_and_not_left_out(design):
    with pytest.raises(UserError, match=r"axes=model\.units: must map fields"):
        raced_axes(config([GRID, "model.units"]), design)


@pytest.mark.parametrize("design", ["grid", "bisect"])
def test_recipes_race_where_nothing_is_recommended_and_there_is_room(design):
    own = "bandlimited_delay"
    raced = [GRID | {"recipe": recipes.race_names()}]
    assert raced_axes(config(GRID, task=own), design) == raced
    for axes, knobs in (
        (GRID, {}),
        (GRID | {"task": [own, "latch"]}, {}),
        (GRID | {"model.units": [1, 2]}, {"task": own}),
        (GRID, {"task": own, "recipe__name": "hold"}),
        (None, {"task": own}),
    ):
        assert raced_axes(config(axes, **knobs), design) is None


def test_a_study_races_and_resumes(tmp_path):
    made = members(
        lags=[3],
        names=("curriculum", "forget_bias"),
        seeds=4,
        widths=(1, 2, 4),
        task="latch",
    )
    rows = memcap.train(made, tmp_path, design="race", progress=False)
    assert {m.key for m in made} & set(rows["key"])
    assert FIRST_BUDGET + made[0].recipe.warmup in set(rows["budget"])
    before = shards.read(tmp_path).height
    assert (
        memcap.train(made, tmp_path, design="race", progress=False).height
        == rows.height
    )
    assert shards.read(tmp_path).height == before

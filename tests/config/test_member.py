"""A member made by hand is the one that the command makes: it fills itself in, and
refuses in one line what cannot be."""

from dataclasses import dataclass, replace

import pytest

from memcap import api
from memcap.config.member import Member, member_of, resolve, task_defaults, task_of
from memcap.config.recipes import Recipe, recipe_file
from memcap.knobs import UserError, defaults, knob, set_words
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.tasks import Facts, task_class, task_classes

Latch, Count, DelayLine = (
    task_class(name) for name in ("latch", "count", "delay_line")
)


@dataclass(frozen=True)
class Noisy(Latch):
    """A task with a knob that is a real number."""

    noise: float = knob(0.5, "none", at_least=0)


@dataclass(frozen=True)
class Obvious(Latch):
    """A task whose criterion chance meets, by its own facts."""

    def facts(self, lag, length):
        return Facts(held=1, bits=1.0, chance=0.5, threshold=0.5)


@dataclass(frozen=True)
class Shown(DelayLine):
    """A task that says less of chance than a look at the sequences does: the answer is
    the current symbol."""

    def sample(self, key, lag, length, steps, batch):
        drawn = super().sample(key, lag, length, steps, batch)
        return drawn._replace(targets=drawn.inputs)


def resolved(**changes) -> Member:
    """The member that the command makes of the same values."""
    base = {
        "task": task_defaults("latch") | {"lag": 5},
        "model": defaults(Model),
        "recipe": defaults(Recipe),
    }
    return resolve(base | {"evaluation": defaults(Evaluation), "seed": 0} | changes)


@pytest.mark.parametrize(
    ("made", "changes"),
    [
        (Member(Latch(), 5, recipe=Recipe("hold")), {"recipe": {"name": "hold"}}),
        (Member(Latch(), 5), {}),
        (
            Member(Latch(symbols=4), 5, 30),
            {"task": {"name": "latch", "lag": 5, "length": 30, "symbols": 4}},
        ),
        (
            Member(Latch(), 5, None, Model("GRUCell", 3, "lstm")),
            {"model": {"cell": "GRUCell", "units": 3, "readout": "lstm"}},
        ),
        (
            Member(Latch(), 5, recipe=Recipe(lr=1, budget=9)),
            {"recipe": {"lr": 1.0, "budget": 9}},
        ),
        (
            Member(Latch(), 5, recipe=Recipe("chrono", lr="1e-3")),
            {"recipe": {"name": "chrono", "lr": 0.001}},
        ),
        (
            Member(Latch(), 5, evaluation=Evaluation(7, 300), seed=3),
            {"evaluation": {"every": 7, "sequences": 300}, "seed": 3},
        ),
    ],
    ids=str,
)
def test_it_is_the_member_that_the_command_makes(made, changes):
    wanted = resolved(**changes)
    assert made == wanted
    assert made.key == wanted.key
    assert hash(made) == hash(wanted)


def test_the_knobs_of_its_task_are_converted_as_on_the_command_line():
    made = Member(Noisy(noise=1), 5)
    assert type(made.task.noise) is float
    assert made.key == Member(Noisy(noise=1.0), 5).key != Member(Noisy(), 5).key


@pytest.mark.parametrize("task", task_classes())
def test_to_replace_nothing_changes_nothing(task):
    lag = max(5, task_class(task)().smallest_lag)
    for made in (
        Member(task_class(task)(), lag),
        Member(task_class(task)(), lag, recipe=Recipe("forget_bias")),
    ):
        assert replace(made) == made
        assert replace(made).key == made.key
        assert member_of(made.config) == made
        other = replace(made, seed=1)
        assert (other.recipe, other.length, other.key == made.key) == (
            made.recipe,
            made.length,
            False,
        )


MISTAKES = [
    (lambda: Member("latch", 5), "task: must be an object of memcap.Task, not str"),
    (lambda: Member(Latch(symbols=2.0), 5), "task.symbols=2.0: must be a whole number"),
    (lambda: Member(DelayLine(reals=1), 5), "task.reals=1: must be true or false"),
    (lambda: Member(Latch(), 5.0), "task.lag=5.0: must be a whole number"),
    (
        lambda: replace(Member(Latch(), 5), lag=6),
        "task.length=7: a latch of lag 6 needs at least 8 steps",
    ),
    (
        lambda: Member(Latch(), 5, model=Model(cell=Model)),
        "must be text, MODULE:CLASS for a cell of your own",
    ),
    (lambda: Member(Latch(), 5, recipe=Recipe(3)), "recipe.name=3: must be text"),
    (
        lambda: Member(Latch(), 5, evaluation={"every": 5}),
        "evaluation: must be an object of memcap.Evaluation, not dict",
    ),
    (
        lambda: Member(Obvious(), 5),
        (
            "a net without memory scores accuracy 0.5 (by its own facts), which meets the"
            " criterion >= 0.5"
        ),
    ),
    (
        lambda: Member(Shown(), 5),
        "a net without memory scores accuracy 1 (measured on 2,048 drawn sequences), which meets",
    ),
]


@pytest.mark.parametrize(
    ("make", "line"), MISTAKES, ids=[line[:40] for _, line in MISTAKES]
)
def test_a_mistake_is_one_line(make, line):
    """Also where an equal value of another type has been accepted before."""
    Member(Latch(), 5), Member(DelayLine(reals=True), 5)
    with pytest.raises(UserError) as caught:
        make()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_value_of_a_recipe_may_be_missing(monkeypatch):
    monkeypatch.setattr(
        "memcap.config.recipes.recipe_file",
        lambda name: recipe_file("hold") | {"clip": None},
    )
    with pytest.raises(
        UserError,
        match=r"^recipe\.clip: not set; give it a value in /.*/conf/recipe/hold\.yaml$",
    ):
        Member(Latch(), 9, recipe=Recipe("hold", batch=17))


def test_a_value_of_a_members_recipe_may_be_set_back_to_the_files():
    member = Member(Latch(), 5, recipe=Recipe(name="hold", budget=7))
    again = replace(member, recipe=replace(member.recipe, budget=None))
    assert again == Member(Latch(), 5, recipe=Recipe(name="hold"))
    assert (
        api.members(Latch(), member.recipe, lag=5, units=8, seed=1, budget=[None])[
            0
        ].recipe
        == again.recipe
    )


def test_what_is_null_in_a_complete_recipe_stays_so():
    """As in a row of before its file had the value."""
    whole = Member(task_class("delay_line")(), 32, recipe=Recipe("curriculum"))
    without = replace(whole, recipe=replace(whole.recipe, falls_above=None))
    assert without.recipe.falls_above is None
    assert member_of(without.config) == without
    assert without.key != whole.key


def test_words_of_a_task_are_such_as_hydra_reads():
    words = set_words(Count(kind="tokens", scale=None))
    assert words == ["kind=tokens", "scale=null"]
    assert task_of("count", words) == Count(kind="tokens", scale=None)

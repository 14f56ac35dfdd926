"""What every task promises, checked on each task that the package finds, at several
settings of its knobs.

A new task needs no edit here: other values of its knobs come from what the knobs allow.
"""

from dataclasses import fields

import jax
import numpy as np
import pytest
from breadth import leave
from hypothesis import given, strategies as st
from study_checks import refusal
from task_checks import (
    BATCH,
    STEPS,
    draw,
    every_task,
    few,
    other_values,
    sampler,
    seeds,
    variants,
)

from memcap.config import recipes
from memcap.knobs import check
from memcap.rule import Criterion
from memcap.tasks import (
    Task,
    chance,
    information_floor,
    least_bits,
    one_per_number,
    task_class,
    task_classes,
)
from memcap.tasks.chance import sequences, without_memory
from memcap.tasks.contract import check_batch
from memcap.tasks.copy import Copy
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.mqar import Mqar

RECIPES = {path.stem for path in (recipes.ROOT / "conf" / "recipe").glob("*.yaml")} - {
    "auto"
}


def as_it_comes(task: Task, *_: int) -> bool:
    """Return whether it has the default of each knob; `make test` draws from no other task."""
    return task == type(task)()


each_task = pytest.mark.parametrize(
    "task", leave(every_task(), but=as_it_comes), ids=str
)
DTYPES = {np.dtype(kind) for kind in (np.int32, np.float32, bool)}
LAG = 12  # more than one window, and room for each place in a sequence
LENGTH = 2 * LAG + 6


def lag_of(task: Task) -> int:
    return max(LAG, task.smallest_lag)


def length_of(*tasks: Task) -> int:
    """Long enough for these tasks at their lag and one more."""
    return max(LENGTH, *(task.shortest(lag_of(task) + 1) for task in tasks))


def seen(task: Task, lag: int, length: int, seed: int = 0) -> list:
    """All that a network and its trainer can see of a batch."""
    batch = draw(task, lag, length, seed=seed, steps=max(STEPS, length + 1))
    boundary = [] if batch.window_starts is None else [batch.window_starts[:length]]
    return [*sequences(task, batch, length), *boundary, task.reset_carry]


def same(a: list, b: list) -> bool:
    return all(
        np.shape(x) == np.shape(y) and np.array_equal(x, y)
        for x, y in zip(a, b, strict=True)
    )


# The example has classes, which are never scaled: tests/own/test_table.py scales values.
VARIANTS = [
    (knob, other)
    for cls in task_classes().values()
    for knob, other in variants(cls)
    if knob != "scale_targets"
]
FIRST = [next(variants(cls)) for cls in (Copy, DelayLine, Mqar)]


@pytest.mark.parametrize(
    ("knob", "other"), leave(VARIANTS, but=lambda *each: each in FIRST), ids=str
)
def test_every_knob_changes_the_data(knob, other):
    """But for those that say when a task is solved and what the owner of a file knows it
    holds: these change the facts. Symbols are never scaled: tests/own/test_table.py
    scales numbers."""
    task = type(other)()
    check(other, "task")
    assert getattr(other, knob) != getattr(task, knob)
    lag = max(lag_of(task), lag_of(other))
    length = length_of(task, other)
    if knob in ("criterion", "bits", "right"):
        assert task.facts(lag, length) != other.facts(lag, length)
    else:
        symbols = knob == "scale" and task.name == "data"
        assert same(seen(task, lag, length), seen(other, lag, length)) == symbols


@each_task
def test_lag_and_length_change_the_data(task):
    """But of a count on a scale of its own, which its length alone decides."""
    lag = lag_of(task)
    length = length_of(task)
    by_length = isinstance(task, task_class("count")) and task.scale is not None
    assert same(seen(task, lag, length), seen(task, lag + 1, length)) == by_length
    steps = max(STEPS, length + 1)
    buffers = [
        jax.tree.leaves(draw(task, lag, n, steps=steps)) for n in (length, length + 1)
    ]
    assert not same(*buffers)


@each_task
def test_same_key_same_data_and_another_key_other_data(task):
    """Unless there is nothing to draw, as where time alone is counted: then all
    sequences of a batch are the same one."""
    arguments = task, lag_of(task), length_of(task)
    first = seen(*arguments)
    assert same(first, seen(*arguments))
    nothing_drawn = all(np.all(a_batch == a_batch[:1]) for a_batch in first[:3])
    assert same(first, seen(*arguments, seed=1)) == nothing_drawn


OF_A_PATH = [cls() for cls in task_classes().values()]
OF_A_PATH += [
    task for knob, task in VARIANTS if isinstance(getattr(task, knob), (str, bool))
]


@pytest.mark.parametrize(
    "task", leave(OF_A_PATH, but=lambda task: task in (Copy(), DelayLine())), ids=str
)
def test_plain_integers_and_a_tight_buffer_give_the_same_data(task):
    """Not under jit, lag and length as Python integers, no room to spare: equal to
    traced ones in a longer buffer, whichever path of its code a knob chooses; knobs
    that are numbers choose none."""
    lag = lag_of(task)
    length = length_of(task)
    plain = task.sample(jax.random.key(0), lag, length, length, BATCH)
    boundary = [] if plain.window_starts is None else [plain.window_starts[:length]]
    exact = [
        *sequences(task, jax.tree.map(np.asarray, plain), length),
        *boundary,
        task.reset_carry,
    ]
    assert same(exact, seen(task, lag, length))


@each_task
@few
@given(data=st.data(), seed=seeds)
def test_its_sequences_keep_the_contract(task, data, seed):
    lag = data.draw(st.integers(task.smallest_lag, lag_of(task)))
    steps = max(STEPS, length_of(task))
    length = data.draw(st.integers(task.shortest(lag), steps))
    batch = draw(task, lag, length, seed=seed, steps=steps)
    check_batch(task, "sample", batch, length, steps, BATCH)
    assert {leaf.dtype for leaf in jax.tree.leaves(batch)} <= DTYPES
    assert task.vocabulary in (None, task.features)
    if batch.mask is not None:
        assert np.all(batch.mask[length - 1])
        due = task.facts(lag, length).answers_due
        assert due == 1 or np.all(batch.mask.sum(0) == due)


def lengths_of(task: Task) -> list[int]:
    """The task's own length; at its default knobs also the shortest one and a longer one."""
    lag = lag_of(task)
    shortest = task.shortest(lag)
    more = {shortest, max(40, shortest + 10)} if task == type(task)() else set()
    return sorted({task.length(lag), *more})


each_length = pytest.mark.parametrize(
    ("task", "length"),
    leave(
        [(task, length) for task in every_task() for length in lengths_of(task)],
        but=lambda task, length: (
            as_it_comes(task) and length == task.length(lag_of(task))
        ),
    ),
    ids=str,
)


@pytest.fixture
def one_sampler(monkeypatch):
    """Of a task, whatever the length: its data are the same in each buffer, and each compiles."""
    monkeypatch.setattr(
        chance,
        "_sampler",
        lambda task, method, _, batch: sampler(task, max(lengths_of(task)), batch),
    )


@pytest.mark.usefixtures("quick_compile", "one_sampler")
@each_length
def test_chance_is_the_best_score_without_memory(task, length):
    """So no constant answer beats it either: that is one of the maps from the current input."""
    lag = lag_of(task)
    found = without_memory(task, lag, length, batch=8192)
    assert abs(found.mean - task.facts(lag, length).chance) < 3 * found.error + 1e-6


@each_task
def test_what_a_task_says_of_itself(task):
    for lag in (0, 1, 5, 17, 50, 200):
        says_of_itself(task, max(lag, task.smallest_lag))


def says_of_itself(task, lag):
    assert task.shortest(lag) <= task.length(lag)
    for length in (task.shortest(lag), task.length(lag), 4 * task.length(lag)):
        facts = task.facts(lag, length)
        assert facts.held >= 1
        assert facts.bits > 0
        least = least_bits(task, facts)
        assert least >= 1
        assert not facts.independent or least <= max(
            1, facts.bits
        )  # others may need a clock, too
        assert information_floor(task, facts, 64) <= max(1, one_per_number(facts, 2))
        assert (
            (facts.threshold > facts.chance)
            if task.higher_is_better
            else (facts.threshold < facts.chance)
        )
        assert not Criterion(task.metric, facts.threshold).passes(facts.chance)
    assert recipes.recommended(task, lag) in RECIPES
    assert task.metric == ("accuracy" if task.loss == "classes" else "mse")
    stretched_lag, stretched_length = task.stretched(lag, 4)
    assert stretched_lag >= lag
    longer = 0 if task.name == "data" else 3 * lag  # a file has no longer sequences
    assert stretched_length >= max(task.shortest(stretched_lag), longer)


def test_an_unknown_task_is_a_user_error():
    names = ", ".join(task_classes())
    text = refusal(lambda: task_class("zzz"))
    assert (
        text
        == f"task.name=zzz: no such task; one of {names}, or MODULE:CLASS for your own"
    )


def test_every_knob_says_what_it_means_and_has_another_value():
    for cls in task_classes().values():
        for field in fields(cls):
            assert field.metadata["doc"]
            assert other_values(field)

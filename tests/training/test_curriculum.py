"""The curriculum: where it is, what a member trains on, when it is asked, and at which rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from training_checks import Remembers

import memcap
from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.training import curriculum
from memcap.training.curriculum import (
    CurriculumState,
    curriculum_of,
    lr_scale,
    next_progress,
)
from memcap.training.engine import train
from memcap.training.host import initial_state, train_operands
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")


def member(lag=8, **values):
    usual = {"task": "delay_line", "recipe": "curriculum", "units": 4, "batch": 8}
    usual |= {"budget": 100, "seed": [1]}
    (made,) = memcap.members(**usual | {"lag": lag} | values)
    return made


CURRICULUM = curriculum_of(member(8), 42)
OF_ERRORS = curriculum_of(member(8, task="vector_hold"), 42)


def state(lag, score=0.0, arrived=-1):
    return CurriculumState(jnp.int32(lag), jnp.float32(score), jnp.int32(arrived))


def after_step(before, score, step=1, plan=CURRICULUM):
    """The state after a step of a member of lag 8."""
    return next_progress(
        before, plan, jnp.int32(8), jnp.int32(step), jnp.float32(score)
    )


@pytest.mark.parametrize(
    ("before", "score", "after"),
    [
        ((5, 0.94, -1), 0.95, (5, 0.8 * 0.94 + 0.2 * 0.95, -1)),  # not yet good enough
        ((5, 0.94, -1), 1.0, (6, 0.5, -1)),  # it rises, and the mean starts again
        ((8, 1.0, 3), 1.0, (8, 1.0, 3)),  # never above the lag
    ],
)
def test_the_front_rises_where_the_running_accuracy_is_good_enough(
    before, score, after
):
    found = after_step(state(*before), score)
    assert jax.tree.map(float, found) == pytest.approx(after)


def test_an_error_counts_as_an_accuracy_its_criterion_as_99_of_100():
    assert float(OF_ERRORS.criterion) == pytest.approx(0.02)
    states = [after_step(state(5), x, plan=OF_ERRORS) for x in (0.0, 0.02, 0.1, 4.0)]
    scores = [float(found.score) / 0.2 for found in states]
    assert scores == pytest.approx([1, 0.99, 0.95, 0])
    # an accuracy's is no operand: its programs are as they were
    assert CURRICULUM.criterion == ()


def test_the_front_arrives_by_the_deadline_whatever_the_accuracy():
    states = [curriculum.initial_state(CURRICULUM, 8)]
    for step in range(1, 101):
        states.append(after_step(states[-1], 0.0, step))
    lags = [int(found.lag) for found in states]
    assert lags == sorted(lags)
    assert lags.index(8) == int(states[-1].arrived) == 70  # .7 of a budget of 100


@pytest.mark.parametrize(
    ("lag", "plan", "at", "step", "scale"),
    [
        (8, {}, state(5), 60, 1),  # constant on its way,
        (8, {}, state(8, arrived=40), 40, 1),
        (8, {}, state(8, arrived=40), 70, 0.5),
        (8, {}, state(8, arrived=40), 100, 0),  # and 0 at the budget
        (8, {"arrive": np.bool_(False)}, state(8, arrived=40), 70, 1),
        *((64, {}, state(lag), 0, min(1, 16 / lag)) for lag in (10, 16, 32, 64)),
        (64, {"falls_above": np.float32(64)}, state(64), 0, 1),
    ],
)
def test_the_rate_falls_with_the_front_and_once_it_has_arrived(
    lag, plan, at, step, scale
):
    plan = curriculum_of(member(lag), 256)._replace(**plan)
    found = lr_scale(at, plan, jnp.int32(step), jnp.int32(100))
    assert float(found) == pytest.approx(scale, abs=1e-6)


def test_without_a_curriculum_the_rate_falls_with_the_members_lag():
    peaks = [member(lag).recipe.peak(lag, 8) for lag in (8, 16, 32)]
    assert peaks == pytest.approx([0.02, 0.02, 0.01])
    long = member(64)
    operands = train_operands(Program.of(long).trainer, long)
    # the front's share comes on top
    assert float(operands.lr) == pytest.approx(0.02)
    assert curriculum_of(member(64, falls_above=64), 256).falls_above == 64


@pytest.mark.breadth
def test_uniform_lags_are_drawn_anew_for_each_batch_with_their_lengths():
    one = member(6, task="word_problem", recipe="forget_bias", lags="uniform")
    trainer = Program.of(one).trainer
    operands = jax.tree.map(jnp.asarray, train_operands(trainer, one))

    @jax.jit
    @jax.vmap
    def drawn(step, at):
        start = initial_state(trainer, one)._replace(step=step, progress=at)
        return trainer.lag_and_length(start, operands)

    def drawn_at(front, steps):
        fronts = jax.tree.map(lambda leaf: jnp.repeat(leaf, steps), state(front))
        return drawn(jnp.arange(steps, dtype=jnp.int32), fronts)

    lags, lengths = drawn_at(6, 6000)
    counts = np.bincount(lags, minlength=7)
    assert counts[0] == 0
    # chi-squared, 5 degrees: passed in 999 of 1,000
    assert ((counts[1:] - 1000) ** 2 / 1000).sum() < 20.5
    assert abs(np.corrcoef(lags[:-1], lags[1:])[0, 1]) < 0.04  # three standard errors
    np.testing.assert_array_equal(lengths, np.asarray(lags) + 1)
    # a curriculum draws up to its front
    assert set(drawn_at(3, 100)[0].tolist()) == {1, 2, 3}


def test_nothing_is_asked_before_the_front_has_arrived():
    """Lag 2 of one symbol in two is soon learned at lag 1: still no evaluation before
    step 70, where the curriculum is forced."""
    slow = member(2, budget=100, every=10, advance=1.0, sequences=64, stretch=1)
    listener = Remembers()
    train([slow], Engine(workers=1), listener)
    points = listener.points[slow]
    assert min(step for step, values in points if "eval/accuracy" in values) > 70
    ends = {step: values for step, values in points if step % 10 == 0}
    trainer = Program.of(slow).trainer
    operands = train_operands(trainer, slow)
    for step, values in ends.items():
        assert values["train/lag"] == 1 + (step >= 70)
        at = state(values["train/lag"], arrived=-1 if step < 70 else 70)
        rate = trainer.learning_rate(np.int32(step), at, operands)
        assert values["train/lr"] == pytest.approx(float(rate), rel=1e-5, abs=1e-9)
    assert ends[60]["train/lr"] > ends[90]["train/lr"] > 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"recipe": "forget_bias", "curriculum": 0.5}, "recipe.advance: not set"),
        ({"recipe": "forget_bias", "schedule": "arrive"}, "recipe.curriculum: not set"),
        (
            {"task": "count", "scale": None, "lags": "uniform"},
            "recipe.lags=uniform: the lag of count is part of",
        ),
        ({"optimizer": "adamw"}, "recipe.decay=null: recipe.optimizer=adamw needs it"),
        (
            {"decay": 0.1},
            "recipe.decay=0.1: recipe.optimizer=adamw needs it, as in recipe.decay=0.01, and no",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(values, says):
    with pytest.raises(UserError) as caught:
        member(**values)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", [*leave(["delay_line"]), "count"])
def test_it_solves_what_it_should(task):
    values = {"task": task, "lag": [3, 4], "units": 5, "recipe": "curriculum"}
    values |= {"seed": [1], "budget": 1500, "sequences": 256, "stretch": 1}
    engine = Engine(loop="while", workers=1)
    rows = memcap.train(memcap.members(**values), engine=engine, progress=False)
    assert rows["solved"].all()
    assert rows["curriculum"].to_list() == [0.5, 0.5]

"""The curriculum: where it is, what a member trains on, when it is asked, and at which rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from training_checks import Remembers

import memcap
from memcap.config.knobs import UserError
from memcap.config.member import Engine
from memcap.training import curriculum
from memcap.training.curriculum import CurriculumState, curriculum_of, lr_scale, update
from memcap.training.engine import train
from memcap.training.operands import initial_state, train_operands
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")


def member(lag=8, **values):
    usual = {
        "task": "delay_line",
        "recipe": "curriculum",
        "units": 4,
        "batch": 8,
        "budget": 100,
        "seed": [1],
    }
    (made,) = memcap.members(**usual | {"lag": lag} | values)
    return made


CURRICULUM = curriculum_of(member(8), 42)


def test_it_starts_at_half_of_the_lag_with_the_lengths_of_the_fronts():
    task = member(8).task
    assert CURRICULUM.start == 4
    assert CURRICULUM.lengths[4:9].tolist() == [task.length(lag) for lag in range(4, 9)]
    assert curriculum_of(member(1), 42).start == 1
    assert curriculum.initial_state(CURRICULUM, 8).arrived == -1
    assert curriculum.initial_state(curriculum_of(member(1), 42), 1).arrived == 0


def test_the_front_rises_where_the_running_accuracy_is_good_enough_and_the_mean_starts_again():
    state = CurriculumState(jnp.int32(5), jnp.float32(0.94), jnp.int32(-1))
    stays = update(state, CURRICULUM, jnp.int32(8), jnp.int32(1), jnp.float32(0.95))
    assert (int(stays.lag), float(stays.score)) == (
        5,
        pytest.approx(0.8 * 0.94 + 0.2 * 0.95),
    )
    rises = update(state, CURRICULUM, jnp.int32(8), jnp.int32(1), jnp.float32(1.0))
    assert (int(rises.lag), float(rises.score), int(rises.arrived)) == (6, 0.5, -1)


def test_an_error_counts_as_an_accuracy_its_threshold_as_99_of_100():
    of_errors = curriculum_of(member(8, task="vector_hold"), 42)
    assert float(of_errors.threshold) == pytest.approx(0.02)
    state = CurriculumState(jnp.int32(5), jnp.float32(0), jnp.int32(-1))

    def score(error):
        return (
            float(
                update(
                    state, of_errors, jnp.int32(8), jnp.int32(1), jnp.float32(error)
                ).score
            )
            / 0.2
        )

    assert [score(error) for error in (0.0, 0.02, 0.1, 4.0)] == pytest.approx(
        [1, 0.99, 0.95, 0]
    )
    # an accuracy's is no operand: its programs are as they were
    assert CURRICULUM.threshold == ()


def test_the_front_arrives_by_the_deadline_whatever_the_accuracy():
    state = curriculum.initial_state(CURRICULUM, 8)
    lags = []
    for step in range(1, 101):
        state = update(
            state, CURRICULUM, jnp.int32(8), jnp.int32(step), jnp.float32(0.0)
        )
        lags.append(int(state.lag))
    assert lags == sorted(lags)
    assert lags.index(8) + 1 == 70  # .7 of a budget of 100
    assert int(state.arrived) == 70


def test_the_front_never_passes_the_lag():
    state = CurriculumState(jnp.int32(8), jnp.float32(1.0), jnp.int32(3))
    after = update(state, CURRICULUM, jnp.int32(8), jnp.int32(9), jnp.float32(1.0))
    assert (int(after.lag), int(after.arrived)) == (8, 3)


def test_the_rate_is_constant_until_the_front_arrives_and_0_at_the_budget():
    on_its_way = CurriculumState(jnp.int32(5), jnp.float32(0), jnp.int32(-1))
    there = CurriculumState(jnp.int32(8), jnp.float32(0), jnp.int32(40))
    assert float(lr_scale(on_its_way, CURRICULUM, jnp.int32(60), jnp.int32(100))) == 1.0
    assert float(lr_scale(there, CURRICULUM, jnp.int32(40), jnp.int32(100))) == 1.0
    assert float(
        lr_scale(there, CURRICULUM, jnp.int32(70), jnp.int32(100))
    ) == pytest.approx(0.5)
    assert float(
        lr_scale(there, CURRICULUM, jnp.int32(100), jnp.int32(100))
    ) == pytest.approx(0.0, abs=1e-6)
    constant = CURRICULUM._replace(arrive=np.bool_(False))
    assert float(lr_scale(there, constant, jnp.int32(70), jnp.int32(100))) == 1.0


def test_a_step_draws_at_the_front():
    trainer = Program.of(member(8)).trainer
    state = initial_state(trainer, member(8))
    operands = train_operands(trainer, member(8))
    assert tuple(map(int, trainer.lag_and_length(state, operands))) == (
        4,
        member(8).task.length(4),
    )
    there = state._replace(
        curriculum=CurriculumState(np.int32(8), np.float32(0), np.int32(9))
    )
    assert tuple(map(int, trainer.lag_and_length(there, operands))) == (
        8,
        member(8).length,
    )


UNIFORM = member(
    6, task="word_problem", recipe="forget_bias", lags="uniform", budget=20, every=10
)


@pytest.mark.breadth
def test_uniform_lags_are_drawn_anew_for_each_batch_with_their_lengths():
    trainer = Program.of(UNIFORM).trainer
    state = initial_state(trainer, UNIFORM)
    operands = jax.tree.map(jnp.asarray, train_operands(trainer, UNIFORM))
    steps = np.arange(6000, dtype=np.int32)
    lags, lengths = jax.vmap(
        lambda step: trainer.lag_and_length(state._replace(step=step), operands)
    )(steps)
    counts = np.bincount(lags, minlength=7)
    assert counts[0] == 0
    # chi-squared, 5 degrees: passed in 999 of 1,000
    assert ((counts[1:] - 1000) ** 2 / 1000).sum() < 20.5
    assert abs(np.corrcoef(lags[:-1], lags[1:])[0, 1]) < 0.04  # three standard errors
    np.testing.assert_array_equal(lengths, np.asarray(lags) + 1)
    # a curriculum draws up to its front
    halfway = CurriculumState(np.int32(3), np.float32(0), np.int32(-1))
    half = state._replace(curriculum=halfway)
    lags, _ = jax.vmap(
        lambda step: trainer.lag_and_length(half._replace(step=step), operands)
    )(steps[:100])
    assert set(lags.tolist()) == {1, 2, 3}


def test_nothing_is_asked_before_the_front_has_arrived():
    """Lag 2 of one symbol in two is soon learned at lag 1: still no evaluation before
    step 70, where the curriculum is forced."""
    slow = member(2, budget=100, every=10, advance=1.0, sequences=64, stretch=1)
    listener = Remembers()
    train([slow], Engine(workers=1), listener)
    asked = [
        step for step, values in listener.points[slow] if "eval/accuracy" in values
    ]
    assert asked
    assert min(asked) > 70
    ends = {step: values for step, values in listener.points[slow] if step % 10 == 0}
    lags = {step: values["train/lag"] for step, values in ends.items()}
    assert lags == dict.fromkeys(range(10, 70, 10), 1) | dict.fromkeys(
        range(70, 101, 10), 2
    )
    trainer = Program.of(slow).trainer
    operands = train_operands(Program.of(slow).trainer, slow)
    for step, values in ends.items():
        at = CurriculumState(
            np.int32(lags[step]), np.float32(0), np.int32(-1 if step < 70 else 70)
        )
        rate = trainer.learning_rate(np.int32(step), at, operands)
        assert values["train/lr"] == pytest.approx(float(rate), rel=1e-5, abs=1e-9)
    assert ends[60]["train/lr"] > ends[90]["train/lr"] > 0


@pytest.mark.parametrize("task", [*leave(["delay_line"]), "count"])
def test_it_solves_what_it_should(task):
    easy = memcap.members(
        task=task,
        lag=[3, 4],
        units=5,
        recipe="curriculum",
        seed=[1],
        budget=1500,
        sequences=256,
        stretch=1,
    )
    rows = memcap.train(easy, engine=Engine(loop="while", workers=1), progress=False)
    assert rows["solved"].all()
    assert rows["curriculum"].to_list() == [0.5, 0.5]


def test_learning_rates_fall_with_the_lag_of_the_front():
    assert [member(lag).recipe.peak(lag, 8) for lag in (8, 16, 32)] == pytest.approx(
        [0.02, 0.02, 0.01]
    )
    trainer = Program.of(member(64)).trainer
    made = curriculum_of(member(64), 256)
    # the front's share comes on top
    assert float(train_operands(trainer, member(64)).lr) == pytest.approx(0.02)
    states = [
        CurriculumState(jnp.int32(lag), jnp.float32(0), jnp.int32(-1))
        for lag in (10, 16, 32, 64)
    ]
    shares = [
        float(lr_scale(state, made, jnp.int32(0), jnp.int32(100))) for state in states
    ]
    assert shares == pytest.approx([1, 1, 1 / 2, 1 / 4])
    everywhere = curriculum_of(member(64, falls_above=64), 256)
    assert float(lr_scale(states[3], everywhere, jnp.int32(0), jnp.int32(100))) == 1


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
        (
            {"floor": 0.1},
            "recipe.floor=0.1: only recipe.schedule=cosine has it, not arrive",
        ),
        (
            {"warmup_share": 0.1},
            "recipe.warmup_share=0.1: replaces recipe.warmup=400; set recipe",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(values, says):
    with pytest.raises(UserError) as caught:
        member(**{"lag": 8} | values)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)

"""Members that are to be right at every lag up to their own: which lags are asked, and on what."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from hypothesis import given, strategies as st
from training_checks import ONE, member

from memcap.knobs import UserError
from memcap.rule import Stream
from memcap.tasks import task_class
from memcap.training.engine import train
from memcap.training.host import eval_operands
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")

ASK = {"every": 100, "sequences": 512, "until": "up_to"}


def latch(units=2, seed=0, budget=2000):
    values = {"recipe": "uniform", "batch": 32, "budget": budget}
    return member("latch", 12, units=units, seed=seed, **values, **ASK)


@pytest.fixture(scope="module")
def uniform():
    """A latch that drew its lags."""
    return train([latch()], ONE)[0]


@given(lag=st.integers(1, 4000))
def test_all_lags_to_8_are_asked_and_then_eight_per_doubling(lag):
    asked = task_class("latch")().lags_up_to(lag)
    assert asked[-1] == lag
    assert list(asked[:8]) == [*range(1, min(8, lag) + 1)]
    assert all(b - a == 1 or b / a <= 2 ** (1 / 8) * 1.06 for a, b in pairwise(asked))
    assert all(sum(low <= each < 2 * low for each in asked) <= 9 for low in asked)


@pytest.mark.breadth
def test_a_net_that_drew_its_lags_is_right_at_each_of_them(uniform):
    """By its own network, on sequences that nobody drew before."""
    assert uniform.passed
    assert uniform.solved <= uniform.up_to == uniform.steps
    assert uniform.worst <= uniform.mean
    one = uniform.member
    network = one.architecture.build(uniform.weights)
    run = jax.jit(network)
    for lag in (1, 2, 5, 10, 12):
        batch = one.task.sample(jax.random.key(lag), lag, lag + 2, lag + 2, 512)
        outputs = run(batch.inputs)[:, -1]
        assert (outputs.argmax(0) == batch.targets).mean() > 0.97


@pytest.mark.breadth
def test_the_scores_are_those_of_each_lag_on_sequences_of_its_own(uniform):
    one = uniform.member
    trainer = Program.of(one).trainer
    params = trainer.spec.architecture.flatten(uniform.weights)
    operands = eval_operands(one, Stream.UP_TO)
    sequences = [each.sequences for each in operands]
    assert [(each.lag, each.length) for each in sequences] == list(one.lags_up_to)
    assert {int(each.blocks) for each in operands} == {256 // one.evaluation.block}
    assert len({each.key.tobytes() for each in sequences}) == len(sequences)
    evaluate = jax.jit(trainer.evaluate)
    scores = [float(evaluate(params, each).mean) for each in operands]
    assert uniform.mean == pytest.approx(np.mean(scores), abs=1e-6)
    assert uniform.worst == min(scores)
    assert uniform.worst_lag == one.lags_up_to[int(np.argmin(scores))][0]


def test_one_that_knows_its_own_lag_alone_is_solved_and_not_right_up_to_it():
    """A blank lag teaches a clock: the symbols are said when they are due, whatever was asked."""
    values = {"items": 2, "units": 6, "recipe": "chrono", "budget": 1500}
    (clock,) = train([member("copy", 8, **values, **ASK)], ONE)
    assert clock.status == "solved"
    assert clock.solved is not None
    assert (clock.up_to, clock.passed) == (None, False)
    assert clock.steps == 1500  # it trained on
    assert clock.worst < 0.9
    assert clock.worst_lag < 8


@pytest.mark.parametrize(
    "task", ["delay_line", "square_wave", "bandlimited_delay", "cue_discrimination"]
)
def test_where_the_lag_is_part_of_what_is_asked_it_is_refused(task):
    said = f"until=up_to: the lag of {task} is part of the question"
    with pytest.raises(UserError, match=said):
        member(task, 5, until="up_to")


def test_lengths_are_the_tasks_and_at_its_own_lag_the_members():
    longer = member("temporal_order", 20, length=30)
    assert longer.lags_up_to[0] == (3, longer.task.length(3))
    assert longer.lags_up_to[-1] == (20, 30)
    # the task's length of 83 would be 93
    tight = member("temporal_order", 90, length=92)
    assert tight.lags_up_to[-2:] == ((83, 92), (90, 92))


def test_by_default_it_takes_the_recipe_that_draws_lags():
    assert member("parity", 5, until="up_to").recipe.lags == "uniform"
    assert member("parity", 5).recipe.lags is None

"""What every task promises, checked on each task that the package finds, at several settings of its knobs."""

from dataclasses import fields, replace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import BATCH, STEPS, draw, few, seeds, sequences, without_memory

from memcap.knobs import UserError, check
from memcap.tasks import Task, information_floor, one_per_number, task_class, task_classes

RECIPES = {"forget_bias", "open_gate", "open_gate_relaxed", "hold", "chrono"}
DETERMINISTIC = {("count", "time")}  # nothing to draw

# For each task, for each knob, another value. A knob without an entry fails `test_every_knob_has_another_value`.
OTHER = {
    "adding": {},
    "copy": {"items": 3, "symbols": 5, "distractors": 3, "cue": "throughout"},
    "count": {"kind": "tokens"},
    "delay_line": {"symbols": 4, "reals": True},
    "latch": {"symbols": 5, "distractors": 2},
    "pattern": {"classes": 3, "middle": "random"},
    "temporal_order": {"relevant": 3},
    "windows": {"window": 3, "label": "last", "carry": "reset"},
}
TASKS = [
    made
    for name, cls in task_classes().items()
    for made in [cls(), *(replace(cls(), **{knob: value}) for knob, value in OTHER.get(name, {}).items())]
]
each_task = pytest.mark.parametrize("task", TASKS, ids=str)
LAG = 12  # more than one window, and room for each place in a sequence
LENGTH = 2 * LAG + 6  # long enough for every task


def seen(task: Task, lag: int, length: int, seed: int = 0) -> list:
    """All that a network and its trainer can see of a batch."""
    batch = draw(task, lag, length, seed=seed)
    boundary = [] if batch.boundary is None else [batch.boundary[:length]]
    return [*sequences(task, batch, length), *boundary, task.reset_carry]


def same(a: list, b: list) -> bool:
    return all(np.shape(x) == np.shape(y) and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_every_knob_has_another_value():
    for name, cls in task_classes().items():
        assert set(OTHER[name]) == {f.name for f in fields(cls)}


@pytest.mark.parametrize(("name", "knob"), [(name, knob) for name, knobs in OTHER.items() for knob in knobs])
def test_every_knob_changes_the_data(name, knob):
    task = task_class(name)()
    other = replace(task, **{knob: OTHER[name][knob]})
    check(other, "task")
    assert not same(seen(task, LAG, LENGTH), seen(other, LAG, LENGTH))


@each_task
def test_lag_and_length_change_the_data(task):
    assert not same(seen(task, LAG, LENGTH), seen(task, LAG + 1, LENGTH))
    buffers = [jax.tree.leaves(draw(task, LAG, length)) for length in (LENGTH, LENGTH + 1)]
    assert not same(*buffers)


@each_task
def test_same_key_same_data_and_another_key_other_data(task):
    assert same(seen(task, LAG, LENGTH), seen(task, LAG, LENGTH))
    if (task.name, getattr(task, "kind", None)) not in DETERMINISTIC:
        assert not same(seen(task, LAG, LENGTH), seen(task, LAG, LENGTH, seed=1))


@each_task
def test_plain_integers_and_a_tight_buffer_give_the_same_data(task):
    """Not under jit, lag and length as Python integers, no room to spare: equal to traced ones in a longer buffer."""
    assert LENGTH < STEPS
    plain = task.sample(jax.random.key(0), LAG, LENGTH, LENGTH, BATCH)
    boundary = [] if plain.boundary is None else [plain.boundary[:LENGTH]]
    exact = [*sequences(task, jax.tree.map(np.asarray, plain), LENGTH), *boundary, task.reset_carry]
    assert same(exact, seen(task, LAG, LENGTH))


@each_task
@few
@given(data=st.data(), seed=seeds)
def test_shapes_dtypes_and_ranges(task, data, seed):
    lag = data.draw(st.integers(task.smallest_lag, 12))
    length = data.draw(st.integers(task.shortest(lag), STEPS))
    batch = draw(task, lag, length, seed=seed)
    if task.vocabulary is None:
        assert batch.inputs.shape == (STEPS, BATCH, task.features)
        assert batch.inputs.dtype == np.float32
    else:
        assert task.features == task.vocabulary
        assert batch.inputs.shape == (STEPS, BATCH)
        assert batch.inputs.dtype == np.int32
        assert batch.inputs.min() >= 0
        assert batch.inputs.max() < task.vocabulary
    assert batch.targets.dtype == (np.int32 if task.loss == "classes" else np.float32)
    if task.loss == "classes":
        assert batch.targets.min() >= 0
        assert batch.targets.max() < task.outputs
    if task.answers == "last":
        assert batch.mask is None
        assert batch.targets.shape == (BATCH,)
    else:
        assert batch.mask.shape == batch.targets.shape == (STEPS, BATCH)
        assert batch.mask.dtype == bool
        assert batch.mask.any(0).all()
        assert not batch.mask[length:].any()
        assert np.all(batch.mask[length - 1])
    if batch.boundary is not None:
        assert batch.boundary.shape == (STEPS,)
        assert batch.boundary.dtype == bool


@each_task
def test_chance_is_the_best_score_without_memory(task):
    mean, error = without_memory(task, LAG)
    assert abs(mean - task.chance(LAG)) < 3 * error + 1e-6


@each_task
@pytest.mark.parametrize("lag", [None, 1, 5, 17, 50, 200])
def test_what_a_task_says_of_itself(task, lag):
    lag = max(lag or 0, task.smallest_lag)
    assert task.shortest(lag) <= task.length(lag)
    assert task.held(lag) >= 1
    assert task.bits(lag) > 0
    assert task.recipe(lag) in RECIPES
    assert information_floor(task, lag, 2) <= max(1, one_per_number(task, lag, 2))
    assert task.metric == ("accuracy" if task.loss == "classes" else "mse")
    solved, chance = task.threshold(lag), task.chance(lag)
    assert (solved > chance) if task.higher_is_better else (solved < chance)
    stretched_lag, stretched_length = task.stretched(lag, 4)
    assert stretched_lag >= lag
    assert stretched_length >= max(task.shortest(stretched_lag), 3 * lag)


def test_an_unknown_task_is_a_user_error():
    with pytest.raises(UserError, match=r"task\.name=delay: no such task; one of adding, copy, count, delay_line"):
        task_class("delay")

from functools import partial

import jax
import numpy as np
import pytest
from breadth import leave
from loop_checks import pass_over

from memcap.models.architecture import Architecture
from memcap.models.constructed import constructed, constructed_units
from memcap.tasks.adding import Adding
from memcap.tasks.copy import Copy
from memcap.tasks.count import Count
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch
from memcap.tasks.pattern import Pattern
from memcap.tasks.selective_copy import SelectiveCopy
from memcap.tasks.temporal_order import TemporalOrder
from memcap.tasks.windows import Windows

SEQUENCES = 2048


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def run(task, model, steps, sequences, weights, lag, length):
    """Fresh sequences and the network's outputs: one program for all lags that share
    the width and the buffer."""
    batch = task.sample(jax.random.key(lag), lag, length, steps, sequences)
    network = Architecture(model, task.features, task.outputs).build(weights)
    over = pass_over(
        batch.inputs,
        length,
        batch.window_starts,
        task.reset_carry,
        every=task.answers == "every",
    )
    return batch, network.run(over)[1]


def answers(task, lag, length=None, sequences=SEQUENCES, steps=None):
    """Outputs (O, N) and targets (N,) at the N places where an answer is due."""
    model, weights = constructed(task, lag)
    length = task.length(lag) if length is None else length
    batch, outputs = run(task, model, steps or length, sequences, weights, lag, length)
    due = (
        np.ones(batch.targets.shape, bool)
        if batch.mask is None
        else np.asarray(batch.mask)
    )
    return np.asarray(outputs)[:, due], np.asarray(batch.targets)[due]


CLAIMS = [  # tasks, lags, units, and options of `answers`: one program for all lags of a width
    (
        [Latch(), Latch(symbols=64), Latch(symbols=64, distractors=0)],
        (1, 5, 50, 1000),
        1,
        {"steps": 1002},
    ),
    ([Latch(symbols=1024)], (50,), 1, {"length": 80}),
    ([DelayLine(symbols=2), DelayLine(symbols=8)], (1, 5, 50), None, {}),
    ([DelayLine(symbols=64)], (20,), None, {"sequences": 256}),
    ([DelayLine(reals=True)], (5, 50), None, {}),
    ([Adding()], (1, 5, 50, 1000), 1, {"steps": 1001}),
    (
        [Count(), Count(kind="tokens")],
        (3, 5, 50, 1000),
        1,
        {"sequences": 256, "steps": 1000},
    ),
    (
        [TemporalOrder(), TemporalOrder(relevant=3)],
        (4, 5, 50, 1000),
        1,
        {"steps": 1112},
    ),
    ([Pattern(), Pattern(classes=3)], (1, 5, 50), 1, {"steps": 51}),
    ([Windows(), Windows(label="last")], (1, 5, 50), 1, {"steps": 51}),
    ([Windows(window=10, carry="reset")], (9,), 1, {"length": 35}),
    ([SelectiveCopy()], (1, 5, 400), 6, {"steps": 450}),
    ([SelectiveCopy(items=10, symbols=8)], (1, 5, 400), 12, {"steps": 450}),
    (
        [SelectiveCopy(items=1, distractors=3, cue="throughout")],
        (1, 5, 400),
        3,
        {"steps": 450},
    ),
]


@pytest.mark.parametrize(
    ("task", "lag", "units", "options"),
    leave(
        [
            (task, lag, lag + 1 if units is None else units, options)
            for tasks, lags, units, options in CLAIMS
            for task in tasks
            for lag in lags
        ],
        but=lambda task, lag, units, _: (
            task in (Latch(), DelayLine(), Adding()) and lag <= 5
        ),
    ),
    ids=str,
)
def test_so_many_units_solve_it(task, lag, units, options):
    assert constructed_units(task, lag) == units
    outputs, targets = answers(task, lag, **options)
    if task.loss == "classes":
        # certain, so that it is a minimum of the loss, too
        right = np.take_along_axis(outputs, targets[None], 0)
        others = np.where(np.arange(len(outputs))[:, None] == targets, -np.inf, outputs)
        assert (right - others).min() > 10
    elif task.name == "count":
        # counts; the task asks for half a count
        assert np.abs(outputs[0] - targets).max() * lag < 1e-3
    else:  # the tasks ask for .05 and 1e-2
        assert (
            np.mean((outputs[0] - targets) ** 2)
            < {"delay_line": 1e-6, "adding": 1e-7}[task.name]
        )


def test_nothing_is_claimed_where_no_construction_is_known():
    for task, lag in (
        (Copy(), 5),
        (Pattern(middle="random"), 5),
        (Windows(window=10, carry="reset"), 10),
    ):
        assert constructed(task, lag) is None
        assert constructed_units(task, lag) is None


@pytest.mark.parametrize(
    "task", [DelayLine(symbols=2), DelayLine(symbols=8), DelayLine(reals=True)], ids=str
)
def test_a_shorter_register_does_not_solve_a_longer_lag(task):
    """Units are claimed one for one: the register for lag 5 is exact there, and at
    chance when asked for lag 6."""
    outputs, targets = answers(task, 5)
    # what was seen one step before the answer
    earlier = np.roll(targets.reshape(-1, SEQUENCES), 1, axis=0)[1:].ravel()
    outputs = outputs[:, SEQUENCES:]
    if task.reals:
        # the variance of a difference of two reals
        assert np.mean((outputs[0] - earlier) ** 2) > 1.9
    else:
        assert np.mean(outputs.argmax(0) == earlier) == pytest.approx(
            task.facts(6, task.length(6)).chance, abs=0.02
        )
    assert constructed_units(task, 6) == constructed_units(task, 5) + 1


def test_one_unit_counts_ten_times_as_far():
    outputs, targets = answers(Count(), 50, length=500, sequences=8)
    assert targets.max() == 10
    assert np.abs(outputs[0] - targets).max() * 50 < 0.05

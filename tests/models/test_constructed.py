from functools import partial

import jax
import numpy as np
import pytest
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
    """Fresh sequences and the network's outputs: one program for all lags that share the width and the
    buffer."""
    batch = task.sample(jax.random.key(lag), lag, length, steps, sequences)
    network = Architecture(model, task.features, task.outputs).build(weights)
    over = pass_over(
        batch.inputs, length, batch.window_starts, task.reset_carry, every=task.answers == "every"
    )
    return batch, network.run(over)[1]


def answers(task, lag, length=None, sequences=SEQUENCES, steps=None):
    """Outputs (O, N) and targets (N,) at the N places where an answer is due."""
    model, weights = constructed(task, lag)
    length = task.length(lag) if length is None else length
    batch, outputs = run(task, model, steps or length, sequences, weights, lag, length)
    due = np.ones(batch.targets.shape, bool) if batch.mask is None else np.asarray(batch.mask)
    return np.asarray(outputs)[:, due], np.asarray(batch.targets)[due]


def accuracy(*args, **kwargs):
    outputs, targets = answers(*args, **kwargs)
    return np.mean(outputs.argmax(0) == targets)


def squared_error(*args, **kwargs):
    outputs, targets = answers(*args, **kwargs)
    return np.mean((outputs[0] - targets) ** 2)


@pytest.mark.parametrize("lag", [1, 5, 50, 1000])
@pytest.mark.parametrize("task", [Latch(), Latch(symbols=64), Latch(symbols=64, distractors=0)], ids=str)
def test_one_unit_latches_any_alphabet(task, lag):
    assert constructed_units(task, lag) == 1
    assert accuracy(task, lag, steps=1002) == 1.0


def test_latch_of_a_thousand_symbols_with_the_symbol_late():
    assert accuracy(Latch(symbols=1024), 50, length=80) == 1.0


@pytest.mark.parametrize("lag", [1, 5, 50])
@pytest.mark.parametrize("task", [DelayLine(symbols=2), DelayLine(symbols=8)], ids=str)
def test_delay_line_shifts_one_unit_a_step(task, lag):
    assert constructed_units(task, lag) == lag + 1
    assert accuracy(task, lag) == 1.0


def test_delay_line_of_many_symbols():
    assert accuracy(DelayLine(symbols=64), 20, sequences=256) == 1.0


@pytest.mark.parametrize("lag", [5, 50])
def test_delay_line_of_reals_is_linear(lag):
    assert constructed_units(DelayLine(reals=True), lag) == lag + 1
    assert squared_error(DelayLine(reals=True), lag) < 1e-6


@pytest.mark.parametrize("task", [DelayLine(symbols=2), DelayLine(symbols=8), DelayLine(reals=True)], ids=str)
def test_a_shorter_register_does_not_solve_a_longer_lag(task):
    """Units are claimed one for one: the register for lag 5 is exact there, and at chance when asked for lag
    6."""
    outputs, targets = answers(task, 5)
    earlier = np.roll(targets.reshape(-1, SEQUENCES), 1, axis=0)[
        1:
    ].ravel()  # what was seen one step before the answer
    outputs = outputs[:, SEQUENCES:]
    if task.reals:
        assert np.mean((outputs[0] - earlier) ** 2) > 1.9  # the variance of a difference of two reals
    else:
        assert np.mean(outputs.argmax(0) == earlier) == pytest.approx(
            task.facts(6, task.length(6)).chance, abs=0.02
        )
    assert constructed_units(task, 6) == constructed_units(task, 5) + 1


def test_binary_delay_line_forgets_noise():
    """Each copy of a bit is driven back to its level, so noise of up to a quarter of it changes no answer."""
    model, weights = constructed(DelayLine(), 8)
    network = Architecture(model, 2, 2).build(weights)
    bits = jax.random.randint(jax.random.key(0), (20, 256), 0, 2)
    forward = jax.jit(partial(network, return_carry=True))
    (c, h), _ = forward(bits[:10], initial_carry=network.carry(256))
    noise = 0.2 * jax.random.uniform(jax.random.key(1), h.shape, minval=-1)
    _, outputs = forward(bits[10:], initial_carry=(c, h + noise))
    assert np.array_equal(outputs.argmax(0), bits[2:-8])


@pytest.mark.parametrize("lag", [1, 5, 50, 1000])
def test_one_unit_adds(lag):
    assert constructed_units(Adding(), lag) == 1
    assert squared_error(Adding(), lag, steps=1001) < 1e-7  # the task asks for 1e-2


@pytest.mark.parametrize("kind", ["time", "tokens"])
@pytest.mark.parametrize("lag", [3, 5, 50, 1000])
def test_one_unit_counts(kind, lag):
    assert constructed_units(Count(kind=kind), lag) == 1
    outputs, targets = answers(Count(kind=kind), lag, sequences=256, steps=1000)
    assert np.abs(outputs[0] - targets).max() * lag < 1e-3  # counts; the task asks for half a count


def test_one_unit_counts_ten_times_as_far():
    outputs, targets = answers(Count(), 50, length=500, sequences=8)
    assert targets.max() == 10
    assert np.abs(outputs[0] - targets).max() * 50 < 0.05


@pytest.mark.parametrize("relevant", [2, 3])
@pytest.mark.parametrize("lag", [4, 5, 50, 1000])
def test_one_unit_keeps_temporal_order(relevant, lag):
    assert constructed_units(TemporalOrder(relevant=relevant), lag) == 1
    assert accuracy(TemporalOrder(relevant=relevant), lag, steps=1112) == 1.0


@pytest.mark.parametrize("classes", [3, 4])
@pytest.mark.parametrize("lag", [1, 5, 50])
def test_one_unit_tells_patterns_apart(classes, lag):
    assert constructed_units(Pattern(classes=classes), lag) == 1
    assert accuracy(Pattern(classes=classes), lag, steps=51) == 1.0


@pytest.mark.parametrize("label", ["every", "last"])
@pytest.mark.parametrize("lag", [1, 5, 50])
def test_one_unit_holds_across_windows(label, lag):
    assert constructed_units(Windows(label=label), lag) == 1
    assert accuracy(Windows(label=label), lag, steps=51) == 1.0


def test_windows_that_reset_the_carry():
    task = Windows(window=10, carry="reset")
    assert accuracy(task, 9, length=35) == 1.0
    assert constructed_units(task, 10) is None


@pytest.mark.parametrize(
    "task",
    [
        SelectiveCopy(),
        SelectiveCopy(items=10, symbols=8),
        SelectiveCopy(items=1, distractors=3, cue="throughout"),
    ],
    ids=str,
)
@pytest.mark.parametrize("lag", [1, 5, 400])
def test_two_units_more_than_symbols_copy_them_from_anywhere(task, lag):
    assert constructed_units(task, lag) == task.items + 2
    assert accuracy(task, lag, steps=450) == 1.0


def test_nothing_is_claimed_where_no_construction_is_known():
    for task in (Copy(), Pattern(middle="random")):
        assert constructed(task, 5) is None
        assert constructed_units(task, 5) is None


@pytest.mark.parametrize(
    ("task", "steps"),
    [
        (Latch(symbols=64), 1002),
        (DelayLine(symbols=8), 20),
        (TemporalOrder(), 1112),
        (Pattern(), 51),
        (SelectiveCopy(symbols=8), 51),
    ],
    ids=str,
)
def test_right_classes_are_certain(task, steps):
    """The cross entropy is nearly zero too: a hand-set network is also a minimum of the loss."""
    outputs, targets = answers(task, 5, steps=steps)
    right = np.take_along_axis(outputs, targets[None], 0)
    others = np.where(np.arange(len(outputs))[:, None] == targets, -np.inf, outputs)
    assert (right - others).min() > 10

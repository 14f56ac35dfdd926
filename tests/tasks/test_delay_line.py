import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, evenly, few, seeds

from memcap.config.recipes import recommended
from memcap.tasks.chance import score, sequences
from memcap.tasks.delay_line import DelayLine


@pytest.mark.parametrize(
    "task", [DelayLine(), DelayLine(symbols=5), DelayLine(reals=True)], ids=str
)
@few
@given(lag=st.integers(1, 12), extra=st.integers(0, 20), seed=seeds)
def test_reading_back_solves_it(task, lag, extra, seed):
    length = min(task.shortest(lag) + extra, STEPS)
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    symbols = inputs[..., 0] if task.reals else inputs
    guess = np.array(
        [[row[t - lag] if t >= lag else 0 for t in range(length)] for row in symbols]
    )
    assert score(task, guess, targets, mask).mean == (0 if task.reals else 1)
    assert mask.sum(1).tolist() == [length - lag] * len(mask)


def test_lengths_and_recipes():
    task = DelayLine()
    assert [task.shortest(lag) for lag in (1, 50)] == [3, 101]
    assert [task.length(lag) for lag in (1, 5, 50)] == [12, 20, 200]
    assert task.stretched(50, 20) == (50, 1000)
    facts = task.facts(50, 200)
    assert (facts.held, facts.bits) == (51, 50)
    by_lag = [recommended(task, lag) for lag in (5, 6, 50, 51)]
    assert by_lag == ["forget_bias", "curriculum_ggt", "curriculum_ggt", "curriculum"]
    assert [recommended(DelayLine(symbols=4), lag) for lag in (3, 20)] == [
        "curriculum",
        "curriculum_muon",
    ]
    by_lag = [recommended(DelayLine(symbols=8), lag) for lag in (1, 8, 16, 50)]
    assert by_lag == ["curriculum", "curriculum_muon", "curriculum_muon", "open_gate"]
    assert [recommended(DelayLine(reals=True), lag) for lag in (20, 21)] == [
        "forget_bias",
        "open_gate",
    ]


def test_symbols_are_uniform():
    batch = draw(DelayLine(symbols=4), 3, batch=8192, seed=2)
    counts = np.bincount(batch.inputs.ravel(), minlength=4)
    assert evenly(counts, 4)

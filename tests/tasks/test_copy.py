import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, evenly, few, recall, seeds

from memcap.config.recipes import recommended
from memcap.tasks.chance import score, sequences
from memcap.tasks.copy import Copy

KINDS = [
    Copy(),
    Copy(items=3, symbols=5, distractors=2, cue="throughout"),
    Copy(items=3, symbols=5, waits="drawn"),
]


@pytest.mark.parametrize("task", KINDS, ids=str)
@few
@given(lag=st.integers(1, 20), extra=st.integers(0, 10), seed=seeds)
def test_a_queue_solves_it(task, lag, extra, seed):
    length = min(task.shortest(lag) + extra, STEPS)
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    guess = np.array([recall(task, row) for row in inputs])
    assert score(task, guess, targets, mask).mean == 1
    assert np.all(mask.sum(1) == task.items)
    assert np.all(mask[:, -task.items :])


def test_the_layout_of_the_docstring():
    inputs, _, mask = sequences(Copy(items=3), draw(Copy(items=3), 3), 9)
    assert np.all(inputs[:, :3] < 2)
    assert np.all(inputs[:, 3:] == [2, 2, 3, 2, 2, 2])
    assert np.all(mask == [0] * 6 + [1] * 3)
    throughout = sequences(Copy(items=3), draw(Copy(items=3, cue="throughout"), 3), 9)[
        0
    ]
    assert np.all(throughout[:, 3:] == [2, 2, 3, 3, 3, 3])


def test_each_wait_of_those_that_are_drawn_is_as_frequent():
    inputs, _, _ = sequences(
        Copy(items=2), draw(Copy(items=2, waits="drawn"), 5, batch=8192), 9
    )
    first = (inputs < 2).argmax(1)
    assert np.all(inputs[np.arange(8192), first + 1] < 2)
    counts = np.bincount(first, minlength=5)
    assert evenly(counts, 5)


@few
@given(seed=seeds)
def test_numbers_say_what_vectors_say(seed):
    """As the code of Bai et al. writes them: blanks 0, symbols 1 to 8, and from the cue on 9."""
    vectors = Copy(items=10, symbols=8, cue="throughout")
    numbers = Copy(items=10, symbols=8, cue="throughout", coding="number")
    (shown, due, _), (written, also_due, _) = (
        sequences(task, draw(task, 5, seed=seed), 25) for task in (vectors, numbers)
    )
    digits = np.array([*range(1, 9), 0, 9])
    assert np.array_equal(written[..., 0], digits[shown])
    assert np.array_equal(due, also_due)
    distracted = draw(Copy(distractors=3, coding="number"), 9, 17, seed=seed).inputs[
        :17, :, 0
    ]
    assert set(np.unique(distracted[:4])) <= {3, 4}
    assert set(np.unique(distracted[4:12])) <= {0, 1, 2}
    assert np.all(distracted[12] == 5)


def test_all_sequences_of_symbols_are_drawn_alike():
    inputs, _, _ = sequences(Copy(items=3), draw(Copy(items=3), 2, batch=8192), 8)
    counts = np.bincount(inputs[:, :3] @ [4, 2, 1], minlength=8)
    assert evenly(counts, 8)


@pytest.mark.parametrize(
    ("lag", "known"), [(50, 0.29706), (100, 0.17329), (500, 0.03999), (1000, 0.02039)]
)
def test_the_loss_without_memory_that_papers_quote(lag, known):
    """Averaged over all T + 2K steps: blanks are certain outside the recall, and there
    each symbol has 1 / A."""
    task = Copy(items=10, symbols=8)
    length = task.length(lag)
    assert length == lag + 20
    _, _, mask = sequences(task, draw(task, lag, length, steps=1020, batch=2), length)
    facts = task.facts(lag, length)
    loss = np.where(mask, -math.log(facts.chance), 0).mean()
    assert loss == pytest.approx(10 * math.log(8) / (lag + 20), rel=1e-12)
    assert loss == pytest.approx(known, abs=6e-6)
    assert facts.bits == 30


def test_recipe():
    from_half = "curriculum_chrono"
    from_one = "curriculum_from_one"
    assert [recommended(Copy(items=items), 10) for items in (2, 4, 5, 16)] == [
        from_half,
        from_half,
        from_one,
        from_one,
    ]
    assert recommended(Copy(items=4), 50) == from_one

import math

import numpy as np
import pytest
from hypothesis import given
from task_checks import draw, few, seeds

from memcap.tasks.chance import sequences
from memcap.tasks.copy import Copy


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
    task = Copy(distractors=3, coding="number")
    distracted = draw(task, 9, 17, seed=seed).inputs[:17, :, 0]
    assert set(np.unique(distracted[:4])) <= {3, 4}
    assert set(np.unique(distracted[4:12])) <= {0, 1, 2}
    assert np.all(distracted[12] == 5)


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

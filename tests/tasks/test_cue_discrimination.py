"""Cue discrimination against the generator of the source, written out in NumPy, and
what of the delay counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.cue_discrimination import CueDiscrimination


@pytest.mark.parametrize(("cue", "response"), [(6, 10), (1, 3)])
@few
@given(lag=st.integers(1, 25), extra=st.integers(0, 5), seed=seeds)
def test_a_cue_a_delay_and_its_name(cue, response, lag, extra, seed):
    task = CueDiscrimination(cue=cue, response=response)
    length = min(task.shortest(lag) + extra, STEPS)
    batch = draw(task, lag, length, seed=seed)
    before = length - task.shortest(lag)
    for row, targets, due in zip(*(part[:length].T for part in batch[:3]), strict=True):
        shown = row[before]
        assert shown in (0, 1)
        assert row.tolist() == [2] * before + [shown] * cue + [2] * (lag + response)
        assert targets[-response:].tolist() == [shown] * response
        assert set(targets[:-response]) == {2}
        assert due[-response:].all()
        assert not due[: before + cue].any()
        delay = np.flatnonzero(due[before + cue : -response])
        edges = np.arange(min(lag, response) + 1) * lag // min(lag, response)
        assert np.histogram(delay, edges - 0.5)[0].tolist() == [1] * min(lag, response)


def test_every_step_of_the_delay_is_asked_as_often():
    """Where the parts are even; 4 steps of 20 count, so each in a fifth of the sequences."""
    mask = draw(CueDiscrimination(cue=1, response=4), 20, batch=4096).mask[1:21]
    assert np.all(abs(mask.mean(1) - 1 / 5) < 5 * (1 / 5 * 4 / 5 / 4096) ** 0.5)


@pytest.mark.parametrize(
    ("lag", "chance"), [(40, 1 / 2), (10, 1 / 2), (6, 6 / 16), (2, 5 / 12)]
)
def test_chance_is_silence_or_a_cue(lag, chance):
    assert CueDiscrimination().facts(lag, lag + 16).chance == pytest.approx(chance)

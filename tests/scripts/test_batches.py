"""`memcap.sequences`: what `judge` asks for, as NumPy arrays for any library."""

import itertools

import numpy as np
import pytest
from study_checks import refusal

import memcap


def batches(number, *args, **kwargs):
    return list(itertools.islice(memcap.sequences(*args, **kwargs), number))


def test_each_batch_has_a_lag_and_a_place_drawn_evenly():
    """A latch of 2 symbols, lags 1 to 4: the answer is due at the last step, the symbol
    came lag + 1 steps before, and filler before that."""
    found = batches(400, "latch", 4, batch=2, one_hot=False, seed=3)
    steps = found[0].inputs.shape[1]
    lags, firsts = [], []
    for inputs, targets, mask in found:
        assert inputs.shape == targets.shape == mask.shape == (2, steps)
        last = np.flatnonzero(mask[0])
        assert len(last) == 1
        assert (mask == mask[0]).all()
        symbols = np.flatnonzero(inputs[0, : last[0]] < 2)
        assert len(symbols) == 1
        first = symbols[0]
        assert (inputs[:, first] == targets[:, last[0]]).all()
        lags.append(last[0] - first - 1)
        firsts.append(first)
    counts = np.bincount(lags, minlength=5)
    assert counts[0] == 0
    assert counts[1:].min() > 70
    at_longest = [first for lag, first in zip(lags, firsts, strict=True) if lag == 4]
    assert set(at_longest) == set(range(steps - 5))


def test_a_perfect_net_of_these_sequences_is_right_by_judge():
    """The answer of each sequence, looked up by the rule that batches show."""
    inputs, targets, mask = next(memcap.sequences("latch", 6, batch=64))
    symbols = inputs[..., :2].sum(axis=1).argmax(axis=-1)
    assert (symbols[:, None] == targets)[mask].all()

    def net(inputs):
        return inputs[..., :2].sum(axis=1)

    assert memcap.judge(net, "latch", 6).right


@pytest.mark.parametrize(
    ("task", "knobs", "features", "kind"),
    [
        ("copy", {"items": 4}, 4, "i"),
        ("adding", {}, 2, "f"),
        ("delay_line", {"symbols": 3}, 3, "i"),
    ],
)
def test_arrays_are_as_their_docstring_says(task, knobs, features, kind):
    inputs, targets, mask = next(memcap.sequences(task, 8, batch=5, **knobs))
    assert inputs.dtype == np.float32
    assert mask.dtype == bool
    assert inputs.shape == (5, mask.shape[1], features)
    assert targets.shape[:2] == mask.shape
    assert np.issubdtype(targets.dtype, np.floating) == (kind == "f")


def test_exactly_is_one_lag_at_the_first_step_and_a_seed_repeats():
    found = batches(20, "latch", 4, exactly=True, one_hot=False, batch=2)
    again = batches(20, "latch", 4, exactly=True, one_hot=False, batch=2)
    other = batches(20, "latch", 4, exactly=True, one_hot=False, batch=2, seed=1)
    for (inputs, targets, mask), same in zip(found, again, strict=True):
        assert inputs.shape == (2, 6)
        assert (inputs[:, 0] == targets[:, -1]).all()
        assert mask[:, -1].all()
        assert not mask[:, :-1].any()
        assert (inputs == same.inputs).all()
    assert any((a.inputs != b.inputs).any() for a, b in zip(found, other, strict=True))


def test_mistakes_are_refused_before_the_first_batch():
    assert "no such task" in refusal(lambda: memcap.sequences("lach", 4))
    assert "batch=0" in refusal(lambda: memcap.sequences("latch", 4, batch=0))
    assert "item" in refusal(lambda: memcap.sequences("copy", 4, item=3))

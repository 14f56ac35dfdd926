"""Reber words against a regular expression of the grammar, written by hand, and against
all words of a length."""

import itertools
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, evenly, few, seeds

from memcap.tasks.reber import _FAR, Reber, words_left

REST = "(?:XT*VP)*(?:S|XT*VV)"  # from the state after TS*X on
WORD = re.compile(f"B(?:TS*X{REST}|PT*V(?:V|P{REST}))E")


def written(row) -> str:
    return "".join("BTPSXVE"[symbol] for symbol in row)


@few
@given(lag=st.integers(5, 40), extra=st.integers(0, 6), seed=seeds)
def test_a_begin_a_symbol_and_a_word_of_the_grammar(lag, extra, seed):
    length = min(lag + 2 + extra, STEPS)
    batch = draw(Reber(), lag, length, seed=seed)
    for row, answer in zip(batch.inputs[:length].T, batch.targets, strict=True):
        text = written(row)
        assert text[: -lag - 1] == "B" * (length - lag - 1)
        assert text[-lag - 1] == "TP"[answer]
        assert WORD.fullmatch(text[-lag:])


def test_all_words_of_a_length_are_as_likely():
    words = {
        text
        for middle in itertools.product("TPSXV", repeat=6)
        if WORD.fullmatch(text := f"B{''.join(middle)}E")
    }
    drawn = [written(row) for row in draw(Reber(), 8, batch=8192).inputs[2:10].T]
    counts = np.array([drawn.count(word) for word in words])
    assert counts.sum() == 8192
    assert evenly(counts, len(words), errors=5)


def test_long_words_are_of_the_grammar_and_far_from_the_end_all_steps_are_alike():
    far = words_left(2000)[_FAR - 1 :]
    np.testing.assert_allclose(far, np.broadcast_to(far[-1], far.shape), rtol=1e-7)
    rows = draw(Reber(), 300, steps=302).inputs.T
    assert all(WORD.fullmatch(written(row[2:])) for row in rows)

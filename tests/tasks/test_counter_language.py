import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, evenly, few, seeds

from memcap.tasks.chance import sequences
from memcap.tasks.counter_language import CounterLanguage

each_language = pytest.mark.parametrize(
    "task", [CounterLanguage(symbols=k) for k in (2, 3, 4)], ids=str
)


def words(symbols: int, lag: int) -> list[str]:
    return [
        "".join(letter * n for letter in "abcd"[:symbols]) for n in range(1, lag + 1)
    ]


def asked(word: str, length: int) -> tuple[str, str]:
    """A word with the blanks after it, and what is due at each step: the next letter,
    "!" at the end, "." for nothing."""
    answers = "." * word.index("b") + word[word.index("b") + 1 :] + "!"
    inputs = word.ljust(length, "_")
    answers = answers.ljust(length, ".")
    return inputs, answers[:-1] + (answers[-1] if len(word) == length else "!")


@each_language
@few
@given(lag=st.integers(2, 10), extra=st.integers(0, 8), seed=seeds)
def test_it_is_a_word_and_what_is_due_is_its_next_letter_or_its_end(
    task, lag, extra, seed
):
    length = task.shortest(lag) + extra
    assert length <= STEPS
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    letters = "abcd"[: task.symbols] + "_"
    answers = "bcd"[: task.symbols - 1] + "!"
    allowed = {asked(word, length) for word in words(task.symbols, lag)}
    for row, due, is_due in zip(inputs, targets, mask, strict=True):
        said = "".join(
            answers[y] if there else "." for y, there in zip(due, is_due, strict=True)
        )
        assert ("".join(letters[x] for x in row), said) in allowed


def test_the_example_of_the_docstring():
    assert asked("aaabbb", 8) == ("aaabbb__", "...bb!.!")


def test_each_number_of_letters_is_drawn_as_often():
    inputs, _, _ = sequences(
        CounterLanguage(), draw(CounterLanguage(), 9, batch=8192), 18
    )
    numbers, counts = np.unique((inputs == 0).sum(1), return_counts=True)
    assert numbers.tolist() == list(range(1, 10))
    assert evenly(counts, 9)


@each_language
@pytest.mark.parametrize("lag", [2, 3, 8, 13])
def test_bits_tell_apart_all_that_may_follow_a_letter(task, lag):
    """After each beginning of a word, the words that may go on from there: as many as
    differ, where the same letter was read."""
    futures = defaultdict(set)
    for word in words(task.symbols, lag):
        for end in range(1, len(word) + 1):
            beginning = word[:end]
            goes_on = (
                other[end:]
                for other in words(task.symbols, lag)
                if other.startswith(beginning)
            )
            futures[word[end - 1]].add(frozenset(goes_on))
    facts = task.facts(lag, task.length(lag))
    assert facts.bits == pytest.approx(
        math.log2(max(map(len, futures.values()))), abs=1e-12
    )
    assert facts.held == (1 if task.symbols == 2 else 2)


@each_language
@pytest.mark.parametrize("lag", [2, 3, 8])
@pytest.mark.parametrize("extra", [0, 5])
def test_chance_is_that_of_the_likeliest_answer_to_each_symbol(task, lag, extra):
    """Over all words: each number of letters is as likely."""
    length = task.shortest(lag) + extra
    answers = defaultdict(Counter)
    for word in words(task.symbols, lag):
        for symbol, answer in zip(*asked(word, length), strict=True):
            answers[symbol][answer] += answer != "."
    right = sum(max(counts.values()) for counts in answers.values())
    facts = task.facts(lag, length)
    assert facts.chance == pytest.approx(
        right / sum(c.total() for c in answers.values()), abs=1e-12
    )
    assert 1 - facts.threshold == pytest.approx((1 - facts.chance) / 50)

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import draw, few, seeds

from memcap.knobs import UserError
from memcap.tasks.chance import score, sequences
from memcap.tasks.mqar import POWER, Mqar


def look_up(task: Mqar, row: np.ndarray) -> np.ndarray:
    """Keep a table of the pairs; say the value of a key that is in it."""
    table, guess, last = {}, np.zeros(len(row), int), None
    for t, x in enumerate(row):
        if task.symbols <= x < 2 * task.symbols:
            assert last not in table
            table[last] = x - task.symbols
        elif x in table:
            guess[t] = table[x]
        last = x
    assert len(table) == len(set(table.values())) == task.pairs
    return guess


@pytest.mark.parametrize("task", [Mqar(), Mqar(pairs=1, symbols=5), Mqar(pairs=8, symbols=8)], ids=str)
@few
@given(more=st.integers(0, 12), extra=st.integers(0, 5), seed=seeds)
def test_a_table_solves_it(task, more, extra, seed):
    lag = task.pairs + more
    length = task.shortest(lag) + extra
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    guess = np.array([look_up(task, row) for row in inputs])
    assert score(task, guess, targets, mask).mean == 1
    assert np.all(mask.sum(1) == task.pairs)
    assert np.all(
        np.sort(inputs[:, -lag:][mask[:, -lag:]].reshape(-1, task.pairs)) == np.sort(inputs[:, extra:-lag:2])
    )
    blanks = inputs == 2 * task.symbols
    assert np.all(blanks[:, :extra])
    assert np.all(blanks[:, -lag:] == ~mask[:, -lag:])


def test_gaps_follow_the_power_law_and_any_pair_is_asked_last():
    """With two pairs, one query is at a gap of the law, from 1 to lag - 1, and the other at the end."""
    task, lag, batch = Mqar(pairs=2), 9, 8192
    inputs, _, mask = sequences(task, draw(task, lag, batch=batch), task.length(lag))
    law = np.arange(1, lag) ** (POWER - 1.0)
    law /= law.sum()
    found = mask[:, 4:-1].mean(0)
    assert np.all(abs(found - law) < 4 * (law * (1 - law) / batch) ** 0.5)
    assert abs((inputs[:, -1] == inputs[:, 0]).mean() - 0.5) < 4 * 0.5 / batch**0.5


@pytest.mark.parametrize(("pairs", "table"), [(4, 26.2), (8, 42.6)])
def test_bits_are_those_of_a_table_but_for_which_keys_came(pairs, table):
    task = Mqar(pairs=pairs)
    assert task.facts(20, 40).bits + math.log2(math.comb(16, pairs)) == pytest.approx(table, abs=0.05)


def test_more_pairs_than_keys_are_refused():
    with pytest.raises(UserError, match=r"task\.pairs=5: must be at most task\.symbols=4"):
        Mqar(pairs=5, symbols=4)

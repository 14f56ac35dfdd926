import math
from dataclasses import replace

import numpy as np
import pytest
from breadth import leave
from hypothesis import given
from hypothesis import strategies as st
from task_checks import draw, evenly, few, seeds

from memcap.config.knobs import UserError
from memcap.tasks.chance import score, sequences
from memcap.tasks.mqar import POWER, Mqar


def symbols_at(inputs: np.ndarray) -> list[list[int]]:
    """What each step of a sequence shows: one symbol, or those of its one-hot vectors."""
    if inputs.ndim == 1:
        return [[x] for x in inputs]
    assert set(np.unique(inputs)) <= {0, 1}
    return [np.flatnonzero(x).tolist() for x in inputs]


def look_up(
    task: Mqar, row: np.ndarray, lag: int
) -> tuple[dict[int, list[int]], np.ndarray]:
    """Keep a table of each key's values, oldest first, and none from the last `lag`
    steps; say the latest one of a key that is in it."""
    table = {}
    guess = np.zeros(len(row), int)
    last = None
    for t, shown in enumerate(symbols_at(row)):
        for x in shown:
            if task.symbols <= x < 2 * task.symbols and t < len(row) - lag:
                table.setdefault(last, []).append(x - task.symbols)
            elif x in table:
                guess[t] = table[x][-1]
            last = x
    return table, guess


KINDS = [
    Mqar(),
    Mqar(pairs=1, symbols=5),
    Mqar(pairs=8, symbols=8),
    Mqar(layout="stacked"),
]
KINDS += [Mqar(rewrites=2), Mqar(pairs=3, symbols=6, layout="stacked", rewrites=1)]
KINDS += [
    Mqar(pairs=3, symbols=4, fillers="random"),
    Mqar(layout="stacked", rewrites=1, fillers="random"),
]


@pytest.mark.parametrize("task", [*KINDS[:2], *leave(KINDS[2:])], ids=str)
@few
@given(more=st.integers(0, 12), extra=st.integers(0, 5), seed=seeds)
def test_a_table_solves_it(task, more, extra, seed):
    lag = task.pairs + more
    length = task.shortest(lag) + extra
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed), length)
    tables, guess = zip(*(look_up(task, row, lag) for row in inputs), strict=True)
    assert score(task, np.array(guess), targets, mask).mean == 1
    for table, row, due in zip(tables, inputs, mask, strict=True):
        values = [value for each in table.values() for value in each]
        assert [len(each) for each in table.values()] == [
            1 + task.rewrites
        ] * task.pairs
        assert len(values) == len(set(values))
        shown = symbols_at(row)
        assert sorted(shown[t] for t in np.flatnonzero(due)) == sorted(
            [key] for key in table
        )
        blanks = [symbols == [2 * task.symbols] for symbols in shown]
        assert all(blanks[:extra])
        assert not any(blanks[extra:-lag])
        assert np.array_equal(blanks[-lag:], ~due[-lag:] & (task.fillers == "blanks"))
        assert all(len(symbols) == 1 for symbols in shown[-lag:])
        by_hand = {"blanks": extra + lag - task.pairs, "random": extra}
        assert sum(blanks) == by_hand[task.fillers]


@pytest.mark.parametrize("layout", ["separate", *leave(["stacked"])])
def test_fillers_stand_where_blanks_do_and_are_any_key_or_value_alike(layout):
    task = Mqar(pairs=2, symbols=4, layout=layout)
    lag = 9
    batch = 4096
    length = task.shortest(lag) + 3
    plain, due, mask = sequences(task, draw(task, lag, length, batch=batch), length)
    filled = replace(task, fillers="random")
    inputs, *answers = sequences(filled, draw(filled, lag, length, batch=batch), length)
    assert all(np.array_equal(x, y) for x, y in zip(answers, (due, mask), strict=True))
    fill = ~mask & (np.arange(length) >= length - lag)
    assert np.array_equal(inputs[~fill], plain[~fill])
    assert fill.sum() == batch * (lag - task.pairs)
    shown = inputs[fill] if layout == "separate" else inputs[fill].argmax(-1)
    assert evenly(np.bincount(shown), 8)


def test_writes_come_in_any_order():
    """Of two keys, written twice each, so that the age of a value does not say whether
    it is the latest."""
    task = Mqar(pairs=2, symbols=4, rewrites=1)
    batch = 4096
    inputs, _, _ = sequences(task, draw(task, 2, steps=10, batch=batch), task.length(2))
    counts = np.bincount(
        (inputs[:, :8:2] == inputs[:, -1:]) @ [8, 4, 2, 1], minlength=16
    )
    orders = [n for n in range(16) if n.bit_count() == 2]
    assert evenly(counts[orders], 6)
    assert counts[orders].sum() == batch


def test_gaps_follow_the_power_law_and_any_pair_is_asked_last():
    """With two pairs, one query is at a gap of the law, from 1 to lag - 1, and the
    other at the end."""
    task = Mqar(pairs=2)
    lag = 9
    batch = 8192
    inputs, _, mask = sequences(task, draw(task, lag, batch=batch), task.length(lag))
    law = np.arange(1, lag) ** (POWER - 1.0)
    law /= law.sum()
    found = mask[:, 4:-1].mean(0)
    assert np.all(abs(found - law) < 4 * (law * (1 - law) / batch) ** 0.5)
    assert abs((inputs[:, -1] == inputs[:, 0]).mean() - 0.5) < 4 * 0.5 / batch**0.5


@pytest.mark.parametrize(("pairs", "table"), [(4, 26.2), (8, 42.6)])
def test_bits_are_those_of_a_table_but_for_which_keys_came(pairs, table):
    task = Mqar(pairs=pairs)
    assert task.facts(20, 40).bits + math.log2(math.comb(16, pairs)) == pytest.approx(
        table, abs=0.05
    )


def test_more_pairs_than_keys_are_refused():
    with pytest.raises(
        UserError, match=r"task\.pairs=5: must be at most task\.symbols=4"
    ):
        Mqar(pairs=5, symbols=4)


def test_more_values_than_symbols_are_refused():
    with pytest.raises(
        UserError,
        match=r"task\.rewrites=2: task\.pairs=6 .* 18 times, .* task\.symbols=16",
    ):
        Mqar(pairs=6, rewrites=2)


def test_what_is_to_be_held_depends_on_pairs_and_symbols_alone():
    plain = Mqar().facts(8, 16)
    others = Mqar(layout="stacked"), Mqar(rewrites=2), Mqar(fillers="random")
    for task in (*others, Mqar(layout="stacked", rewrites=2)):
        assert task.facts(8, task.length(8)) == plain
